"""Work lists of the CUDA kernels that keep rows of Y in registers: which warp multiplies which blocks, in which order.

Everything is made on the host from the pattern alone; values are read where they lie, so new values need no new list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .cuda_machine import BLOCK_SIDE, GROUP_WARPS, SLAB_ROWS, WARPS
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


def deal(work: Array, warps_multiple: int, slots: int) -> Tuple[Array, int]:
    """Items dealt to warps: the heaviest to each warp in turn, then back, so that sums are nearly equal.

    work: (items). Returns int64 (items) of warp * slots + slot, and the number of warps, a multiple of warps_multiple.
    """
    items = len(work)
    warps = max(1, -(-items // (slots * warps_multiple))) * warps_multiple
    order = np.argsort(-work, kind="stable")
    rank = np.empty(items, dtype=np.int64)
    rank[order] = np.arange(items)
    slot, place = rank // warps, rank % warps
    warp = np.where(slot % 2 == 0, place, warps - 1 - place)
    return warp * slots + slot, warps


@dataclass(frozen=True)
class RowStream:
    """Work lists of the row kernel, or of that for warpgroups (RowsArguments in cpp/cuda/arguments.cuh).

    stream: uint32 (blocks, 2); begins: uint32 (warps + 1); rows: int32 (warps * slots); groups: blocks of threads.
    """

    side: int
    stream: Array
    begins: Array
    rows: Array
    pitch: int
    groups: int

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.begins, self.rows)


def row_stream(pattern: BlockPattern, slots_of: Tuple[int, int], *, transposed: bool = False) -> RowStream:
    """Lists for blocks of a multiple of 16; slots_of: slots of a warp with pieces of 16 and of 32 rows."""
    side = 32 if pattern.block_size % 32 == 0 else 16
    return _owned(pattern, side, slots_of[1] if side == 32 else slots_of[0], WARPS, transposed)


def block_stream(pattern: BlockPattern, slots: int, *, transposed: bool = False) -> RowStream:
    """Lists for blocks of a multiple of 64; slots: of a warpgroup, which takes the place of a warp."""
    return _owned(pattern, BLOCK_SIDE, slots, WARPS // GROUP_WARPS, transposed)


def _owned(pattern: BlockPattern, side: int, slots: int, owners: int, transposed: bool) -> RowStream:
    """Lists for pieces of side x side; owners: warps or warpgroups of a block of threads, with so many slots each."""
    pieces = pieces_of(pattern, side, transposed=transposed)
    if pieces.shape[1] >= 1 << 24:
        raise PlanError(f"X has {pieces.shape[1]:,} rows: the cuda kernels number at most {(1 << 24) - 1:,}")
    work = np.bincount(pieces.out, minlength=pieces.grid[0])
    place, warps = deal(work, owners, slots)
    rows = np.full(warps * slots, -1, dtype=np.int32)
    rows[place] = np.arange(pieces.grid[0]) * side
    at = place[pieces.out]
    warp, slot = at // slots, at % slots
    k_row = pieces.inner * side
    order = np.lexsort((k_row, slot, k_row // SLAB_ROWS, warp))
    stream = np.stack([k_row | slot << 24, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    return RowStream(side, stream, begins_of(warp, warps), rows, pieces.pitch, warps // owners)


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


def begins_of(owner: Array, owners: int) -> Array:
    """uint32 (owners + 1): where the items of each owner begin when they are ordered by owner."""
    begins = np.zeros(owners + 1, dtype=np.uint32)
    np.cumsum(np.bincount(owner, minlength=owners), out=begins[1:])
    return begins
