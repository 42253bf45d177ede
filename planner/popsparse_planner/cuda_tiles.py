"""Tiles of Y: which rows the warps of a block of threads own, and the slabs of X that their blocks need.

Everything follows from the pattern alone, on the host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import List, Sequence, Tuple

import numpy as np

from .cuda_machine import (
    BLOCK_SIDE,
    GROUP_WARPS,
    LANES,
    SLAB_COLUMNS,
    SLAB_ROWS,
    VECTOR_ROWS,
    WARPS,
    CudaMachine,
)

Array = np.ndarray
_FLAGS = 1 << 26  # keys up to here are told apart by a table
_MOST_GROUPS = 256


@dataclass(frozen=True)
class Tile:
    """Rows and columns of Y that a block of threads computes, and how rows come to its warps.

    side: rows of a group of rows; owners: warps or warpgroups; slots: groups of rows that the kernel has sums for in
    each owner; used: of these, those that get rows; columns: of Y; slab_rows: rows of X that are copied at once;
    cluster: blocks of threads along Y's rows that copy X for one another; together: neighbours in Y go to one block of
    threads, else heavy and light rows are mixed over all; element_bytes: of X and W.
    """

    side: int
    owners: int
    slots: int
    used: int
    columns: int = SLAB_COLUMNS
    slab_rows: int = SLAB_ROWS
    cluster: int = 1
    together: bool = False
    element_bytes: int = 2

    @property
    def rows(self) -> int:
        """Rows of Y of a block of threads."""
        return self.side * self.owners * self.used

    @property
    def slab_bytes(self) -> int:
        """Of a slab of X."""
        return self.element_bytes * self.slab_rows * self.columns

    @property
    def is_tf32(self) -> bool:
        """Whether float32 is multiplied, in TF32."""
        return self.element_bytes == 4

    @property
    def keeps_x(self) -> bool:
        """Whether a warp keeps the rows of X that it read last, for the next block: not where registers are short."""
        return not self.is_tf32 or self.side == 16

    def groups(self, rows: int) -> int:
        """Blocks of threads along so many rows of Y."""
        return max(1, -(-rows // self.rows))

    def clusters(self, rows: int) -> int:
        """Clusters of blocks of threads along so many rows of Y."""
        return -(-self.groups(rows) // self.cluster)

    def slabs(self, rows: int) -> int:
        """Slabs that so many rows of X are."""
        return -(-rows // self.slab_rows)


def tiles(kernel: str, block_size: int, rows: int, machine: CudaMachine, *, tf32: bool = False) -> List[Tile]:
    """The tiles that a kernel ("rows", "blocks" or "vectors") can take for so many rows of Y; those that differ in
    nothing but the cluster are neighbours. tf32: of float32.
    """
    found = []
    for whole in _whole_tiles(kernel, block_size, machine, tf32):
        for halvings in range(whole.slots.bit_length()):
            for together in (False, True):
                tile = replace(whole, used=whole.slots >> halvings, together=together)
                sizes = [size for size in (1, 2, 4) if size <= machine.most_cluster and tile.groups(rows) % size == 0]
                found += [replace(tile, cluster=size) for size in sizes]
            if tile.groups(rows) > _MOST_GROUPS:
                break  # there is work for every multiprocessor
    return found


def _whole_tiles(kernel: str, block_size: int, machine: CudaMachine, tf32: bool) -> List[Tile]:
    """Tiles of all slots of the kernels that are compiled (cpp/cuda/kernels_*.cu)."""
    if kernel == "blocks":
        return [Tile(BLOCK_SIDE, WARPS // GROUP_WARPS, 1, 1, columns=256, slab_rows=64)]
    side = VECTOR_ROWS if kernel == "vectors" else 32 if block_size % 32 == 0 else 16
    sums = LANES * machine.accumulators
    slots = sums // (SLAB_COLUMNS * side)
    if tf32:
        return [Tile(side, WARPS, slots, slots, slab_rows=SLAB_ROWS // 2, element_bytes=4)]
    narrow = Tile(side, WARPS, slots, slots)
    if kernel == "vectors" or not machine.has_groups:
        return [narrow]
    return [narrow, replace(narrow, slots=slots // 2, used=slots // 2, columns=2 * SLAB_COLUMNS)]


def deal(work: Array, tile: Tile) -> Tuple[Array, int]:
    """Groups of rows dealt to owners: the heaviest to each owner in turn, then back, so that sums are nearly equal.

    work: (groups of rows). Returns int64 (groups of rows) of owner * slots + slot, and the number of owners.
    """
    items = len(work)
    per_block = tile.owners * tile.used
    blocks = max(1, -(-items // per_block))
    numbers = np.arange(items)
    if tile.together:
        block = numbers // per_block
        order, owners = np.lexsort((-work, block)), tile.owners
    else:
        block = np.zeros(items, dtype=np.int64)
        order, owners = np.argsort(-work, kind="stable"), blocks * tile.owners
    rank = np.empty(items, dtype=np.int64)
    rank[order] = numbers % per_block if tile.together else numbers
    slot, place = rank // owners, rank % owners
    owner = block * owners + np.where(slot % 2 == 0, place, owners - 1 - place)
    return owner * tile.slots + slot, blocks * tile.owners


@dataclass(frozen=True)
class SlabLists:
    """The slabs of X that each cluster needs (SlabList in cpp/cuda/arguments.cuh).

    slabs: int32, ascending for each cluster; begins: uint32 (clusters + 1); of_all: slabs of X; copied: by all blocks
    of threads, each of which gets those of its cluster.
    """

    slabs: Array
    begins: Array
    of_all: int
    cluster: int

    @property
    def complete(self) -> bool:
        """Whether every cluster needs every slab: then the kernel needs no list."""
        return len(self.slabs) == self.of_all * (len(self.begins) - 1)

    @property
    def copied(self) -> int:
        """Slabs that blocks of threads get, for each tile of columns."""
        return len(self.slabs) * self.cluster


def slab_lists(cluster: Array, slab: Array, tile: Tile, shape: Tuple[int, int]) -> Tuple[SlabLists, Array]:
    """Lists for items that lie in these clusters and slabs of X, and the position of each item's slab in its list.

    cluster, slab: int64 (items); shape: rows of Y and of X.
    """
    clusters, of_all = tile.clusters(shape[0]), tile.slabs(shape[1])
    found, number = distinct(cluster * of_all + slab, clusters * of_all)
    begins = begins_of(found // of_all, clusters)
    lists = SlabLists((found % of_all).astype(np.int32), begins, of_all, tile.cluster)
    return lists, number - begins[cluster].astype(np.int64)


def distinct(keys: Array, limit: int) -> Tuple[Array, Array]:
    """The keys below `limit` that occur, ascending, and which of them each key is."""
    if limit > _FLAGS:
        found, number = np.unique(keys, return_inverse=True)
        return found, number.reshape(-1)
    held = np.zeros(limit, dtype=bool)
    held[keys] = True
    return np.flatnonzero(held), np.cumsum(held)[keys] - 1


@dataclass(frozen=True)
class TileUse:
    """What a tile comes to for a pattern: owners: of all blocks of threads; slabs_copied: to all of them, of `slabs` of
    X; balance: see balance_of; steps: pieces of W that the owners multiply, one after another; reads: rows of X that
    they read from shared memory for them.
    """

    tile: Tile
    owners: int
    slabs_copied: int
    slabs: int
    balance: float
    steps: int
    reads: int


def tile_uses(
    dealt: Tuple[Array, int], work: Array, cells: Tuple[Array, Array], choices: Sequence[Tile], slabs: int, reads: int
) -> List[TileUse]:
    """For tiles that differ in nothing but the cluster. dealt: see deal, of items of this work; cells: an item and a
    slab of X that it needs, int64 each.
    """
    (place, owners), tile = dealt, choices[0]
    block = place[cells[0]] // (tile.slots * tile.owners)
    blocks = owners // tile.owners
    found, _ = distinct(block * slabs + cells[1], blocks * slabs)
    balance = balance_of(work, place, owners, tile)
    uses = []
    for choice in choices:
        of_clusters, _ = distinct(found // slabs // choice.cluster * slabs + found % slabs, blocks * slabs)
        uses.append(TileUse(choice, owners, len(of_clusters) * choice.cluster, slabs, balance, int(work.sum()), reads))
    return uses


def alike(choices: Sequence[Tile]) -> List[List[Tile]]:
    """Neighbouring tiles that differ in nothing but the cluster, together: rows are dealt alike for them."""
    return [list(group) for _, group in groupby(choices, key=lambda tile: replace(tile, cluster=1))]


def begins_of(owner: Array, owners: int) -> Array:
    """uint32 (owners + 1): where the items of each owner begin when they are ordered by owner."""
    begins = np.zeros(owners + 1, dtype=np.uint32)
    np.cumsum(np.bincount(owner, minlength=owners), out=begins[1:])
    return begins


def balance_of(work: Array, place: Array, owners: int, tile: Tile) -> float:
    """Work of the heaviest owner of each block of threads over the mean, 1 where all have the same: how much longer the
    blocks take than their work alone would.
    """
    total = float(work.sum())
    of_owner = np.bincount(place // tile.slots, weights=work, minlength=owners).reshape(-1, tile.owners)
    return float(of_owner.max(axis=1).sum()) * tile.owners / total if total else 1.0
