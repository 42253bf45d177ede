"""The published host partitioner: which tile's bucket holds which block, and how far buckets must then travel.

Source: popsparse-dynamic section 4. Each cell (x, y) of the partition deals its blocks to the Pz tiles that share it;
a tile whose bucket is too small gives up whole rows, shortest first, and these are packed where there is room: on the
same cell's tiles, then along y, then anywhere, each time first in whole rows and then in cut ones. Where the original
sorts equals in an order of its library's, natural order is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Tuple

import numpy as np

from ..errors import PlanError
from ..partition import frozen
from ..pattern import BlockPattern
from .popsparse import PublishedDynamicChoice
from .published_buckets import END_FIELDS, ROW_FIELDS, subgroup_fields


class Capacity(NamedTuple):
    """A partition (px, py, pz) and what the bucket of every tile holds: blocks, and fields of meta-info.

    subgroup: fields of a subgroup besides its rows and blocks.
    """

    px: int
    py: int
    pz: int
    blocks: int
    fields: int
    subgroup: int

    @classmethod
    def of(cls, choice: PublishedDynamicChoice, *, grad_weight: bool = False) -> Capacity:
        """Capacity of a plan; grad_weight: whether that pass was planned."""
        subgroup = subgroup_fields(choice.block_size, grad_weight)
        usable = choice.meta_fwd - END_FIELDS
        return cls(choice.px, choice.py, choice.pz, choice.nz_blocks_per_bucket, usable, subgroup)

    @property
    def tiles(self) -> int:
        """Tiles with a bucket."""
        return self.px * self.py * self.pz

    def fields_of(self, rows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """Fields of a subgroup of so many rows and blocks; 0 if it is empty."""
        return np.where(rows > 0, self.subgroup + ROW_FIELDS * rows + blocks, 0)


@dataclass(frozen=True, eq=False)
class Subgroups:
    """Pieces of cells as they lie in buckets: tile that holds one, tile it belongs to, its rows and blocks; int64."""

    tile: np.ndarray
    home: np.ndarray
    rows: np.ndarray
    blocks: np.ndarray

    def __post_init__(self) -> None:
        for name in ("tile", "home", "rows", "blocks"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64))


@dataclass(frozen=True, eq=False)
class PublishedPlacement:
    """Where the published partitioner puts the blocks of a pattern; tile (x, y, z) is number (x * py + y) * pz + z.

    block_tile: int64 [nnz_blocks], tile whose bucket holds each block, -1 if none does; unplaced: how many those are
    (the original then fails). tiles_overfull: tiles whose own blocks did not fit, before any moved.
    """

    capacity: Capacity
    subgroups: Subgroups
    block_tile: np.ndarray
    tiles_overfull: int
    unplaced: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_tile", frozen(self.block_tile, np.int64))

    @property
    def fits(self) -> bool:
        """Whether every block found a bucket."""
        return self.unplaced == 0

    @property
    def distances(self) -> Tuple[np.ndarray, np.ndarray]:
        """Partitions of x and of y, int64 [subgroups], from where a subgroup lies on to its home, cyclically."""
        capacity, subgroups = self.capacity, self.subgroups
        cells = [np.divmod(tile // capacity.pz, capacity.py) for tile in (subgroups.tile, subgroups.home)]
        (x, y), (home_x, home_y) = cells
        return (home_x - x) % capacity.px, (home_y - y) % capacity.py

    @property
    def ends(self) -> Tuple[int, int, int]:
        """(endX, endY, endZ) of the exported overflow: the farthest distance, x first; all of y once x is left."""
        x, y = self.distances
        farthest = int((x * self.capacity.py + y).max()) if len(x) else 0
        end_x, end_y = (part + 1 for part in divmod(farthest, self.capacity.py))
        return end_x, end_y if end_x == 1 else self.capacity.py, self.capacity.pz

    @property
    def x_connected(self) -> np.ndarray:
        """bool [endX]: which distances along x occur; 0 always does."""
        connected = np.bincount(self.distances[0], minlength=self.ends[0]) > 0
        connected[0] = True
        return connected

    @property
    def steps(self) -> int:
        """Propagation steps of one pass, if every distance up to the farthest is visited."""
        end_x, end_y, end_z = self.ends
        return end_x * end_y * end_z - self.capacity.pz

    @property
    def steps_skip_aware(self) -> int:
        """Propagation steps as the program runs them: distances along x that do not occur are passed over."""
        skipped = int(np.count_nonzero(~self.x_connected))
        return self.steps - skipped * self.capacity.py * self.capacity.pz

    @property
    def spilled(self) -> np.ndarray:
        """bool [subgroups]: not on its home tile."""
        away: np.ndarray = self.subgroups.tile != self.subgroups.home
        return away

    @property
    def spilled_by_reach(self) -> Tuple[int, int, int]:
        """Spilled blocks on tiles of the same cell; of another y; of another x."""
        x, y = self.distances
        blocks = np.where(self.spilled, self.subgroups.blocks, 0)
        near = int(blocks[(x == 0) & (y == 0)].sum()), int(blocks[(x == 0) & (y > 0)].sum())
        return (*near, int(blocks[x > 0].sum()))

    @property
    def bucket_blocks(self) -> np.ndarray:
        """int64 [tiles]: blocks in each bucket."""
        held = np.bincount(self.subgroups.tile, weights=self.subgroups.blocks, minlength=self.capacity.tiles)
        return held.astype(np.int64)

    @property
    def bucket_fields(self) -> np.ndarray:
        """int64 [tiles]: fields of meta-info in each bucket, without the end mark."""
        fields = self.capacity.fields_of(self.subgroups.rows, self.subgroups.blocks)
        return np.bincount(self.subgroups.tile, weights=fields, minlength=self.capacity.tiles).astype(np.int64)

    @property
    def bucket_subgroups(self) -> np.ndarray:
        """int64 [tiles]: subgroups in each bucket."""
        return np.bincount(self.subgroups.tile, minlength=self.capacity.tiles)


class _Rows(NamedTuple):
    """Runs of blocks of one row on one tile, int64 [runs]; start: into the blocks in order of cells."""

    tile: np.ndarray
    start: np.ndarray
    blocks: np.ndarray

    def at(self, place: np.ndarray) -> _Rows:
        """The runs at `place`, a mask or positions."""
        return _Rows(*(values[place] for values in (self.tile, self.start, self.blocks)))


def place_published(pattern: BlockPattern, capacity: Capacity) -> PublishedPlacement:
    """The published placement of `pattern`, whose blocks are those of the codelets (popsparse-dynamic 2.1).

    Raises PlanError for a grid that has fewer blocks than the partition has parts.
    """
    mb, kb = pattern.block_grid
    if capacity.px > mb or capacity.py > kb:
        raise PlanError(f"a grid of {mb} x {kb} blocks has no {capacity.px} x {capacity.py} partitions")
    order, runs = _runs_of_tiles(pattern, capacity)
    kept, popped = _pop_rows(runs, capacity)
    spill = _Spill(capacity, runs, kept, popped)
    spill.rebalance()
    return spill.placement(order)


def _runs_of_tiles(pattern: BlockPattern, capacity: Capacity) -> Tuple[np.ndarray, _Rows]:
    """Blocks in order of cells, int64 [nnz_blocks], and their runs by tile, longest first."""
    mb, kb = pattern.block_grid
    part = (pattern.rows // -(-mb // capacity.px)) * capacity.py + pattern.cols // -(-kb // capacity.py)
    cell = part.astype(np.min_scalar_type(capacity.px * capacity.py))  # narrow keys: NumPy's radix sort
    order = np.argsort(cell, kind="stable")
    count = np.bincount(cell, minlength=capacity.px * capacity.py)
    cell = cell[order].astype(np.int64)
    place = np.arange(len(cell)) - (np.cumsum(count) - count)[cell]
    share = np.maximum(-(-count // capacity.pz), 1)
    pieces = -(-count // share)
    tile = cell * capacity.pz + ((place + 1) * pieces[cell] - 1) // np.maximum(count, 1)[cell]
    row = pattern.rows[order]
    first = np.flatnonzero(np.concatenate([[True], (np.diff(tile) != 0) | (np.diff(row) != 0)])[: len(tile)])
    blocks = np.diff(np.append(first, len(tile)))
    longest = np.lexsort((-blocks, tile[first]))
    return order, _Rows(tile[first], first, blocks).at(longest)


def _pop_rows(runs: _Rows, capacity: Capacity) -> Tuple[np.ndarray, np.ndarray]:
    """bool [runs]: kept on its tile; and the others' places, by tile, longest first, in the order they came off."""
    num_runs = np.bincount(runs.tile, minlength=capacity.tiles)
    offsets = np.cumsum(num_runs) - num_runs
    row = np.arange(len(runs.tile)) - offsets[runs.tile] + 1
    below = np.concatenate([[0], np.cumsum(runs.blocks)])
    blocks = below[1:] - below[offsets[runs.tile]]
    kept = (blocks <= capacity.blocks) & (capacity.fields_of(row, blocks) <= capacity.fields)
    popped = np.flatnonzero(~kept)[::-1]
    return kept, popped[np.lexsort((-runs.blocks[popped], runs.tile[popped]))]


