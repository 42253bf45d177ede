"""Bytes and pieces that each tile receives and sends in the exchange steps of a static product."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Tuple, Union

import numpy as np

from ..layout import LinearLayout, part_x_layout
from ..partition import Partition
from ..problem import Problem, item_bytes
from .multicast import passing_columns
from .work import CutWork


@dataclass(frozen=True)
class Traffic:
    """One exchange step, each float64 [tiles]: bytes from other tiles, bytes copied within the tile, bytes to other
    tiles (a multicast counts once), pieces received or copied; passing: bytes of multicasts that a tile lets pass."""

    received: np.ndarray
    local: np.ndarray
    sent: np.ndarray
    fragments: np.ndarray
    passing: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def __add__(self, other: Traffic) -> Traffic:
        names = ("received", "local", "sent", "fragments", "passing")
        return Traffic(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Segments:
    """Rows of Y by part of n, in address order: each segment is one row's columns of one part.

    start, length: int64 [segments] elements of Y; sources: int64 [segments] tiles that hold partials of it.
    """

    start: np.ndarray
    length: np.ndarray
    sources: np.ndarray


def overlap(start: np.ndarray, length: Union[int, np.ndarray], tile: np.ndarray, home: LinearLayout) -> np.ndarray:
    """Elements of each interval [start, start + length) that live on `tile`, int64."""
    low = np.maximum(start, tile * home.per_tile)
    high = np.minimum(start + length, (tile + 1) * home.per_tile)
    inside: np.ndarray = np.maximum(high - low, 0)
    return inside


def stretches(tile: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Index of the first piece of every stretch of pieces that follow each other on one tile; int64, address order."""
    if not len(tile):
        return np.zeros(0, dtype=np.int64)
    breaks = (tile[1:] != tile[:-1]) | (start[1:] != start[:-1] + length[:-1])
    return np.concatenate([[0], np.flatnonzero(breaks) + 1])


def gather_x(
    problem: Problem,
    partition: Partition,
    works: Tuple[CutWork, ...],
    bounds: np.ndarray,
    home: LinearLayout,
    tiles: int,
) -> Traffic:
    """Slices of X to the tiles that multiply them: `bounds` int64 [qn + 1] are the columns of this pass."""
    b, kb, itemsize = problem.block_size, problem.block_grid[1], float(item_bytes(problem.dtype))
    received, local, sent, fragments, passing = (np.zeros(tiles) for _ in range(5))
    used = np.zeros(kb, dtype=np.int64)
    used[works[0].cols_in_run[1]] = 1
    if partition.homes == "linear":
        row, inside = problem.n_padded * b, (int(bounds[0]) * b, int(bounds[-1]) * b)
        sent += _elements_wanted(used, row, inside, home.bounds(tiles)) * itemsize
    uses = [np.bincount(work.cols_in_run[1], minlength=kb) for work in works]
    passed = [passing_columns(work, kb) for work in works]
    wanted = [work.cols_in_run[0] * kb + work.cols_in_run[1] for work in works]
    for part in np.flatnonzero(np.diff(bounds)).tolist():
        which, first = int(partition.part_cut[part]), int(partition.part_first_tile[part])
        work, where = works[which], slice(first, first + works[which].cut.num_runs)
        length, at = int(bounds[part + 1] - bounds[part]) * b, _x_of_part(problem, partition, bounds, part, home, tiles)
        if partition.homes == "parts":
            own = slice(first, first + at.tiles)
            sent[own] += _elements_wanted(used, length, (0, length), at.home.bounds(at.tiles)) * itemsize
        tile_of_run = first - at.first_tile + np.arange(len(work.num_cols))
        run, col = _columns_at_home(wanted[which], at.starts, length, tile_of_run, at.home)
        near = overlap(at.starts[col], length, tile_of_run[run], at.home) * itemsize
        local[where] += np.bincount(run, weights=near, minlength=len(work.num_cols))
        sent[where] -= np.bincount(run, weights=near * (uses[which][col] == 1), minlength=len(work.num_cols))
        received[where] += work.num_cols * (length * itemsize)
        passing[where] += passed[which] * (length * itemsize)
        fragments[where] += _pieces_in_runs(work, at.home.pieces(at.starts, length))
    return Traffic(received - local, local, sent, fragments, passing)


