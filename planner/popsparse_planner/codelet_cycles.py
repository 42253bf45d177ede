"""Cycles of every codelet, one vectorised rule each: the single truth for planner, model and SDK estimates.

Integers in (scalars or arrays that broadcast), int64 out, in tile cycles unless a name says slots. A worker issues in
every sixth tile cycle: one issue slot of a worker = 6 tile cycles. Three groups: `published_*`, the formulas in which
the published static planner thinks (popsparse-static 4 and 5a, baseline only); exact counts of the published assembly
(popsparse-static 5b), which the measured cycles confirm within 3% (8b form C); rules for this project's own vertices.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from .errors import PlanError
from .problem import item_bytes

Ints = Union[int, np.ndarray]

WORKERS = 6  # hardware contexts of a tile: CTXT_WORKERS of poplibs' TileConstants.hpp
COEFFICIENT_BYTES_PER_CYCLE = 8  # ld64putcs: cweiLoadBytesPerCycle of the published partitioner
_SUPERVISOR_CYCLES, _ROW_CYCLES, _BLOCK_CYCLES = 30, 17, 16  # per vertex, block row and block: popsparse-static 5a, 5b


def _ints(value: Ints) -> np.ndarray:
    return np.asarray(value, dtype=np.int64)


def _ceil_div(value: Ints, divisor: Ints) -> np.ndarray:
    quotient: np.ndarray = -(-_ints(value) // _ints(divisor))
    return quotient


def coefficient_load_cycles(dtype: str, block_size: int) -> int:
    """Cycles to load one block's coefficients, L of popsparse-static section 5: 4, 16, 64 half; 8, 32, 128 float."""
    return block_size * block_size * item_bytes(dtype) // COEFFICIENT_BYTES_PER_CYCLE


# --- the published planner's formulas (popsparse-static 4, 5a; popsparse-dynamic 7.8) --------------------------------


def published_compute_cycles(dtype: str, block_size: int, rows: Ints, blocks_per_row: Ints, n: Ints) -> np.ndarray:
    """Compute cycles as the published planner estimates them (matmulComputeCycles; popsparse-static 5a).

    rows, blocks_per_row, n: block rows, nonzero blocks in each, and columns of one worker (b = 1) or of the vertex's
    widest worker (b > 1). Raises PlanError for a block size without a codelet.
    """
    m, k, n = _ints(rows), _ints(blocks_per_row), _ints(n)
    if block_size == 1:
        return WORKERS * _published_element_slots(dtype, m, k, n)
    header, per_row, per_block = _published_block_slots(dtype, block_size, n)
    load = coefficient_load_cycles(dtype, block_size)
    cycles: np.ndarray = (
        _SUPERVISOR_CYCLES
        + WORKERS * header
        + m * (WORKERS * per_row + _ROW_CYCLES + k * (_BLOCK_CYCLES + load + WORKERS * per_block))
    )
    return cycles


def _published_element_slots(dtype: str, m: np.ndarray, k: np.ndarray, n: np.ndarray) -> np.ndarray:
    if dtype == "float16":
        narrow, wide = 31 + m * (7 + 2 * (k - 1)), 31 + m * (8 + 3 * (k - 1))
        chunks = n // 8 * (14 + 3 * (k - 1)) + (n % 8 != 0) * (9 + 2 * (k - 1))
        return _ints(np.where(n == 4, narrow, np.where(n == 8, wide, 33 + m * (11 + chunks))))
    narrow, wide = 29 + m * (5 + 2 * (k - 1)), 30 + m * (6 + 3 * (k - 1))
    chunks = n // 4 * (10 + 3 * (k - 1)) + (n % 4 != 0) * (10 + 2 * (k - 1))
    return _ints(np.where(n == 2, narrow, np.where(n == 4, wide, 31 + m * (12 + chunks))))


def _published_block_slots(dtype: str, block_size: int, n: np.ndarray) -> Tuple[int, int, np.ndarray]:
    """(h, e, y) of the table in popsparse-static 5a."""
    table: Dict[Tuple[str, int], Tuple[int, int, np.ndarray]] = {
        ("float16", 4): (17, 1, np.where(n <= 2, 7 + n, 13 + n)),
        ("float16", 8): (13, 1, 14 + 2 * (n - 1)),
        ("float16", 16): (13, 1, 19 + 4 * (n - 1)),
        ("float32", 4): (13, 1, 12 + 4 * (n - 1)),
        ("float32", 8): (13, 4, 19 + 8 * (n - 1)),
        ("float32", 16): (16, 4, np.where(n == 1, 58, 2 * (37 + 8 * (n - 1)))),
    }
    return table[_known(table, dtype, block_size)]