class _Spill:
    """Overflow buckets being emptied into the buckets that have room."""

    def __init__(self, capacity: Capacity, runs: _Rows, kept: np.ndarray, popped: np.ndarray) -> None:
        self.capacity, self.runs, self.kept = capacity, runs, kept
        tiles = capacity.tiles
        rows, blocks = self._totals(runs.at(kept), tiles)
        self.own_rows, self.own_blocks = rows, blocks
        self.free_blocks, self.free_fields = (
            capacity.blocks - blocks,
            capacity.fields - capacity.fields_of(rows, blocks),
        )
        overflow = runs.at(popped)
        rows, self.blocks = self._totals(overflow, tiles)
        self.fields = capacity.fields_of(rows, self.blocks)
        ends = np.cumsum(rows)
        self.starts: List[np.ndarray] = np.split(overflow.start, ends[:-1])
        self.lengths: List[np.ndarray] = np.split(overflow.blocks, ends[:-1])
        self.tiles_overfull = int(np.count_nonzero(self.blocks))
        self.moved: List[Tuple[int, int, np.ndarray, np.ndarray]] = []  # tile, home, starts, lengths of rows

    @staticmethod
    def _totals(runs: _Rows, tiles: int) -> Tuple[np.ndarray, np.ndarray]:
        blocks = np.bincount(runs.tile, weights=runs.blocks, minlength=tiles).astype(np.int64)
        return np.bincount(runs.tile, minlength=tiles), blocks

    def rebalance(self) -> None:
        """Empty the overflow within a cell, along y, and everywhere; whole rows first, then cut ones."""
        _, py, pz = self.capacity[:3]
        for span in (pz, pz * py, self.capacity.tiles):
            for cut_rows in (False, True):
                for home in self._largest_first(span):
                    self._empty(int(home), span, cut_rows)

    def _largest_first(self, span: int) -> np.ndarray:
        """Tiles with overflow, ranges of `span` tiles one after the other, in each by fields, then blocks."""
        tiles = np.flatnonzero(self.blocks)
        return tiles[np.lexsort((-self.blocks[tiles], -self.fields[tiles], tiles // span))]

    def _empty(self, home: int, span: int, cut_rows: bool) -> None:
        """Offer the overflow of `home` to the tiles of its range: itself, the one before, and so on round."""
        first = home // span * span
        tiles = first + (home - first - np.arange(span)) % span
        tried = 0
        while self.blocks[home] and tried < span:
            later = tiles[tried:]
            takes = self._takes(home, later, cut_rows)
            place = int(np.argmax(takes))
            if not takes[place]:
                return
            self._move(home, int(later[place]), cut_rows)
            tried += place + 1

    def _takes(self, home: int, tiles: np.ndarray, cut_rows: bool) -> np.ndarray:
        """bool [tiles]: has room for everything, or for the first row, or (cut_rows) for a part of it.

        A part is cut to the free blocks or fields, and the fields then lack those of the row itself (as published).
        """
        free_blocks, free_fields = self.free_blocks[tiles], self.free_fields[tiles]
        fits = (free_blocks >= self.blocks[home]) & (free_fields >= self.fields[home])
        wanted = self.lengths[home][0]
        if cut_rows:
            wanted = np.minimum(wanted, np.minimum(free_blocks, free_fields - self.capacity.subgroup))
        fields = self.capacity.subgroup + ROW_FIELDS + wanted
        takes: np.ndarray = fits | ((wanted > 0) & (wanted <= free_blocks) & (fields <= free_fields))
        return takes

    def _move(self, home: int, tile: int, cut_rows: bool) -> None:
        """Give `tile` what `_takes` found room for: as many of the longest rows as fit, in order."""
        starts, lengths = self.starts[home], self.lengths[home]
        free_blocks, free_fields = int(self.free_blocks[tile]), int(self.free_fields[tile])
        blocks = np.cumsum(lengths)
        fields = self.capacity.fields_of(np.arange(1, len(lengths) + 1), blocks)
        whole = int(np.count_nonzero((blocks <= free_blocks) & (fields <= free_fields)))
        taken_starts, taken = starts[:whole], lengths[:whole]
        starts, lengths = starts[whole:], lengths[whole:]
        if cut_rows and len(lengths):
            used = int(fields[whole - 1]) if whole else self.capacity.subgroup
            part = min(free_fields - used, free_blocks - (int(blocks[whole - 1]) if whole else 0))
            if 0 < part < lengths[0] and used + ROW_FIELDS + part <= free_fields:
                lengths = lengths.copy()
                lengths[0] -= part
                taken_starts, taken = np.append(taken_starts, starts[0] + lengths[0]), np.append(taken, part)
        self.moved.append((tile, home, taken_starts, taken))
        self.starts[home], self.lengths[home] = starts, lengths
        self._count(home, tile, len(taken), int(taken.sum()))

    def _count(self, home: int, tile: int, rows: int, blocks: int) -> None:
        self.free_blocks[tile] -= blocks
        self.free_fields[tile] -= self.capacity.subgroup + ROW_FIELDS * rows + blocks
        self.blocks[home] -= blocks
        left = len(self.lengths[home])
        self.fields[home] = self.capacity.subgroup + ROW_FIELDS * left + self.blocks[home] if left else 0

    def placement(self, order: np.ndarray) -> PublishedPlacement:
        """What came of it; order: int64 [nnz_blocks], the blocks in order of cells."""
        own = np.flatnonzero(self.own_rows)
        tile, home = (np.array([move[side] for move in self.moved], dtype=np.int64) for side in (0, 1))
        rows, blocks = (np.array([size(move[3]) for move in self.moved], dtype=np.int64) for size in (len, np.sum))
        subgroups = Subgroups(
            np.concatenate([own, tile]),
            np.concatenate([own, home]),
            np.concatenate([self.own_rows[own], rows]),
            np.concatenate([self.own_blocks[own], blocks]),
        )
        kept = self.runs.at(self.kept)
        starts = np.concatenate([kept.start, *(move[2] for move in self.moved)])
        lengths = np.concatenate([kept.blocks, *(move[3] for move in self.moved)])
        holder = np.concatenate([kept.tile, np.repeat(tile, rows)])
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        block_tile = np.full(len(order), -1, dtype=np.int64)
        block_tile[order[np.repeat(starts, lengths) + within]] = np.repeat(holder, lengths)
        return PublishedPlacement(self.capacity, subgroups, block_tile, self.tiles_overfull, int(self.blocks.sum()))
