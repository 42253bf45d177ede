"""Work lists of the CUDA kernel that gathers rows of X: blocks of less than 16 rows, single elements included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .cuda_machine import SLAB_ROWS, VECTOR_DEPTH, VECTOR_ROWS, WARPS
from .cuda_streams import Pieces, begins_of, deal, pieces_of
from .errors import PlanError
from .pattern import BlockPattern

Array = np.ndarray
STEP_VALUES = VECTOR_ROWS * VECTOR_DEPTH


@dataclass(frozen=True)
class VectorStream:
    """Work lists of the gathered kernel (VectorsArguments in cpp/cuda/arguments.cuh), steps of 8 rows times 16.

    sources: int32 (steps * 128): element of values, -1: zero, in the order of the lanes; stream: uint32 (steps);
    k_rows: uint8 (steps, 16); begins: uint32 (warps + 1); rows: int32 (warps * slots, 8); groups: blocks of threads.
    """

    sources: Array
    stream: Array
    k_rows: Array
    begins: Array
    rows: Array
    groups: int

    @property
    def steps(self) -> int:
        """Steps of all warps for each 64 columns of X."""
        return len(self.stream)

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.k_rows, self.begins, self.rows)


def vector_side(block_size: int) -> int:
    """Side of the pieces that the gathered kernel cuts blocks of this size into."""
    return math.gcd(block_size, VECTOR_ROWS)


def vector_stream(pattern: BlockPattern, slots: int, *, transposed: bool = False) -> VectorStream:
    """Lists for any block size; slots: groups of 8 rows of a warp. PlanError beyond 2^31 stored values."""
    if pattern.nnz_blocks * pattern.block_size**2 >= 1 << 31:
        raise PlanError(f"W has {pattern.nnz:,} stored values: the gathered kernel numbers fewer than {1 << 31:,}")
    side = vector_side(pattern.block_size)
    pieces = pieces_of(pattern, side, transposed=transposed)
    per_group = VECTOR_ROWS // side
    groups = -(-pieces.grid[0] // per_group)
    columns = pieces.grid[1]
    # Pieces of one group of rows at the same rows of X share `side` vectors.
    key = pieces.out // per_group * columns + pieces.inner
    pairs, of_piece = np.unique(key, return_inverse=True)
    of_piece = of_piece.reshape(-1)
    group, inner = pairs // columns, pairs % columns
    slab = inner * side // SLAB_ROWS
    slabs = -(-columns * side // SLAB_ROWS)
    cell = group * slabs + slab
    first = np.searchsorted(cell, cell, side="left")
    vector = (np.arange(len(pairs)) - first) * side  # number of the pair's first vector in its group and slab
    cells, vectors = np.unique(cell, return_counts=True)
    steps_of_cell = -(-vectors * side // VECTOR_DEPTH)
    work = np.bincount(cells // slabs, weights=steps_of_cell, minlength=groups)
    place, warps = deal(work, WARPS, slots)
    cell_place = place[cells // slabs]
    order = np.lexsort((cell_place % slots, cells % slabs, cell_place // slots))
    begin_of_cell = np.empty(len(cells), dtype=np.int64)
    begin_of_cell[order] = np.cumsum(steps_of_cell[order]) - steps_of_cell[order]
    step = begin_of_cell[np.searchsorted(cells, cell)] + vector // VECTOR_DEPTH
    repeated = np.repeat(order, steps_of_cell[order])
    stream = (cells[repeated] % slabs | cell_place[repeated] % slots << 24).astype(np.uint32)
    total = len(stream)
    k_rows = _k_rows(total, step, vector % VECTOR_DEPTH, inner * side % SLAB_ROWS, side)
    sources = _sources(pieces, total, step[of_piece], vector[of_piece] % VECTOR_DEPTH, transposed)
    rows = _rows(place, groups, warps * slots, pieces.grid[0] * side)
    begins = begins_of(cell_place[repeated] // slots, warps)
    return VectorStream(sources, stream, k_rows, begins, rows, warps // WARPS)


def _k_rows(steps: int, step: Array, position: Array, row: Array, side: int) -> Array:
    """uint8 (steps, 16); a place that no vector takes names the row of the step's first one."""
    found = np.full((steps, VECTOR_DEPTH), -1, dtype=np.int64)
    for j in range(side):
        found[step, position + j] = row + j
    return np.where(found < 0, found[:, :1], found).astype(np.uint8)


def _sources(pieces: Pieces, steps: int, step: Array, position: Array, transposed: bool) -> Array:
    """int32 (steps * 128): lane 4 * row + v % 8 / 2 holds vectors v, v + 1 and those 8 further."""
    side = pieces.side
    found = np.full(steps * STEP_VALUES, -1, dtype=np.int32)
    first_row = pieces.out % (VECTOR_ROWS // side) * side
    for i in range(side):
        for j in range(side):
            row, v = first_row + i, position + j
            lane = row * 4 + v % 8 // 2
            element = pieces.offsets + (j * pieces.pitch + i if transposed else i * pieces.pitch + j)
            found[step * STEP_VALUES + lane * 4 + v // 8 * 2 + v % 2] = element
    return found


def _rows(place: Array, groups: int, slots: int, rows: int) -> Array:
    """int32 (slots, 8): rows of Y of every slot."""
    found = np.full((slots, VECTOR_ROWS), -1, dtype=np.int32)
    numbers = np.arange(groups * VECTOR_ROWS, dtype=np.int32).reshape(groups, VECTOR_ROWS)
    found[place] = np.where(numbers < rows, numbers, -1)
    return found
