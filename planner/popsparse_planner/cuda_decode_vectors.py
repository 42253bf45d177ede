"""Work lists of the CUDA kernel for few columns and any block size, values packed in the order in which they are read.

A step is 8 rows of Y in groups of `side` rows, each group times 16 rows of X of its own, so that only values of blocks
are stored; k is cut into ranges as in cuda_decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .cuda_decode import DecodeCut, decode_cut, range_bytes
from .cuda_machine import LANES, VECTOR_DEPTH, VECTOR_ROWS, CudaMachine
from .cuda_streams import Pieces, inside, pieces_of
from .cuda_tiles import begins_of
from .cuda_vectors import STEP_VALUES, sources_of
from .errors import PlanError
from .pattern import BlockPattern

Array = np.ndarray
COLUMNS = (16, 32)  # of X that kernels exist for
WARPS = 16  # of a block of threads
THREADS = WARPS * LANES
LAST_STEP = 0x8000


def decode_vectors_columns(n: int) -> int:
    """Columns of the smallest kernel that takes n."""
    return next(columns for columns in COLUMNS if n <= columns)


def decode_vectors_side(block_size: int) -> int:
    """Side of the pieces that the kernel cuts blocks of this size into."""
    return next(side for side in (8, 4, 1) if block_size % side == 0)


@dataclass(frozen=True)
class DecodeSteps:
    """How a pattern is cut into steps. A line is a row of pieces; a cell is up to 8 / side lines of one part in one
    range of k, those with as many pieces together, and has at least one step.

    part, local: int64 (lines): part of each line and its number there; place: int64 (ranges, parts, lines of a part):
    where a line stands in its range; steps_of_cell: int64 (ranges, parts, cells).
    """

    pieces: Pieces
    cut: DecodeCut
    part: Array
    local: Array
    place: Array
    steps_of_cell: Array

    @property
    def steps(self) -> int:
        """Steps of all warps."""
        return int(self.steps_of_cell.sum())

    @property
    def streamed_bytes(self) -> int:
        """Bytes of all steps: values, and the rows of X and of Y that they name."""
        groups = VECTOR_ROWS // self.pieces.side
        starts = VECTOR_DEPTH // self.pieces.side * groups
        cells = int(np.prod(self.steps_of_cell.shape))
        return int(self.steps * 2 * (STEP_VALUES + starts) + cells * 4 * groups)

    @property
    def lines_of_part(self) -> int:
        """Lines, with those that no row of Y is in."""
        return int(self.place.shape[2])

    def shared_bytes(self, columns: int) -> int:
        """Of a block of threads: a range of X, and partial results that its cluster adds."""
        sums = self.lines_of_part * self.pieces.side * columns * 4 if self.cut.clustered else 0
        return range_bytes(self.cut.range_rows, columns) + sums


@dataclass(frozen=True)
class DecodeVectorStream:
    """Work lists (DecodeVectorsArguments in cpp/cuda/arguments.cuh).

    sources: int32 (steps * 128): element of values, -1: zero; starts: uint16 (steps, 16 / side, 8 / side); begins:
    uint32 (ranges, warps + 1, 2); rows: int32 (cells, 8 / side); lines: int32 (parts, lines of a part).
    """

    sources: Array
    starts: Array
    begins: Array
    rows: Array
    lines: Array

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.starts, self.begins, self.rows)


def decode_steps(
    pattern: BlockPattern, n: int, machine: CudaMachine, multiprocessors: int, *, transposed: bool = False
) -> DecodeSteps:
    """The steps of W, or of its transpose, times n columns. PlanError beyond 2^31 stored values."""
    if pattern.nnz_blocks * pattern.block_size**2 >= 1 << 31:
        raise PlanError(f"W has {pattern.nnz:,} stored values: the gathered kernels number fewer than {1 << 31:,}")
    side = decode_vectors_side(pattern.block_size)
    pieces = inside(pieces_of(pattern, side, transposed=transposed))
    rows, per_cell = pieces.grid[0], VECTOR_ROWS // side
    sides = -(-pieces.grid[1] * side // VECTOR_DEPTH) * VECTOR_DEPTH, rows * side
    held = (decode_vectors_columns(n), VECTOR_ROWS)
    cut = decode_cut(sides, n, len(pieces.offsets) * side * side, machine, multiprocessors, held)
    part, local = _dealt(np.bincount(pieces.out, minlength=rows), cut.blocks)
    lines = -(-(int(local.max(initial=0)) + 1) // per_cell) * per_cell
    which = pieces.inner * side // cut.range_rows
    line = (which * cut.blocks + part[pieces.out]) * lines + local[pieces.out]
    work = np.bincount(line, minlength=cut.ranges * cut.blocks * lines).reshape(cut.ranges, cut.blocks, lines)
    order = np.argsort(-work, axis=2, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(lines)[None, None], axis=2)
    most = np.take_along_axis(work, order, axis=2)[:, :, ::per_cell]  # of each cell
    return DecodeSteps(pieces, cut, part, local, place, np.maximum(1, -(-most * side // VECTOR_DEPTH)))


def _dealt(work: Array, owners: int) -> Tuple[Array, Array]:
    """int64 (items) owner of each item and its number there: the heaviest to each owner in turn, then back."""
    order = np.argsort(-work, kind="stable")
    turn, place = np.divmod(np.arange(len(work)), owners)
    owner, number = np.empty_like(order), np.empty_like(order)
    owner[order], number[order] = np.where(turn % 2 == 0, place, owners - 1 - place), turn
    return owner, number


def decode_vector_stream(cut: DecodeSteps, *, transposed: bool = False) -> DecodeVectorStream:
    """Lists of the steps: cells dealt to the warps of their block of threads."""
    pieces, side, (ranges, parts, cells) = cut.pieces, cut.pieces.side, cut.steps_of_cell.shape
    groups, lines = VECTOR_ROWS // side, cut.lines_of_part
    warp, _ = _dealt(-np.arange(cells), WARPS)  # they are in the order of their steps
    order = (np.argsort(warp, kind="stable") + np.arange(ranges * parts)[:, None] * cells).ravel()  # as streamed
    steps = cut.steps_of_cell.ravel()[order]
    ends = np.cumsum(steps)
    first_step = np.empty_like(ends)
    first_step[order] = ends - steps
    which, part = pieces.inner * side // cut.cut.range_rows, cut.part[pieces.out]
    place = cut.place[which, part, cut.local[pieces.out]]
    vector = _position(pieces, which * pieces.grid[0] + pieces.out) * side
    cell = (which * parts + part) * cells + place // groups
    step, position = first_step[cell] + vector // VECTOR_DEPTH, vector % VECTOR_DEPTH
    group, total = place % groups, cut.steps
    starts = np.full((total, VECTOR_DEPTH // side, groups), cut.cut.range_rows, dtype=np.uint16)  # rows of zeros
    starts[step, position // side, group] = pieces.inner * side % cut.cut.range_rows
    starts[ends - 1] |= LAST_STEP
    owned = np.full((parts, lines), -1, dtype=np.int32)
    owned[cut.part, cut.local] = np.arange(pieces.grid[0]) * side
    named = np.where(owned >= 0, np.arange(lines) * side, -1) if cut.cut.clustered else owned
    rows = np.empty((ranges, parts, lines), dtype=np.int32)
    np.put_along_axis(rows, cut.place, np.broadcast_to(named.astype(np.int32), rows.shape), axis=2)
    return DecodeVectorStream(
        sources=sources_of(pieces, total, (step, group * side, position), transposed),
        starts=starts,
        begins=_begins(warp, ends, ranges, parts),
        rows=rows.reshape(-1, groups)[order],
        lines=owned,
    )


def _position(pieces: Pieces, line: Array) -> Array:
    """Number of each piece among those of its line: 8 rows of X that follow one another in it differ modulo 8, as far
    as there are such, so that they lie in different banks.
    """
    kinds = VECTOR_ROWS // pieces.side
    kind = pieces.inner % kinds
    number = _number_among_equals(line * kinds + kind)
    deepest = int(number.max(initial=0)) + 1
    return _number_among_equals(line, (line * deepest + number) * kinds + kind)


def _number_among_equals(key: Array, order_by: Optional[Array] = None) -> Array:
    """How many of the same key stand before each one, in the order of `order_by`, which is the key's too."""
    order = np.argsort(key if order_by is None else order_by, kind="stable")
    ordered = key[order]
    number = np.empty(len(key), dtype=np.int64)
    number[order] = np.arange(len(key)) - np.searchsorted(ordered, ordered, side="left")
    return number


def _begins(warp: Array, ends: Array, ranges: int, parts: int) -> Array:
    """uint32 (ranges, warps + 1, 2): where each warp's steps and its cells begin.

    warp: of each cell of a part in a range; ends: of the steps of every cell as they are streamed.
    """
    warps = parts * WARPS
    owner = (warp + np.arange(ranges * parts)[:, None] * WARPS).ravel()
    cells = begins_of(owner, ranges * warps).astype(np.int64)
    both: Array = np.stack([np.append(0, ends)[cells], cells], axis=1).astype(np.uint32)
    return np.ascontiguousarray(both[np.arange(ranges)[:, None] * warps + np.arange(warps + 1)])
