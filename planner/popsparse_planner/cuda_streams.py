"""Work lists of the CUDA kernels that keep rows of Y in registers: which warp multiplies which blocks, in which order.

Everything is made on the host from the pattern alone; values are read where they lie, so new values need no new list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .cuda_tiles import SlabLists, Tile, balance_of, begins_of, deal, slab_lists
from .errors import PlanError
from .pattern import BlockPattern

Array = np.ndarray
OFFSET_UNIT = 16  # elements; offsets of blocks of 16 rows and more are stored in this unit


@dataclass(frozen=True)
class Pieces:
    """Square sub-blocks of W's blocks, as the rows of Y and of X that they join see them.

    out, inner: int64 (pieces): rows of Y and of X, in units of `side`; offsets: int64 (pieces): element of values where
    each begins; pitch: elements from row to row; grid: pieces along Y and along X; shape: rows of Y and of X.
    """

    side: int
    out: Array
    inner: Array
    offsets: Array
    pitch: int
    grid: Tuple[int, int]
    shape: Tuple[int, int]


def pieces_of(pattern: BlockPattern, side: int, *, transposed: bool = False) -> Pieces:
    """W's blocks, or those of its transpose, cut into side x side; PlanError unless `side` divides the block size."""
    b = pattern.block_size
    if b % side:
        raise PlanError(f"blocks of {b} cannot be cut into pieces of {side}")
    parts = b // side
    i, j = (axis.ravel() for axis in np.indices((parts, parts)))
    rows = (pattern.rows.astype(np.int64)[:, None] * parts + i).ravel()
    columns = (pattern.cols.astype(np.int64)[:, None] * parts + j).ravel()
    inside = i * side * b + j * side
    offsets = (np.arange(pattern.nnz_blocks, dtype=np.int64)[:, None] * (b * b) + inside).ravel()
    grid = (pattern.block_grid[0] * parts, pattern.block_grid[1] * parts)
    if transposed:
        return Pieces(side, columns, rows, offsets, b, grid[::-1], pattern.shape[::-1])
    return Pieces(side, rows, columns, offsets, b, grid, pattern.shape)


@dataclass(frozen=True)
class RowLayout:
    """Where the pieces of W go under a tile: place: int64 (groups of rows) of owner * slots + slot; owners: of all
    blocks of threads; position: int64 (pieces) of each one's slab of X in the list of its cluster.
    """

    tile: Tile
    place: Array
    owners: int
    lists: SlabLists
    position: Array
    balance: float


def row_layout(pieces: Pieces, tile: Tile) -> RowLayout:
    """The layout of pieces of tile.side; PlanError beyond 2^24 rows of X."""
    if pieces.shape[1] >= 1 << 24:
        raise PlanError(f"X has {pieces.shape[1]:,} rows: the cuda kernels number at most {(1 << 24) - 1:,}")
    work = np.bincount(pieces.out, minlength=pieces.grid[0])
    place, owners = deal(work, tile)
    cluster = place[pieces.out] // (tile.slots * tile.owners * tile.cluster)
    shape = (pieces.grid[0] * pieces.side, pieces.shape[1])
    lists, position = slab_lists(cluster, pieces.inner * pieces.side // tile.slab_rows, tile, shape)
    return RowLayout(tile, place, owners, lists, position, balance_of(work, place, owners, tile))


@dataclass(frozen=True)
class RowStream:
    """Work lists of the row kernel, or of that for warpgroups (RowsArguments in cpp/cuda/arguments.cuh).

    stream: uint32 (blocks, 2); begins: uint32 (owners + 1); rows: int32 (owners * slots); groups: blocks of threads.
    """

    tile: Tile
    stream: Array
    begins: Array
    rows: Array
    pitch: int
    groups: int
    lists: SlabLists

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.begins, self.rows)


def row_stream(pattern: BlockPattern, tile: Tile, *, transposed: bool = False) -> RowStream:
    """Lists for blocks of a multiple of tile.side, see cuda_tiles.tiles."""
    pieces = pieces_of(pattern, tile.side, transposed=transposed)
    layout = row_layout(pieces, tile)
    rows = np.full(layout.owners * tile.slots, -1, dtype=np.int32)
    rows[layout.place] = np.arange(pieces.grid[0]) * tile.side
    at = layout.place[pieces.out]
    owner, slot = at // tile.slots, at % tile.slots
    k_row = layout.position * tile.slab_rows + pieces.inner * tile.side % tile.slab_rows
    order = np.lexsort((k_row, slot, layout.position, owner))
    stream = np.stack([k_row | slot << 24, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    begins = begins_of(owner, layout.owners)
    return RowStream(tile, stream, begins, rows, pieces.pitch, layout.owners // tile.owners, layout.lists)


@dataclass(frozen=True)
class ElementStream:
    """Work lists of the kernels of multiply-adds (ElementsArguments); as RowStream, begins by block row."""

    side: int
    stream: Array
    begins: Array
    rows: Array
    pitch: int

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.begins, self.rows)


def element_side(block_size: int, dtype: str) -> int:
    """Side of the pieces that the kernels of multiply-adds cut blocks of this size into."""
    sides = (16, 8, 4, 1) if dtype == "float32" else (1,)
    return next(side for side in sides if block_size % side == 0)


def element_stream(pattern: BlockPattern, side: int, *, transposed: bool = False) -> ElementStream:
    """Lists for pieces of side x side, see element_side; block rows in descending order of their work."""
    pieces = pieces_of(pattern, side, transposed=transposed)
    if len(pieces.offsets) and int(pieces.offsets[-1]) >= 1 << 32:
        raise PlanError(f"W has {pattern.nnz:,} stored values: the cuda kernels number at most {1 << 32:,}")
    work = np.bincount(pieces.out, minlength=pieces.grid[0])
    sequence = np.argsort(-work, kind="stable")
    place = np.empty_like(sequence)
    place[sequence] = np.arange(len(sequence))
    order = np.lexsort((pieces.inner, place[pieces.out]))
    stream = np.stack([pieces.inner * side, pieces.offsets], axis=1)[order].astype(np.uint32)
    begins = begins_of(place[pieces.out], pieces.grid[0])
    return ElementStream(side, stream, begins, (sequence * side).astype(np.int32), pieces.pitch)
