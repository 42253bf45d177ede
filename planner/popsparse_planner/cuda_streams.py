"""Work lists of the CUDA kernels that keep rows of Y in registers: which warp multiplies which blocks, in which order.

Everything is made on the host from the pattern alone; values are read where they lie, so new values need no new list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import numpy as np

from .cuda_tiles import SlabLists, Tile, TileUse, alike, begins_of, deal, distinct, slab_lists, tile_uses
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


def inside(pieces: Pieces) -> Pieces:
    """Those of them that are not wholly beyond the edges of Y and of X: the others multiply nothing that is there."""
    rows, inner = (-(-length // pieces.side) for length in pieces.shape)
    held = (pieces.out < rows) & (pieces.inner < inner)
    if held.all():
        return replace(pieces, grid=(rows, inner))
    return replace(
        pieces, out=pieces.out[held], inner=pieces.inner[held], offsets=pieces.offsets[held], grid=(rows, inner)
    )


def row_uses(pattern: BlockPattern, choices: Sequence[Tile], *, transposed: bool = False) -> List[TileUse]:
    """What tiles of one side come to; reads: rows of X, once for all pieces of an owner that keeps them."""
    pieces = inside(pieces_of(pattern, choices[0].side, transposed=transposed))
    work = np.bincount(pieces.out, minlength=pieces.grid[0])
    uses = []
    for tiles in alike(choices):
        tile = tiles[0]
        place, owners = deal(work, tile)
        met, _ = distinct(place[pieces.out] // tile.slots * pieces.grid[1] + pieces.inner, owners * pieces.grid[1])
        reads = len(met) if tile.keeps_x else len(pieces.out)
        cells = pieces.out, pieces.inner * pieces.side // tile.slab_rows
        uses += tile_uses((place, owners), work, cells, tiles, tile.slabs(pieces.shape[1]), reads * pieces.side)
    return uses


@dataclass(frozen=True)
class RowStream:
    """Work lists of the row kernel, or of that for warpgroups (RowsArguments in cpp/cuda/arguments.cuh).

    stream: uint32 (blocks, 2), those of an owner by row of X, so that blocks of several slots read it once; begins:
    uint32 (owners + 1); rows: int32 (owners * slots); groups: blocks of threads.
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
    pieces = inside(pieces_of(pattern, tile.side, transposed=transposed))
    if pieces.shape[1] >= 1 << 24:
        raise PlanError(f"X has {pieces.shape[1]:,} rows: the cuda kernels number at most {(1 << 24) - 1:,}")
    place, owners = deal(np.bincount(pieces.out, minlength=pieces.grid[0]), tile)
    rows = np.full(owners * tile.slots, -1, dtype=np.int32)
    rows[place] = np.arange(pieces.grid[0]) * tile.side
    owner, slot = place[pieces.out] // tile.slots, place[pieces.out] % tile.slots
    cluster = owner // (tile.owners * tile.cluster)
    lists, position = slab_lists(cluster, pieces.inner * tile.side // tile.slab_rows, tile, pieces.shape)
    k_row = position * tile.slab_rows + pieces.inner * tile.side % tile.slab_rows
    order = np.lexsort((slot, k_row, owner))
    stream = np.stack([k_row | slot << 24, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    begins = begins_of(owner, owners)
    return RowStream(tile, stream, begins, rows, pieces.pitch, owners // tile.owners, lists)


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
