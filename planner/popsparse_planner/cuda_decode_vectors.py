"""Work lists of the CUDA kernel for few columns and any block size, values packed in the order in which they are read.

A step is 8 rows of Y in groups of `side` rows, each group times 16 rows of X of its own, so that only values of blocks
are stored; k is cut into ranges as in cuda_decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .cuda_decode import ranges_of
from .cuda_machine import LANES, VECTOR_DEPTH, VECTOR_ROWS
from .cuda_streams import Pieces, pieces_of
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
    """How a pattern is cut into steps. A cell is up to 8 rows of Y in one range of k, and has at least one step.

    place: int64 (ranges, piece rows) where a row of pieces stands in its range, rows with as many pieces together:
    8 / side of them make a cell; steps_of_cell: int64 (ranges, cells of a range).
    """

    pieces: Pieces
    ranges: int
    range_rows: int
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
        cells = self.steps_of_cell.shape[0] * self.steps_of_cell.shape[1]
        return int(self.steps * 2 * (STEP_VALUES + starts) + cells * 4 * groups)

    def blocks(self, multiprocessors: int) -> int:
        """Blocks of threads for each range: one for every multiprocessor, no more than there is work for."""
        return max(1, min(-(-int(self.steps_of_cell.shape[1]) // WARPS), multiprocessors // self.ranges))


@dataclass(frozen=True)
class DecodeVectorStream:
    """Work lists (DecodeVectorsArguments in cpp/cuda/arguments.cuh).

    sources: int32 (steps * 128): element of values, -1: zero; starts: uint16 (steps, 16 / side, 8 / side); begins:
    uint32 (ranges, warps + 1, 2); rows: int32 (cells, 8 / side).
    """

    sources: Array
    starts: Array
    begins: Array
    rows: Array

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.starts, self.begins, self.rows)


def decode_steps(
    pattern: BlockPattern, n: int, shared_bytes: int, multiprocessors: int, *, transposed: bool = False
) -> DecodeSteps:
    """The steps of W, or of its transpose, times n columns. PlanError beyond 2^31 stored values."""
    if pattern.nnz_blocks * pattern.block_size**2 >= 1 << 31:
        raise PlanError(f"W has {pattern.nnz:,} stored values: the gathered kernels number fewer than {1 << 31:,}")
    side = decode_vectors_side(pattern.block_size)
    pieces = pieces_of(pattern, side, transposed=transposed)
    rows, per_cell = pieces.grid[0], VECTOR_ROWS // side
    sides = -(-pieces.grid[1] * side // VECTOR_DEPTH) * VECTOR_DEPTH, rows * side
    ranges, range_rows = ranges_of(sides, n, decode_vectors_columns(n), shared_bytes, multiprocessors)
    line = pieces.inner * side // range_rows * rows + pieces.out
    work = np.bincount(line, minlength=ranges * rows).reshape(ranges, rows)
    order = np.argsort(-work, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(rows)[None], axis=1)
    most = np.take_along_axis(work, order, axis=1)[:, ::per_cell]  # of each cell
    return DecodeSteps(pieces, ranges, range_rows, place, np.maximum(1, -(-most * side // VECTOR_DEPTH)))


def decode_vector_stream(cut: DecodeSteps, blocks: int, *, transposed: bool = False) -> DecodeVectorStream:
    """Lists of the steps for so many blocks of threads in each range: cells dealt to warps by their steps."""
    pieces, side, (ranges, cells) = cut.pieces, cut.pieces.side, cut.steps_of_cell.shape
    warps, groups = blocks * WARPS, VECTOR_ROWS // side
    turn, place_in_turn = np.divmod(np.arange(cells), warps)  # the heaviest cell to each warp in turn, then back
    warp = np.where(turn % 2 == 0, place_in_turn, warps - 1 - place_in_turn)
    order = (np.argsort(warp, kind="stable") + np.arange(ranges)[:, None] * cells).ravel()  # cells as they are streamed
    steps = cut.steps_of_cell.ravel()[order]
    ends = np.cumsum(steps)
    first_step = np.empty_like(ends)
    first_step[order] = ends - steps
    which = pieces.inner * side // cut.range_rows
    place = cut.place[which, pieces.out]
    vector = _position(pieces, which * pieces.grid[0] + pieces.out) * side
    step, position = first_step[which * cells + place // groups] + vector // VECTOR_DEPTH, vector % VECTOR_DEPTH
    group, total = place % groups, cut.steps
    starts = np.full((total, VECTOR_DEPTH // side, groups), cut.range_rows, dtype=np.uint16)  # rows of zeros
    starts[step, position // side, group] = pieces.inner * side % cut.range_rows
    starts[ends - 1] |= LAST_STEP
    rows = np.full((ranges, cells * groups), -1, dtype=np.int32)
    np.put_along_axis(rows, cut.place, np.arange(pieces.grid[0], dtype=np.int32)[None] * side, axis=1)
    return DecodeVectorStream(
        sources=sources_of(pieces, total, (step, group * side, position), transposed),
        starts=starts,
        begins=_begins(warp, ends, ranges, warps),
        rows=rows.reshape(-1, groups)[order],
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


def _begins(warp: Array, ends: Array, ranges: int, warps: int) -> Array:
    """uint32 (ranges, warps + 1, 2): where each warp's steps and its cells begin.

    warp: of each cell of a range; ends: of the steps of every cell as they are streamed.
    """
    cells = begins_of((warp + np.arange(ranges)[:, None] * warps).ravel(), ranges * warps).astype(np.int64)
    both: Array = np.stack([np.append(0, ends)[cells], cells], axis=1).astype(np.uint32)
    return np.ascontiguousarray(both[np.arange(ranges)[:, None] * warps + np.arange(warps + 1)])