def _known(table: Mapping[Tuple[str, int], object], dtype: str, block_size: int) -> Tuple[str, int]:
    if (dtype, block_size) not in table:
        raise PlanError(f"no cycle rule for {dtype} blocks of {block_size}: expected float16 or float32 and 4, 8 or 16")
    return dtype, block_size


def published_reduce_cycles(num_outputs: Ints, sources: Ints, partials_dtype: str, out_dtype: str) -> np.ndarray:
    """Cycles to sum `sources` partials for each of `num_outputs` elements, RED of popsparse-static section 4."""
    grains = _ceil_div(_ceil_div(num_outputs, WORKERS), reduce_grain(partials_dtype))
    cycles: np.ndarray = WORKERS * (16 + grains * (reduce_grain_slots(partials_dtype, out_dtype) + _ints(sources) - 1))
    return cycles


def published_general_reduce_cycles(
    num_outputs: Ints, sources: Ints, partials_dtype: str, out_dtype: str
) -> np.ndarray:
    """Cycles of the published library's general reduction (getReduceCycleEstimate; popsparse-dynamic 7.8)."""
    out, p = _ints(num_outputs), _ints(sources)
    half = partials_dtype == "float16"
    vector, tail = (8, 11) if half else (4, 13)
    per_loop = 3 * p + (7 if out_dtype == "float32" else 6) + (2 if half else 0)
    loops = out // vector
    for bit in (1, 2, 4)[: 3 if half else 2]:
        loops = loops + ((out & bit) != 0)
    uneven, ragged = loops % WORKERS != 0, out % vector != 0
    base = 32 + np.where(uneven & ragged, 2 * p + tail, 0)
    cycles: np.ndarray = WORKERS * (base + (loops // WORKERS + (uneven & ~ragged)) * per_loop)
    return cycles


def published_zero_cycles(block_rows: Ints, n: Ints, block_size: int, dtype: str) -> np.ndarray:
    """Cycles to zero block_rows x block_size x n partials (zeroingCycles; popsparse-static section 4)."""
    return zero_cycles(_ints(block_rows) * block_size * _ints(n) * item_bytes(dtype) // 8 * 8)


def published_worklist_entries(block_size: int, rows: Ints) -> np.ndarray:
    """16-bit entries of a work list as the published check counts them.

    It counts one entry for all nonzeros instead of one each (bug B1, popsparse-static 8.1), so they are no argument.
    """
    per_worker, per_row = (6, 1) if block_size == 1 else (2, 2)
    entries: np.ndarray = per_worker * WORKERS + per_row * _ints(rows) + 1
    return entries


# --- exact slots of the multiplying codelets (popsparse-static 5b) ---------------------------------------------------


class ElementSlots(NamedTuple):
    """Issue slots of a b = 1 worker: with_rows + rows * per_row + nonzeros * per_nonzero, or else without_rows."""

    with_rows: np.ndarray
    without_rows: np.ndarray
    per_row: np.ndarray
    per_nonzero: np.ndarray


def element_row_slots(dtype: str, n: Ints, partials_dtype: Optional[str] = None) -> ElementSlots:
    """Slots of a b = 1 worker of n columns, affine in its rows and nonzeros; n in whole 8-byte grains.

    Source: popsparse-static 5b, counted. float16 with float32 partials has no published codelet: one more store slot
    per row and 4 columns is assumed.
    """
    n = _ints(n)
    if dtype == "float16":
        wide, narrow = n // 8, (n % 8 != 0).astype(np.int64)
        base = np.where(n == 8, 30, np.where(n == 4, 31, 33))
        per_row = np.where(n == 8, 7, np.where(n == 4, 5, 12 + 11 * wide + 7 * narrow))
        if partials_dtype == "float32":
            per_row = per_row + _ceil_div(n, 4)
    else:
        wide, narrow = n // 4, (n % 4 != 0).astype(np.int64)
        base = np.where((n == 4) | (n == 2), 30, 33)
        per_row = np.where(n == 4, 6, np.where(n == 2, 5, 12 + 10 * wide + 11 * narrow))
    per_nonzero, idle = 3 * wide + 2 * narrow, np.full_like(n, 21)
    works = n > 0
    return ElementSlots(np.where(works, base, idle), idle, np.where(works, per_row, 0), per_nonzero)


def element_worker_slots(dtype: str, partials_dtype: str, n: Ints, num_rows: Ints, num_nonzeros: Ints) -> np.ndarray:
    """Issue slots of a b = 1 worker with num_nonzeros in num_rows rows, for n columns (popsparse-static 5b)."""
    slots, rows = element_row_slots(dtype, n, partials_dtype), _ints(num_rows)
    busy = slots.with_rows + rows * slots.per_row + _ints(num_nonzeros) * slots.per_nonzero
    return np.where(rows > 0, busy, slots.without_rows)


def element_vertex_cycles(dtype: str, partials_dtype: str, n: Ints, num_rows: Ints, num_nonzeros: Ints) -> np.ndarray:
    """Tile cycles of b = 1 vertices: the slowest of the workers, which lie along the last axis [..., workers]."""
    cycles: np.ndarray = WORKERS * element_worker_slots(dtype, partials_dtype, n, num_rows, num_nonzeros).max(axis=-1)
    return cycles


class BlockSlots(NamedTuple):
    """Worker slots of a b > 1 vertex: header once, first per block row, other per further block of a row."""

    header: np.ndarray
    first: np.ndarray
    other: np.ndarray


def block_slots(dtype: str, partials_dtype: str, block_size: int, n_worker: Ints) -> BlockSlots:
    """Worker slots of a b > 1 vertex whose widest worker has n_worker columns (h, F, O of popsparse-static 5b).

    float16 with float32 partials has no published static codelet: assumed, from the half rate of the dynamic codelets
    of that kind (popsparse-dynamic 7.5) with two more slots of in and out; 16 x 16 takes two weight loads.
    Raises PlanError for a block size or types without a codelet.
    """
    n = _ints(n_worker)
    table: Dict[Tuple[str, int], Tuple[Ints, Ints, Ints, int, int]]  # h, F, O, F and O of a worker without columns
    if dtype == "float16" and partials_dtype == "float32":
        table = {
            (dtype, 4): (14, 16 + 2 * (n - 1), 15 + 2 * (n - 1), 7, 4),
            (dtype, 8): (13, 18 + 4 * (n - 1), 16 + 4 * (n - 1), 6, 2),
            (dtype, 16): (13, 43 + 8 * (n - 1), 42 + 8 * (n - 1), 8, 4),
        }
    else:
        half_body = np.where(n == 1, 29, 30 + 8 * (n - 1))
        table = {
            ("float16", 4): (14, np.where(n <= 2, 10 + n, 13 + n), np.where(n <= 2, 7 + n, 12 + n), 7, 4),
            ("float16", 8): (13, 16 + 2 * (n - 1), 14 + 2 * (n - 1), 6, 2),
            ("float16", 16): (13, 20 + 4 * (n - 1), 19 + 4 * (n - 1), 6, 2),
            ("float32", 4): (13, 14 + 4 * (n - 1), 13 + 4 * (n - 1), 8, 7),
            ("float32", 8): (13, 23 + 8 * (n - 1), 19 + 8 * (n - 1), 11, 7),
            ("float32", 16): (np.where(n == 1, 17, 16), 2 * half_body + 4, 2 * half_body, 14, 10),
        }
    header, first, other, first_idle, other_idle = table[_known(table, dtype, block_size)]
    works = n > 0
    return BlockSlots(_ints(header), np.where(works, first, first_idle), np.where(works, other, other_idle))


def block_vertex_cycles(
    dtype: str, partials_dtype: str, block_size: int, n_worker: Ints, num_rows: Ints, num_blocks: Ints
) -> np.ndarray:
    """Tile cycles of b > 1 vertices with num_blocks blocks in num_rows block rows (popsparse-static 5b).

    n_worker: columns of the widest worker, ceil(columns of the tile / 6). The supervisor's constants (30 per vertex,
    17 per block row, 16 per block) are the published planner's; they hold its stalls besides its issue slots.
    """
    rows, blocks = _ints(num_rows), _ints(num_blocks)
    slots = block_slots(dtype, partials_dtype, block_size, n_worker)
    per_row = _ROW_CYCLES + WORKERS * (slots.first - slots.other)
    per_block = _BLOCK_CYCLES + coefficient_load_cycles(dtype, block_size) + WORKERS * slots.other
    header = np.where(blocks > 0, WORKERS * slots.header, 0)
    cycles: np.ndarray = _SUPERVISOR_CYCLES + header + rows * per_row + blocks * per_block
    return cycles


# --- this project's other vertices -----------------------------------------------------------------------------------


def reduce_grain(partials_dtype: str) -> int:
    """Outputs that a reducing worker sums at a time: 8 of float16 partials, 4 of float32 (RED, popsparse-static 4)."""
    return 16 // item_bytes(partials_dtype)


def reduce_grain_slots(partials_dtype: str, out_dtype: str) -> int:
    """Slots of one grain with one source, c0 + 6 of RED (popsparse-static 4)."""
    if partials_dtype == "float32":
        return 5 + 6
    return (8 if out_dtype == "float16" else 7) + 6


def reduce_vertex_cycles(
    segment_lengths: Ints,  # [segments] outputs, vertex after vertex
    segment_sources: Ints,  # [segments] partials to sum for each output
    partials_dtype: str,
    out_dtype: str,
    vertex_offsets: Optional[np.ndarray] = None,  # [vertices + 1] into the segments; None: all are one vertex's
) -> np.ndarray:
    """Tile cycles [vertices] of ReducePartials; its grains are dealt to the workers in turn over the whole vertex.

    A short last grain of a segment costs a whole one. Slots per grain are those of RED (popsparse-static 4).
    """
    lengths, sources = np.atleast_1d(_ints(segment_lengths)), np.atleast_1d(_ints(segment_sources))
    offsets = _ints(np.array([0, len(lengths)]) if vertex_offsets is None else vertex_offsets)
    grains = _ceil_div(lengths, reduce_grain(partials_dtype))
    ends = np.concatenate([[0], np.cumsum(grains)])
    first_of_vertex = np.repeat(ends[offsets[:-1]], np.diff(offsets))
    begin, end = ends[:-1] - first_of_vertex, ends[1:] - first_of_vertex
    worker = np.arange(WORKERS)[:, None]
    dealt = (end - worker + WORKERS - 1) // WORKERS - (begin - worker + WORKERS - 1) // WORKERS  # [workers, segments]
    slots = dealt * (reduce_grain_slots(partials_dtype, out_dtype) + np.maximum(sources, 1) - 1)
    sums = np.concatenate([np.zeros((WORKERS, 1), np.int64), np.cumsum(slots, axis=1)], axis=1)
    cycles: np.ndarray = WORKERS * (16 + (sums[:, offsets[1:]] - sums[:, offsets[:-1]]).max(axis=0))
    return cycles


def cast_cycles(num_elements: Ints, from_dtype: str, to_dtype: str) -> np.ndarray:
    """Tile cycles of Cast over num_elements; source: cast(n) of popsparse-dynamic 7.8."""
    share = _ceil_div(num_elements, WORKERS)
    loops = np.maximum(_ceil_div(share, 8 // item_bytes(from_dtype)), _ceil_div(share, 8 // item_bytes(to_dtype)))
    cycles: np.ndarray = WORKERS * (26 + loops)
    return cycles


def zero_cycles(num_bytes: Ints) -> np.ndarray:
    """Tile cycles to zero num_bytes: 12 slots and one per 8-byte word of a worker; source: popsparse-static 5b."""
    cycles: np.ndarray = WORKERS * (12 + _ceil_div(_ceil_div(num_bytes, 8), WORKERS))
    return cycles


def copy_cycles(num_bytes: Ints) -> np.ndarray:
    """Tile cycles to copy num_bytes within a tile: as zero_cycles, with a load and a store per word (assumed)."""
    cycles: np.ndarray = WORKERS * (12 + 2 * _ceil_div(_ceil_div(num_bytes, 8), WORKERS))
    return cycles


def _of_elements(rule: Callable[[Ints], np.ndarray], dtype: str, count: Ints) -> np.ndarray:
    return rule(_ints(count) * item_bytes(dtype))


def _vertex_rules() -> Dict[str, Callable[..., np.ndarray]]:
    types = {"half": "float16", "float": "float32"}
    rules: Dict[str, Callable[..., np.ndarray]] = {}
    for data, sums in (("half", "half"), ("half", "float"), ("float", "float")):
        rules[f"StaticElementDot<{data},{sums}>"] = partial(element_vertex_cycles, types[data], types[sums])
        for b in (4, 8, 16):
            rules[f"StaticBlockDot<{data},{sums},{b}>"] = partial(block_vertex_cycles, types[data], types[sums], b)
    for sums, out in (("half", "half"), ("float", "float"), ("float", "half")):
        rules[f"ReducePartials<{sums},{out}>"] = partial(
            reduce_vertex_cycles, partials_dtype=types[sums], out_dtype=types[out]
        )
    for source, out in (("float", "half"), ("half", "float")):
        rules[f"Cast<{source},{out}>"] = partial(cast_cycles, from_dtype=types[source], to_dtype=types[out])
    for name, dtype in types.items():
        rules[f"Zero<{name}>"] = partial(_of_elements, zero_cycles, dtype)
        rules[f"Copy<{name}>"] = partial(_of_elements, copy_cycles, dtype)
    return {f"popsparse_py::{name}": rule for name, rule in rules.items()}


# Vertex name -> rule, called with what differs between its vertices: StaticElementDot (n, num_rows, num_nonzeros, each
# [..., workers]); StaticBlockDot (n_worker, num_rows, num_blocks); ReducePartials (segment_lengths, segment_sources,
# vertex_offsets=None); Zero, Cast, Copy (count of elements).
VERTEX_CYCLES: Dict[str, Callable[..., np.ndarray]] = _vertex_rules()