class _XOfPart(NamedTuple):
    """Where a part's slices of X lie: their starts in a layout (int64 [kb]), and the tiles of that layout."""

    home: LinearLayout
    starts: np.ndarray
    first_tile: int
    tiles: int


def _x_of_part(
    problem: Problem, partition: Partition, bounds: np.ndarray, part: int, home: LinearLayout, tiles: int
) -> _XOfPart:
    columns = np.arange(problem.block_grid[1], dtype=np.int64) * problem.block_size
    if partition.homes == "linear":
        return _XOfPart(home, columns * problem.n_padded + int(bounds[part]) * problem.block_size, 0, tiles)
    width, own = int(bounds[part + 1] - bounds[part]), int(partition.part_tiles(tiles)[part])
    return _XOfPart(part_x_layout(problem, width, own), columns * width, int(partition.part_first_tile[part]), own)


def _columns_at_home(
    wanted: np.ndarray,  # int64, run * kb + block column, sorted
    starts: np.ndarray,  # int64 [kb], rising: the slice of each block column
    length: int,  # of each slice
    tiles: np.ndarray,  # int64 [runs]: the tile of each run
    home: LinearLayout,
) -> Tuple[np.ndarray, np.ndarray]:
    """(run, block column) of the wanted slices that the run's own tile holds a part of."""
    low = np.searchsorted(starts + length, tiles * home.per_tile, side="right")
    count = np.maximum(np.searchsorted(starts, (tiles + 1) * home.per_tile, side="left") - low, 0)
    run = np.repeat(np.arange(len(tiles), dtype=np.int64), count)
    col = np.arange(len(run)) + np.repeat(low - (np.cumsum(count) - count), count)
    key = run * len(starts) + col
    found = wanted[np.minimum(np.searchsorted(wanted, key), len(wanted) - 1)] == key if len(wanted) else key < 0
    return run[found], col[found]


def _pieces_in_runs(work: CutWork, pieces: np.ndarray) -> np.ndarray:
    """float64 [runs]: pieces that the slices of a run's columns come in; pieces: int64 [kb], mostly 1."""
    total = work.num_cols.astype(np.float64)
    if np.any(pieces > 1):
        run, col = work.cols_in_run
        cut = np.flatnonzero((pieces > 1)[col])
        total += np.bincount(run[cut], weights=pieces[col[cut]] - 1, minlength=len(total))
    return total


def _elements_wanted(used: np.ndarray, row: int, inside: Tuple[int, int], bounds: np.ndarray) -> np.ndarray:
    """int64 [tiles]: elements of X at each home, between its `bounds`, of the block columns that are used.

    used: int64 [kb], 0 or 1; row: elements of a block column; inside: which of them count, first and end.
    """
    before = np.concatenate([[0], np.cumsum(used)])
    col, at = np.divmod(bounds, row)
    width = inside[1] - inside[0]
    partly = np.append(used, 0)[col] * np.clip(at - inside[0], 0, width)
    return np.diff(before[col] * width + partly)


def broadcast_values(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], home: LinearLayout, tiles: int
) -> Traffic:
    """Values from their linear home to every part of n that multiplies them."""
    block_elements, itemsize = problem.block_size**2, float(item_bytes(problem.dtype))
    start, length, to = [], [], []
    for part in range(partition.num_parts):
        cut = works[partition.part_cut[part]].cut
        start.append(cut.run_offsets[:-1] * block_elements)
        length.append(np.diff(cut.run_offsets) * block_elements)
        to.append(int(partition.part_first_tile[part]) + np.arange(cut.num_runs))
    slices = Segments(np.concatenate(start), np.concatenate(length), np.concatenate(to))
    source, begin, size, tile = pieces_at_homes(slices, home, slices.length > 0)
    away = source != tile
    sent = np.unique(np.stack([source, begin, size])[:, away], axis=1)
    return Traffic(
        received=np.bincount(tile, weights=size * away * itemsize, minlength=tiles),
        local=np.bincount(tile, weights=size * ~away * itemsize, minlength=tiles),
        sent=np.bincount(sent[0], weights=sent[2] * itemsize, minlength=tiles),
        fragments=np.bincount(tile, minlength=tiles).astype(np.float64),
    )


