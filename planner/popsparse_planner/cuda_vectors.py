"""Work lists of the CUDA kernel that gathers rows of X: blocks of less than 16 rows, single elements included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from .cuda_machine import SLAB_ROWS, VECTOR_DEPTH, VECTOR_ROWS, CudaMachine
from .cuda_streams import Pieces, inside, pieces_of
from .cuda_tiles import (
    SlabLists,
    Tile,
    TileUse,
    alike,
    balance_of,
    begins_of,
    deal,
    distinct,
    slab_lists,
    tile_uses,
)
from .errors import PlanError
from .pattern import BlockPattern

Array = np.ndarray
STEP_VALUES = VECTOR_ROWS * VECTOR_DEPTH
_NEVER = np.int64(1) << 40  # a slab beyond the last, a row that cannot be had
_POOL = 128  # rows among which those that fit are looked for, a multiple of 8


@dataclass(frozen=True)
class Gathered:
    """Pairs of 8 rows of Y and `side` rows of X in which W has a piece, by group of rows, class, then row of X.

    A pair's class is that of its rows of X modulo 8: two pairs of one class would be read from the same banks of shared
    memory. members: int64 (groups, classes): rows of Y of each group, in units of side, -1: none; inner: int64 (pairs):
    rows of X, in units of side; of_piece: int64 (pieces): pair of each; begins: uint32 (groups * classes + 1);
    slab_rows: of X.
    """

    slab_rows: int
    pieces: Pieces
    members: Array
    inner: Array
    of_piece: Array
    begins: Array

    @property
    def groups(self) -> int:
        """Groups of 8 rows of Y."""
        return len(self.members)

    @property
    def classes(self) -> int:
        """Pairs that 8 rows of X of different banks are."""
        return VECTOR_ROWS // self.pieces.side

    @property
    def group(self) -> Array:
        """int64 (pairs): group of 8 rows of Y."""
        counts: Array = np.diff(self.begins.astype(np.int64))
        found: Array = np.repeat(np.arange(self.groups * self.classes), counts) // self.classes
        return found

    @property
    def slab(self) -> Array:
        """int64 (pairs): slab of X."""
        found: Array = self.inner * self.pieces.side // self.slab_rows
        return found


def _gathered(slab_rows: int, pieces: Pieces, members: Array) -> Gathered:
    groups, classes = members.shape
    per_class = -(-pieces.grid[1] // classes)
    group_of = np.empty(groups * classes, dtype=np.int64)
    group_of[members.ravel()] = np.repeat(np.arange(groups), classes)  # -1 is the last place, of no row
    key = (group_of[pieces.out] * classes + pieces.inner % classes) * per_class + pieces.inner // classes
    pairs, of_piece = np.unique(key, return_inverse=True)
    queue = pairs // per_class
    inner = pairs % per_class * classes + queue % classes
    return Gathered(slab_rows, pieces, members, inner, of_piece.reshape(-1), begins_of(queue, groups * classes))


def _neighbours(pieces: Pieces) -> Array:
    """Members of groups of rows that follow one another."""
    classes = VECTOR_ROWS // pieces.side
    numbers = np.arange(-(-pieces.grid[0] // classes) * classes)
    return np.where(numbers < pieces.grid[0], numbers, -1).reshape(-1, classes)


def _evened(pieces: Pieces) -> Array:
    """Members of groups of rows of like weight that together meet about as many rows of X of each class, as a group
    takes half as many steps as its fullest class has pairs. The most uneven row that is left begins a group, then the
    row that fits best is added each time.
    """
    classes = VECTOR_ROWS // pieces.side
    rows = -(-pieces.grid[0] // classes) * classes
    met = np.bincount(pieces.out * classes + pieces.inner % classes, minlength=rows * classes)
    counts: Array = met.reshape(rows, classes)
    pools = -(-rows // _POOL)
    order: Array = np.full(pools * _POOL, -1, dtype=np.int64)
    order[:rows] = np.argsort(-counts.sum(axis=1), kind="stable")
    order = order.reshape(pools, _POOL)
    uneven = (counts * classes - counts.sum(axis=1, keepdims=True))[order]
    taken, pool = order < 0, np.arange(pools)
    members, held = [], np.zeros_like(uneven[:, 0])
    for place in range(_POOL):
        first = place % classes == 0
        total = uneven if first else uneven + held[:, None]
        score = -total.max(axis=2) if first else total.max(axis=2)
        best = np.where(taken, _NEVER, score).argmin(axis=1)
        members.append(np.where(taken[pool, best], -1, order[pool, best]))  # -1: none is left
        taken[pool, best] = True
        held = total[pool, best]
    found = np.stack(members, axis=1).reshape(-1, classes)
    found = np.where(found < pieces.grid[0], found, -1)
    return found[(found >= 0).any(axis=1)]


def gathered(
    pattern: BlockPattern, span: int, *, transposed: bool = False, slab_rows: int = SLAB_ROWS
) -> Dict[bool, Tuple[Gathered, Steps]]:
    """The pairs of a pattern for tiles of neighbours (True) and for others (False), with the steps that they take where
    every cluster needs every slab. PlanError beyond 2^31 stored values.
    """
    if pattern.nnz_blocks * pattern.block_size**2 >= 1 << 31:
        raise PlanError(f"W has {pattern.nnz:,} stored values: the gathered kernel numbers fewer than {1 << 31:,}")
    pairs = neighbours(pattern, transposed=transposed, slab_rows=slab_rows)
    together = pairs, cut(pairs, pairs.slab, span)
    if pairs.classes == 1:
        return {True: together, False: together}
    pairs = _gathered(slab_rows, pairs.pieces, _evened(pairs.pieces))
    evened = pairs, cut(pairs, pairs.slab, span)
    return {True: together, False: min(together, evened, key=lambda made: len(made[1].group))}


def neighbours(pattern: BlockPattern, *, transposed: bool = False, slab_rows: int = SLAB_ROWS) -> Gathered:
    """The pairs of a pattern with rows in groups as they follow one another."""
    pieces = inside(pieces_of(pattern, vector_side(pattern.block_size), transposed=transposed))
    return _gathered(slab_rows, pieces, _neighbours(pieces))


def vector_side(block_size: int) -> int:
    """Side of the pieces that the gathered kernel cuts blocks of this size into."""
    return math.gcd(block_size, VECTOR_ROWS)


@dataclass(frozen=True)
class Steps:
    """Steps of 8 rows of Y times up to 16 rows of X, two pairs of each class, from less than `span` slabs on.

    group, last: int64 (steps): group of rows and position of the last slab; of_pair: int64 (pairs): step of each;
    second: bool (pairs): whether it is the second of its class there.
    """

    group: Array
    last: Array
    of_pair: Array
    second: Array


def cut(pairs: Gathered, position: Array, span: int) -> Steps:
    """The fewest steps for pairs that lie in slabs at these positions, int64 (pairs): each takes the first pairs left.

    All groups of rows are cut at once: the loop is as long as the largest group has steps.
    """
    begins = pairs.begins.astype(np.int64)
    count, classes = len(pairs.inner), pairs.classes
    slab = np.append(position, _NEVER)
    at, end = begins[:-1].reshape(-1, classes).copy(), begins[1:].reshape(-1, classes)
    of_pair, second = np.empty(count, dtype=np.int64), np.zeros(count, dtype=bool)
    left = np.flatnonzero((at < end).any(axis=1))
    at, end = at[left], end[left]
    groups, lasts, total = [], [], 0
    while len(left):
        head = slab[np.where(at < end, at, count)]
        following = slab[np.where(at + 1 < end, at + 1, count)]
        limit = head.min(axis=1, keepdims=True) + span
        one, two = head < limit, following < limit
        lasts.append(np.maximum(np.where(one, head, -1), np.where(two, following, -1)).max(axis=1))
        groups.append(left)
        number = np.broadcast_to(total + np.arange(len(left))[:, None], at.shape)
        of_pair[at[one]] = number[one]
        of_pair[at[two] + 1] = number[two]
        second[at[two] + 1] = True
        total += len(left)
        at = at + one + two
        still = (at < end).any(axis=1)
        left, at, end = left[still], at[still], end[still]
    none = np.zeros(0, dtype=np.int64)
    return Steps(np.concatenate([none, *groups]), np.concatenate([none, *lasts]), of_pair, second)


@dataclass(frozen=True)
class VectorLayout:
    """Where groups of 8 rows go under a tile: place: int64 (groups) of owner * slots + slot; owners: of all blocks of
    threads; position: int64 (pairs) of each one's slab of X in the list of its cluster; steps: that it takes.
    """

    tile: Tile
    place: Array
    owners: int
    lists: SlabLists
    position: Array
    steps: Steps

    @property
    def use(self) -> TileUse:
        """What the tile comes to."""
        work = np.bincount(self.steps.group, minlength=len(self.place))
        balance = balance_of(work, self.place, self.owners, self.tile)
        steps = len(self.steps.group)
        slabs = self.lists.copied, self.lists.of_all
        return TileUse(self.tile, self.owners, *slabs, balance, steps, steps * VECTOR_DEPTH)


def vector_layout(pairs: Gathered, by_slab: Steps, tile: Tile, span: int) -> VectorLayout:
    """The layout of pairs under a tile; by_slab: their steps where every cluster needs every slab, see gathered."""
    place, owners = deal(np.bincount(by_slab.group, minlength=pairs.groups), tile)
    cluster = place[pairs.group] // (tile.slots * tile.owners * tile.cluster)
    lists, position = slab_lists(cluster, pairs.slab, tile, pairs.pieces.shape)
    return VectorLayout(tile, place, owners, lists, position, by_slab if lists.complete else cut(pairs, position, span))


def vector_uses(pairs: Gathered, by_slab: Steps, choices: Sequence[Tile]) -> List[TileUse]:
    """What tiles come to, all with neighbours together or none, with the steps where every cluster needs every slab: no
    fewer than in the end.
    """
    work = np.bincount(by_slab.group, minlength=pairs.groups)
    slabs = choices[0].slabs(pairs.pieces.shape[1])
    cells, _ = distinct(pairs.group * slabs + pairs.slab, pairs.groups * slabs)
    reads = len(by_slab.group) * VECTOR_DEPTH
    uses = []
    for tiles in alike(choices):
        uses += tile_uses(deal(work, tiles[0]), work, (cells // slabs, cells % slabs), tiles, slabs, reads)
    return uses


@dataclass(frozen=True)
class VectorStream:
    """Work lists of the gathered kernel (VectorsArguments in cpp/cuda/arguments.cuh), steps of 8 rows times 16.

    sources: int32 (steps * 128): element of values, -1: zero, in the order of the lanes; stream: uint32 (steps);
    k_rows: uint16 (steps, 16); begins: uint32 (warps + 1); rows: int32 (warps * slots, 8); groups: blocks of threads.
    """

    tile: Tile
    sources: Array
    stream: Array
    k_rows: Array
    begins: Array
    rows: Array
    groups: int
    lists: SlabLists

    @property
    def steps(self) -> int:
        """Steps of all warps for each tile of columns."""
        return len(self.stream)

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.k_rows, self.begins, self.rows)


def vector_stream(pattern: BlockPattern, tile: Tile, machine: CudaMachine, *, transposed: bool = False) -> VectorStream:
    """Lists for any block size, see cuda_tiles.tiles. PlanError beyond 2^31 stored values."""
    pairs, by_slab = gathered(pattern, machine.span, transposed=transposed, slab_rows=tile.slab_rows)[tile.together]
    layout = vector_layout(pairs, by_slab, tile, machine.span)
    steps, side = layout.steps, pairs.pieces.side
    at = layout.place[steps.group]
    owner, slot = at // tile.slots, at % tile.slots
    order = np.lexsort((slot, steps.last, owner))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    stream = (steps.last | slot << 24)[order].astype(np.uint32)
    step = number[steps.of_pair]
    place = steps.second * VECTOR_ROWS + pairs.inner % pairs.classes * side
    ring_row = layout.position * tile.slab_rows + pairs.inner * side % tile.slab_rows
    ring_rows = machine.stages(tile.slab_bytes) * tile.slab_rows
    member_of = np.empty(pairs.members.size, dtype=np.int64)
    member_of[pairs.members.ravel()] = np.arange(pairs.members.size) % pairs.classes
    first_row = member_of[pairs.pieces.out] * side
    return VectorStream(
        tile,
        sources_of(pairs.pieces, len(order), (step[pairs.of_piece], first_row, place[pairs.of_piece]), transposed),
        stream,
        _k_rows(len(order), step, place, ring_row % ring_rows, side),
        begins_of(owner, layout.owners),
        _rows(pairs, layout.place, layout.owners * tile.slots),
        layout.owners // tile.owners,
        layout.lists,
    )


def _k_rows(steps: int, step: Array, place: Array, row: Array, side: int) -> Array:
    """uint16 (steps, 16); a place that no pair takes names a row that is read at the same time, from the same bank."""
    found = np.full((steps, 2, VECTOR_ROWS), -1, dtype=np.int64)
    flat = found.reshape(steps, VECTOR_DEPTH)
    for j in range(side):
        flat[step, place + j] = row + j
    half = found.max(axis=2, keepdims=True)
    spare = np.where(half < 0, half[:, ::-1], half)
    return np.where(found < 0, spare, found).reshape(steps, VECTOR_DEPTH).astype(np.uint16)


def sources_of(pieces: Pieces, steps: int, places: Tuple[Array, Array, Array], transposed: bool) -> Array:
    """int32 (steps * 128): lane 4 * row + v % 8 / 2 holds vectors v, v + 1 and those 8 further.

    places: step, first row and first vector of each piece.
    """
    step, first_row, position = places
    side = pieces.side
    found = np.full(steps * STEP_VALUES, -1, dtype=np.int32)
    for i in range(side):
        for j in range(side):
            row, v = first_row + i, position + j
            lane = row * 4 + v % 8 // 2
            element = pieces.offsets + (j * pieces.pitch + i if transposed else i * pieces.pitch + j)
            found[step * STEP_VALUES + lane * 4 + v // 8 * 2 + v % 2] = element
    return found


def _rows(pairs: Gathered, place: Array, slots: int) -> Array:
    """int32 (slots, 8): rows of Y of every slot."""
    side = pairs.pieces.side
    found = np.full((slots, VECTOR_ROWS), -1, dtype=np.int32)
    rows = pairs.members[:, :, None] * side + np.arange(side)
    found[place] = np.where(pairs.members[:, :, None] < 0, -1, rows).reshape(-1, VECTOR_ROWS)
    return found
