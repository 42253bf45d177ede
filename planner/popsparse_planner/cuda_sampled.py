"""Work lists of the CUDA kernels for dY X^T at W's blocks: cells of 16 x 16, dealt so that neighbours share rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from .cuda_streams import OFFSET_UNIT, Pieces, pieces_of
from .errors import PlanError
from .pattern import BlockPattern

Array = np.ndarray
CELL = 16  # side of a cell, rows of a panel of dY or of X
SAMPLED_WARPS, SAMPLED_SLOTS = 8, 16
SAMPLED_THREADS = 256
CELLS_AT_ONCE = SAMPLED_WARPS * SAMPLED_SLOTS
STAGES, PANEL_BYTES = 2, 1024
BAND = 32  # panels of dY that a block of threads may draw from
NO_CELL = 0xFFFFFFFF


@dataclass(frozen=True)
class Cells:
    """Cells of 16 x 16 that cover W's blocks, by band of rows, then column, then row.

    rows, columns: int64 (cells), in cells; offsets: int64 (cells): element of values / 16, or the cell's number with
    places: int32 (cells, 256): element of values of each place of a cell, -1 where W has no block; None if cells are
    whole parts of blocks, pitch elements from row to row.
    """

    rows: Array
    columns: Array
    offsets: Array
    places: Optional[Array]
    pitch: int


def cells_of(pattern: BlockPattern) -> Cells:
    """The cells that the blocks of a pattern lie in."""
    b = pattern.block_size
    if b % CELL == 0:
        pieces = pieces_of(pattern, CELL)
        order = np.lexsort((pieces.out, pieces.inner, pieces.out // BAND))
        return Cells(pieces.out[order], pieces.inner[order], pieces.offsets[order] // OFFSET_UNIT, None, b)
    if pattern.nnz_blocks * b * b >= 1 << 31:
        raise PlanError(f"W has {pattern.nnz:,} stored values: blocks of {b} are sampled below {1 << 31:,}")
    pieces = pieces_of(pattern, math.gcd(b, CELL))
    side, columns = pieces.side, -(-pieces.grid[1] * pieces.side // CELL)
    key = (pieces.out * side // CELL) * columns + pieces.inner * side // CELL
    cells, of_piece = np.unique(key, return_inverse=True)
    row, column = cells // columns, cells % columns
    order = np.lexsort((row, column, row // BAND))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    places = _places(pieces, number[of_piece.reshape(-1)], len(cells))
    return Cells(row[order], column[order], np.arange(len(cells)), places, b)


def _places(pieces: Pieces, cell: Array, cells: int) -> Array:
    found = np.full((cells, CELL * CELL), -1, dtype=np.int32)
    first = pieces.out * pieces.side % CELL * CELL + pieces.inner * pieces.side % CELL
    for i in range(pieces.side):
        for j in range(pieces.side):
            found[cell, first + i * CELL + j] = pieces.offsets + i * pieces.pitch + j
    return found


@dataclass(frozen=True)
class SampledStream:
    """Work lists of the kernel for 16-bit elements (SampledArguments in cpp/cuda/arguments.cuh); groups: CTAs."""

    panels: Array
    begins: Array
    cells: Array
    places: Optional[Array]
    pitch: int
    groups: int
    stage_bytes: int

    @property
    def arrays(self) -> Tuple[Optional[Array], ...]:
        """In the order of the kernel's arguments."""
        return (self.panels, self.begins, self.cells, self.places)


def sampled_stream(pattern: BlockPattern, shared_bytes: int) -> SampledStream:
    """Lists for any block size: blocks of threads with up to 128 cells and as many panels as shared_bytes hold."""
    cells = cells_of(pattern)
    most = min(shared_bytes // (STAGES * PANEL_BYTES), 2 * CELLS_AT_ONCE)
    ends = _ends(cells, most)
    panels: List[Array] = []
    begins, first, begin = [], 0, 0
    table = np.empty((len(ends), SAMPLED_WARPS, SAMPLED_SLOTS, 2), dtype=np.uint32)
    table[...] = NO_CELL
    for group, end in enumerate(ends):
        rows, row_of = np.unique(cells.rows[first:end], return_inverse=True)
        columns, column_of = np.unique(cells.columns[first:end], return_inverse=True)
        place = np.arange(end - first)
        words = row_of.reshape(-1) | (len(rows) + column_of.reshape(-1)) << 16
        table[group, place % SAMPLED_WARPS, place // SAMPLED_WARPS, 0] = words
        table[group, place % SAMPLED_WARPS, place // SAMPLED_WARPS, 1] = cells.offsets[first:end]
        begins += [begin, len(rows), len(rows) + len(columns)]
        panels += [rows * CELL, columns * CELL]
        first, begin = end, begin + len(rows) + len(columns)
    return SampledStream(
        np.concatenate(panels).astype(np.int32) if panels else np.zeros(0, np.int32),
        np.array(begins, dtype=np.uint32),
        table.reshape(-1, 2),
        cells.places,
        cells.pitch,
        len(ends),
        max(begins[2::3], default=0) * PANEL_BYTES,
    )


def _ends(cells: Cells, most_panels: int) -> List[int]:
    """Where each block of threads ends: whole columns of one band while cells and panels fit."""
    if not len(cells.rows):
        return []
    bits = np.left_shift(np.int64(1), cells.rows % BAND)
    band = cells.rows // BAND
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(band) != 0) | (np.diff(cells.columns) != 0)]))
    masks = np.bitwise_or.reduceat(bits, starts)
    stops = np.append(starts[1:], len(bits))
    ends: List[int] = []
    held, mask, columns, current = 0, 0, 0, int(band[0])
    for start, stop, new in zip(starts.tolist(), stops.tolist(), masks.tolist()):
        union = mask | new
        full = held + stop - start > CELLS_AT_ONCE or bin(union).count("1") + columns + 1 > most_panels
        if full or int(band[start]) != current:
            ends.append(start)
            held, mask, columns, current = 0, 0, 0, int(band[start])
            union = new
        held, mask, columns = held + stop - start, union, columns + 1
    return [*ends, len(bits)]