def output_segments(problem: Problem, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray) -> Segments:
    """Every (row, part of n) of this pass with the number of tiles that contribute to it."""
    mb, b = problem.block_grid[0], problem.block_size
    parts = np.flatnonzero(np.diff(bounds))
    rows = np.arange(mb, dtype=np.int64)[:, None]
    start = (rows * problem.n_padded + bounds[:-1][parts][None, :]) * b
    length = np.broadcast_to(np.diff(bounds)[parts] * b, start.shape)
    sources = np.stack([works[partition.part_cut[part]].row_sources for part in parts], axis=1)
    return Segments(start.ravel(), np.ascontiguousarray(length).ravel(), sources.ravel())


def delivered(segments: Segments, weight: np.ndarray, copies: np.ndarray, home: LinearLayout, tiles: int) -> Traffic:
    """What arrives at the homes of Y when an element of a segment costs `weight` bytes and comes in `copies` pieces."""
    bounds = home.bounds(tiles).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(weight * segments.length)])
    at = np.clip(np.searchsorted(segments.start, bounds, side="right") - 1, 0, len(segments.start) - 1)
    inside = np.clip(bounds - segments.start[at], 0, segments.length[at])
    received = np.diff(total[at] + weight[at] * inside)
    count = np.concatenate([[0.0], np.cumsum(copies)])
    first = np.searchsorted(segments.start + segments.length, bounds[:-1], side="right")
    last = np.searchsorted(segments.start, bounds[1:], side="left")
    fragments = np.where(received > 0, count[np.maximum(last, first)] - count[first], 0.0)
    return Traffic(received, np.zeros(tiles), np.zeros(tiles), fragments)


def pieces_at_homes(
    segments: Segments, home: LinearLayout, chosen: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chosen segments (bool) cut at the homes' borders: (tile, start, length, sources), int64 in address order."""
    part = Segments(segments.start[chosen], segments.length[chosen], segments.sources[chosen])
    tile, length, sources = split_at_homes(part, home)
    index = np.repeat(np.arange(len(part.start)), home.pieces(part.start, part.length))
    return tile, np.maximum(part.start[index], tile * home.per_tile), length, sources


def split_at_homes(segments: Segments, home: LinearLayout) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segments cut at the homes' borders: (tile, length, sources), int64 arrays in address order."""
    pieces = home.pieces(segments.start, segments.length)
    index = np.repeat(np.arange(len(pieces)), pieces)
    tile = (
        segments.start[index] // home.per_tile + np.arange(len(index)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    )
    start = np.maximum(segments.start[index], tile * home.per_tile)
    stop = np.minimum((segments.start + segments.length)[index], (tile + 1) * home.per_tile)
    return tile, stop - start, segments.sources[index]


def leaving_rows(
    problem: Problem,
    partition: Partition,
    works: Tuple[CutWork, ...],
    bounds: np.ndarray,
    home: LinearLayout,
    tiles: int,
    bytes_of: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """(sent, local) float64 [tiles]: bytes that each tile's rows send home, and the share that is at home already.

    A row with s sources takes bytes_of[min(s, 2)] per element (bytes_of[1], bytes_of[2]).
    """
    sent, local, b = np.zeros(tiles), np.zeros(tiles), problem.block_size
    for part in np.flatnonzero(np.diff(bounds)):
        work, first = works[partition.part_cut[part]], partition.part_first_tile[part]
        weights, runs = bytes_of[np.minimum(work.entry_sources, 2)], work.cut.num_runs
        length = int(bounds[part + 1] - bounds[part]) * b
        start = (work.entry_row * problem.n_padded + bounds[part]) * b
        near = overlap(start, length, first + work.entry_run, home) * weights
        sent[first : first + runs] += np.bincount(work.entry_run, weights=weights * length - near, minlength=runs)
        local[first : first + runs] += np.bincount(work.entry_run, weights=near, minlength=runs)
    return sent, local
