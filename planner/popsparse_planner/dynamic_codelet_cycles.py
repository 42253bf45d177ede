"""Cycles of the published library's dynamic codelets: the formulas its planner thinks with (popsparse-dynamic 7).

Integers in (scalars or arrays that broadcast), int64 out, in tile cycles. A codelet walks the buckets that its tile
receives; in each it looks for the subgroups of its own partition and multiplies their rows. `num_y` has a trailing
axis [..., rows]: nonzeros (b = 1) or blocks in each row of a list; a scalar is a list of one. As published, the work
of the whole list is multiplied by `num_x`, so give either one mean entry and num_x rows, or the real list and num_x 1.

Every formula is that of lib/popsparse/PerformanceEstimation.hpp in graphcore/poplibs; none was measured. The library's
device model counts nothing for these vertices, so the formulas are all that is published about their speed.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

import numpy as np

from .codelet_cycles import WORKERS, Ints
from .errors import PlanError


def _ints(value: Ints) -> np.ndarray:
    return np.asarray(value, dtype=np.int64)


def _ceil_div(value: Ints, divisor: Ints) -> np.ndarray:
    quotient: np.ndarray = -(-_ints(value) // _ints(divisor))
    return quotient


def _when(condition: np.ndarray, value: Ints) -> np.ndarray:
    return np.where(condition, value, 0)


class Buckets(NamedTuple):
    """What a vertex walks in one compute step: buckets, those of them with work for it, mean subgroups in a bucket."""

    num: Ints
    num_for_tile: Ints
    subgroups: Ints = 1

    def header_cycles(self, foreign: int, own: int, fixed: int) -> np.ndarray:
        """Supervisor cycles to find the work: `foreign` per subgroup of others, `own` per header up to the first of
        its own (half of the others lie before it), `fixed` once per bucket with work."""
        num, own_num, subgroups = _ints(self.num), _ints(self.num_for_tile), _ints(self.subgroups)
        per_own = (own * (subgroups + 1)) // 2 + fixed
        cycles: np.ndarray = foreign * (num - own_num) * subgroups + own_num * per_own
        return cycles


def _rows(num_y: Ints) -> np.ndarray:
    return np.atleast_1d(_ints(num_y))


# --- single values ---------------------------------------------------------------------------------------------------


class _Walk(NamedTuple):
    """Slots of one row of a worker: per row, per entry of the list, per nonzero; and once per call."""

    header: np.ndarray
    per_row: np.ndarray
    per_entry: np.ndarray
    per_nonzero: np.ndarray

    def slots(self, num_x: Ints, num_y: np.ndarray) -> np.ndarray:
        entries, nonzeros = num_y.shape[-1], num_y.sum(axis=-1)
        inner = self.per_entry * entries + self.per_nonzero * nonzeros
        total: np.ndarray = self.header + _ints(num_x) * (self.per_row + inner)
        return total


# dtype -> constants that differ between the two element codelets: headers for the wide, narrow and general columns,
# slots per row of the three, lead-in of a full vector chunk and of an odd column.
_FORWARD: Dict[str, Tuple[int, ...]] = {
    "float16": (28, 30, 33, 15, 11, 12, 16, 11),
    "float32": (25, 27, 30, 13, 11, 13, 12, 8),
}
_GRAD_INPUT: Dict[str, Tuple[int, ...]] = {
    "float16": (26, 28, 32, 15, 11, 11, 14, 10),
    "float32": (23, 25, 33, 13, 11, 13, 10, 8),
}


def _element_walk(dtype: str, constants: Tuple[int, ...], num_z: Ints) -> _Walk:
    """One grain of columns is 4 float16 or 2 float32; a chunk is two grains."""
    wide_header, narrow_header, header, wide_row, narrow_row, row, chunk_lead, odd_lead = constants
    z = _ints(num_z)
    chunk = 8 if dtype == "float16" else 4
    chunks, grain, odd = z // chunk, z & (chunk // 2), z & (chunk // 2 - 1)
    if dtype == "float16":
        lead = _when(chunks > 0, chunk_lead) + _when(grain > 0, 13) + _when(odd > 0, odd_lead)
        per_nonzero = 3 * chunks + _when(grain > 0, 2) + 2 * odd
    else:
        lead = _when(chunks > 0, chunk_lead) + _when(grain > 0, 8) + _when(odd > 0, odd_lead)
        lead = lead + np.where(z & 3, 3, 1)
        per_nonzero = 3 * chunks + _when(grain > 0, 2 * (z // 2)) + _when(odd > 0, 2)
    kind = [z == chunk, z == chunk // 2]
    return _Walk(
        np.select(kind, [wide_header, narrow_header], header),
        np.select(kind, [wide_row, narrow_row], row),
        np.select(kind, [0, 0], lead),
        np.select(kind, [3, 2], per_nonzero),
    )


def forward_element_cycles(dtype: str, buckets: Buckets, num_x: Ints, num_z: Ints, num_y: Ints) -> np.ndarray:
    """Forward, b = 1 (7.1): num_x rows and num_z columns of one worker."""
    slots = _element_walk(dtype, _FORWARD[dtype], num_z).slots(num_x, _rows(num_y))
    cycles: np.ndarray = WORKERS * slots + 30 + buckets.header_cycles(32, 47, 46)
    return cycles


def grad_input_element_cycles(dtype: str, buckets: Buckets, num_x: Ints, num_z: Ints, num_y: Ints) -> np.ndarray:
    """Grad-input, b = 1, from buckets of its own (7.2): num_x rows and num_z columns of one worker."""
    slots = _element_walk(dtype, _GRAD_INPUT[dtype], num_z).slots(num_x, _rows(num_y))
    cycles: np.ndarray = WORKERS * slots + 30 + buckets.header_cycles(32, 46, 46)
    return cycles


def transpose_element_cycles(dtype: str, buckets: Buckets, num_x: Ints, num_z: Ints, num_y: Ints) -> np.ndarray:
    """Grad-input, b = 1, from the forward buckets (7.3): num_x rows, num_z columns of the tile; workers share a row."""
    z, shares = _ints(num_z), _ceil_div(_rows(num_y), WORKERS)
    if dtype == "float16":
        kind = [z == 8, z == 4]
        general = _when(z >= 4, 2 + 5 * (z // 4)) + _when(z & 3 > 0, 5 + 3 * (z & 3))
        walk = _Walk(
            np.select(kind, [20, 20], 26),
            np.select(kind, [18, 21], 22),
            np.select(kind, [0, 0], 8),
            np.select(kind, [10, 7], general),
        )
    else:
        general = _when(z >= 2, 2 + 3 * (z // 2)) + 4 * (z & 1)
        walk = _Walk(_ints(23), _ints(24), _ints(8), general)
    cycles: np.ndarray = WORKERS * walk.slots(num_x, shares) + 30 + buckets.header_cycles(32, 44, 68)
    return cycles


def _grad_weight_supervisor(buckets: Buckets) -> np.ndarray:
    return 37 + 38 + buckets.header_cycles(0, 26, 0)


def grad_weight_element_cycles(dtype: str, buckets: Buckets, num_x: Ints, num_z: Ints, num_y: Ints) -> np.ndarray:
    """Grad-weight, b = 1 (7.4): rows of one worker, num_z columns of the tile."""
    z = _ints(num_z)
    if dtype == "float16":
        kind = [z == 8, z == 4]
        general = 11 + z // 4 + _when(z & 2 > 0, 3) + 4 * (z & 1)
        header, row = np.select(kind, [30, 32], 35), np.select(kind, [11, 10], 8)
    else:
        kind = [z == 4, z == 2]
        general = 9 + z // 2 + (z & 1)
        header, row = np.select(kind, [30, 32], 34), np.select(kind, [9, 7], 9)
    walk = _Walk(header, row, _ints(0), np.select(kind, [5, 4], general))
    cycles: np.ndarray = WORKERS * walk.slots(num_x, _rows(num_y)) + _grad_weight_supervisor(buckets)
    return cycles


# --- blocks ----------------------------------------------------------------------------------------------------------


def _known(table: Dict[Tuple[str, str, int], Tuple[int, ...]], dtype: str, sums: str, b: int) -> Tuple[int, ...]:
    if (dtype, sums, b) not in table:
        raise PlanError(f"no dynamic codelet for {dtype} blocks of {b} with {sums} partials: expected 4, 8 or 16")
    return table[dtype, sums, b]


_H, _F = "float16", "float32"
# (dtype, partials, b) -> slots per column, header slots, lead-in of a block for 1, 2 and more columns
_BLOCK: Dict[Tuple[str, str, int], Tuple[int, ...]] = {
    (_F, _F, 4): (4, 26, 14, 14, 14),
    (_H, _F, 4): (2, 26, 17, 18, 19),
    (_H, _H, 4): (2, 26, 15, 16, 17),
    (_F, _F, 8): (8, 23, 22, 22, 23),
    (_H, _F, 8): (4, 20, 22, 23, 23),
    (_H, _H, 8): (4, 23, 19, 20, 20),
    (_F, _F, 16): (4, 23, 24, 25, 24),
    (_H, _F, 16): (4, 23, 24, 25, 24),
    (_H, _H, 16): (4, 22, 22, 23, 22),
}


def conv_units(dtype: str, partials_dtype: str) -> int:
    """Convolution units of a tile that multiply `dtype` into `partials_dtype`: 16 or 8."""
    return 16 if dtype == partials_dtype == "float16" else 8


def block_cycles(
    dtype: str,
    partials_dtype: str,
    block_size: int,
    buckets: Buckets,
    num_x: Ints,
    num_z: Ints,
    num_y: Ints,
    *,
    transposed: bool = False,
    units: int = 0,
) -> np.ndarray:
    """Forward or (transposed) grad-input, b > 1 (7.5): num_x block rows of the tile, num_z columns of a worker.

    units: convolution units, 0 for those of `conv_units`. Raises PlanError for blocks without a codelet.
    """
    per_column, header, *leads = _known(_BLOCK, dtype, partials_dtype, block_size)
    units = units or conv_units(dtype, partials_dtype)
    if (dtype, partials_dtype, block_size, units) == (_H, _H, 16, 8):
        header, leads = 23, [24, 25, 24]
    loads = 2 if block_size == 16 and units == 8 else 1
    blocks, x, z = _rows(num_y).sum(axis=-1), _ints(num_x), _ints(num_z)
    keeps_x = 0 if transposed else 1
    load = block_size * block_size // (2 if dtype == _F else 4)
    supervisor = 40 + buckets.header_cycles(33, 46, 56) + (blocks * (load + 3 + 12 * loads) + keeps_x) * x + 2
    lead = np.select([z == 1, z == 2], leads[:2], leads[2])
    slots = header + x * blocks * loads * (lead + per_column * z - 3 * keeps_x)
    cycles: np.ndarray = WORKERS * slots + supervisor
    return cycles


# (dtype, partials, b) -> header slots, slots per block row, per block, per block and column
_GRAD_WEIGHT: Dict[Tuple[str, str, int], Tuple[int, ...]] = {
    (_F, _F, 4): (27, 9, 45, 12),
    (_H, _F, 4): (26, 9, 33, 6),
    (_H, _H, 4): (26, 9, 29, 6),
    (_F, _F, 8): (24, 7, 208, 48),
    (_H, _F, 8): (26, 9, 113, 24),
    (_H, _H, 8): (26, 9, 113, 24),
    (_F, _F, 16): (27, 9, 505, 96),
    (_H, _F, 16): (27, 9, 505, 96),
    (_H, _H, 16): (27, 9, 441, 96),
}


def grad_weight_block_cycles(
    dtype: str, partials_dtype: str, block_size: int, buckets: Buckets, num_x: Ints, num_z: Ints, num_y: Ints
) -> np.ndarray:
    """Grad-weight, b > 1, on the vector unit (7.6): num_x block rows of a worker, num_z columns of the tile."""
    header, per_row, per_block, per_column = _known(_GRAD_WEIGHT, dtype, partials_dtype, block_size)
    blocks = _rows(num_y).sum(axis=-1)
    slots = header + _ints(num_x) * (per_row + blocks * (per_block + _ints(num_z) * per_column))
    cycles: np.ndarray = WORKERS * slots + _grad_weight_supervisor(buckets)
    return cycles


# (dtype, partials, b) -> slots with weights kept, slots of a block per group of columns, slots saved by the later ones
_GRAD_WEIGHT_AMP: Dict[Tuple[str, str, int], Tuple[int, ...]] = {
    (_F, _F, 4): (5, 20, 1),
    (_H, _F, 4): (5, 17, 2),
    (_H, _H, 4): (5, 15, 1),
    (_F, _F, 8): (5, 33, 2),
    (_H, _F, 8): (5, 27, 4),
    (_H, _H, 8): (5, 27, 4),
    (_F, _F, 16): (5, 32, 4),
    (_H, _F, 16): (5, 32, 4),
    (_H, _H, 16): (5, 32, 4),
}
_AMP_GROUP_COLUMNS = {"float16": 16, "float32": 8}


def grad_weight_amp_cycles(
    dtype: str,
    partials_dtype: str,
    block_size: int,
    buckets: Buckets,
    num_x: Ints,
    num_z: Ints,
    num_y: Ints,
    *,
    units: int = 8,
) -> np.ndarray:
    """Grad-weight, b > 1, on the matrix unit (7.7): num_x block rows and num_z columns of the tile."""
    kept, per_group, saved = _known(_GRAD_WEIGHT_AMP, dtype, partials_dtype, block_size)
    run = 8
    if (dtype, block_size, units) == (_H, 16, 4):
        run, (kept, per_group, saved) = 17, ((6, 62, 2) if partials_dtype == _F else (5, 58, 2))
    y, x = _rows(num_y), _ints(num_x)
    blocks, groups = y.sum(axis=-1), _ceil_div(num_z, _AMP_GROUP_COLUMNS[dtype])
    per_block = 15 + 4 * (groups - 1) + groups * (run + 2 * block_size)
    supervisor = 23 + 8 * (x - 1) + x * (22 * y.shape[-1] + 10 * blocks + blocks * per_block)
    slots = kept + x * blocks * (per_group * groups - (groups - 1) * saved)
    cycles: np.ndarray = WORKERS * slots + _grad_weight_supervisor(buckets) + supervisor
    return cycles


# --- helpers of a pass (7.8, 7.9) ------------------------------------------------------------------------------------


def published_zero_partials_cycles(num_partials: Ints) -> np.ndarray:
    """Zeroing partials of a worker as coded: the count times the workers (the cycles it works out are dropped)."""
    cycles: np.ndarray = _ints(num_partials) * WORKERS
    return cycles


def block_transpose_cycles(dtype: str, block_size: int, num_blocks: Ints, num_z: Ints) -> np.ndarray:
    """Re-ordering a dense operand for the matrix unit of grad-weight: num_blocks of rows or columns, num_z columns."""
    inner = 12 * (block_size // 2) if dtype == _F else 23 * (block_size // 4)
    groups = _ints(num_z) // _AMP_GROUP_COLUMNS[dtype]
    slots = 34 + _ceil_div(num_blocks, WORKERS) * (3 + groups * (3 + inner))
    cycles: np.ndarray = 18 + WORKERS * slots
    return cycles


def gather_cycles(dtype: str, num_indices: Ints) -> np.ndarray:
    """Gathering num_indices single values by index."""
    n = _ints(num_indices)
    grain, step, first = (2, 3, 5) if dtype == _F else (4, 5, 8)
    vectors = _ceil_div(n // grain, WORKERS)
    loop = _when(vectors > 0, first + step * (vectors - 1))
    rest = 5 * (n & 1) if dtype == _F else np.array([0, 10, 10, 14])[n & 3]
    longest = np.maximum(loop, loop + rest - _when(loop > 0, step))
    cycles: np.ndarray = 18 + WORKERS * (23 + longest)
    return cycles


def transpose_blocks_cycles(dtype: str, num_blocks: Ints, rows: int, columns: int) -> np.ndarray:
    """Transposing num_blocks blocks of rows x columns in place (7.9)."""
    grain, step = (2, 3) if dtype == _F else (4, 4)
    share, tall, wide = _ceil_div(num_blocks, WORKERS), rows // grain, columns // grain
    if tall == wide == 1:
        slots = np.where(share == 1, 29, 37 + (share - 2) * step)
    elif wide == 1:
        slots = 27 + share * (35 + step * (tall - 2))
    else:
        slots = 29 + share * (18 + tall * (12 + step * (wide - 2)))
    cycles: np.ndarray = 7 + WORKERS * slots
    return cycles
