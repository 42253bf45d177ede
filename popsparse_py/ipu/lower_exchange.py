"""The copies of one serial pass: operands to the tiles that multiply them, rows without a sum to where they live."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from popsparse_planner.problem import column_grain, item_bytes
from popsparse_planner.static.multicast import passing_columns

from .buffers import Buffers, joined
from .groups import Group
from .part_homes import PartHomes
from .places import Places
from .program import CopySet
from .ranges import offsets_of, split


def active_parts(
    places: Places, group: Group, number: int, *, which: bool = False
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first place, first column, columns) of each part of `group` that has columns in pass `number`; int64 columns.

    which: the part's own number, first, in place of its first column.
    """
    bounds = places.partition.n_bounds[number]
    width = np.diff(bounds)[group.parts]
    live = width > 0
    if which:
        return group.parts[live], group.first_place[live], width[live]
    return group.first_place[live], bounds[group.parts][live], width[live]


def gather_x(places: Places, x_slices: Buffers, number: int) -> CopySet:
    """Slices of X to every place: its block columns in rising order, each columns x b elements."""
    problem = places.problem
    b, n_padded = problem.block_size, problem.n_padded
    if places.part_homes is not None:
        return _gather_from_parts(places, places.part_homes, x_slices, number)
    start: List[np.ndarray] = []
    to: List[np.ndarray] = []
    size: List[np.ndarray] = []
    for group in places.groups:
        first_place, first_column, width = active_parts(places, group, number)
        run, col = group.work.cols_in_run
        local = group.column_run()
        for place, column, columns in zip(first_place, first_column, width):
            length = int(columns) * b
            start.append((col * n_padded + column) * b)
            to.append(x_slices.begin[place + run] + local * length)
            size.append(np.full(len(run), length, dtype=np.int64))
    return _copies("x", x_slices.name, joined(start), joined(to), joined(size), places.x_home.per_tile)


def _gather_from_parts(places: Places, homes: PartHomes, x_slices: Buffers, number: int) -> CopySet:
    """As gather_x, from X [kb][columns][b] of each part."""
    b, begins, to, sizes = places.problem.block_size, [], [], []
    for group in places.groups:
        run, col = group.work.cols_in_run
        local = group.column_run()
        for part, place, width in zip(*active_parts(places, group, number, which=True)):
            length = int(width) * b
            index, at, pieces = split(col * length, np.full(len(col), length), homes.x_per_tile(number, int(part)))
            begins.append(homes.x_begin(number, int(part)) + at)
            to.append((x_slices.begin[place + run] + local * length)[index] + at - (col * length)[index])
            sizes.append(pieces)
    return CopySet("x", x_slices.name, joined(begins), joined(to), joined(sizes))


def passing_bytes(places: Places, number: int) -> np.ndarray:
    """float64 [tiles]: bytes of X that are multicast past each tile in pass `number`, and that it does not take."""
    problem, passing = places.problem, np.zeros(places.num_tiles)
    for group in places.groups:
        columns = passing_columns(group.work, problem.block_grid[1])
        for place, _, width in zip(*active_parts(places, group, number)):
            where = places.tile[place : place + len(columns)]
            passing[where] += columns * float(int(width) * problem.block_size * item_bytes(problem.dtype))
    return passing


def value_slices(places: Places) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each place receives of the values: (begin in their home, elements, shift of its own values from there).

    int64 [places]. A slice is widened to whole 8 bytes, so that the exchange moves whole words.
    """
    problem, partition = places.problem, places.partition
    grain, block = column_grain(problem.dtype), problem.block_size**2
    begins = joined([partition.cuts[cut].run_offsets[:-1] for cut in partition.part_cut]) * block
    begin = begins // grain * grain
    end = -(-(begins + places.num_blocks * block) // grain) * grain
    used = places.num_blocks > 0
    return begin, np.where(used, end - begin, 0), begins - begin


def gather_values(places: Places, slices: Buffers, active: np.ndarray) -> CopySet:
    """Values from their linear home to each place of `active` (bool [places])."""
    begin, size, _ = value_slices(places)
    used = np.flatnonzero((size > 0) & active)
    return _copies("values", slices.name, begin[used], slices.begin[used], size[used], places.value_home.per_tile)


def lone_rows(places: Places, source: Buffers, first_row: np.ndarray, number: int) -> CopySet:
    """Rows that no other tile shares, from `source` to Y; first_row: int64 [places], the first row that it holds."""
    problem = places.problem
    b, n_padded = problem.block_size, problem.n_padded
    start: List[np.ndarray] = []
    to: List[np.ndarray] = []
    size: List[np.ndarray] = []
    for group in places.groups:
        work = group.work
        alone = np.flatnonzero(work.entry_sources == 1)
        run, row, local = work.entry_run[alone], work.entry_row[alone], group.local_row[alone]
        rank = group.lone_rank[alone]
        for place, column, columns in zip(*active_parts(places, group, number)):
            length = int(columns) * b
            start.append(source.begin[place + run] + (local - first_row[place + run]) * length)
            if places.part_homes is None:
                to.append((row * n_padded + column) * b)
            else:
                to.append(places.part_homes.lone_begin(number)[places.tile[place + run]] + rank * length)
            size.append(np.full(len(run), length, dtype=np.int64))
    begin, y = joined(start), joined(to)
    if places.part_homes is not None:
        return CopySet(source.name, "y", begin, y, joined(size))
    index, at, pieces = split(y, joined(size), places.y_home.per_tile)
    return CopySet(source.name, "y", begin[index] + at - y[index], at, pieces)


def empty_rows(places: Places, number: int) -> Tuple[np.ndarray, np.ndarray]:
    """(begin, elements) in Y of what no tile computes in pass `number`: neighbours merged, cut where a tile ends."""
    problem, bounds = places.problem, places.partition.n_bounds[number]
    if places.part_homes is not None:
        return places.part_homes.empty(number)
    sources = np.zeros(problem.block_grid[0], dtype=np.int64)
    for group in places.groups:
        sources += group.work.row_sources
    rows = np.flatnonzero(sources == 0)
    b, n_padded = problem.block_size, problem.n_padded
    begin, length = (rows * n_padded + bounds[0]) * b, int(bounds[-1] - bounds[0]) * b
    starts = np.flatnonzero(np.diff(begin, prepend=-1) != length)
    counts = np.diff(np.append(starts, len(rows)))
    _, at, pieces = split(begin[starts], counts * length, places.y_home.per_tile)
    return at, pieces


def _copies(
    source: str, destination: str, begin: np.ndarray, to: np.ndarray, size: np.ndarray, home_step: int
) -> CopySet:
    """Copies [begin, begin + size) -> to, cut at the borders of the source's home."""
    index, at, pieces = split(begin, size, home_step)
    return CopySet(source, destination, at, to[index] + at - begin[index], pieces)


def within_owner(owner: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Sum of the sizes before each item among those of its owner; owners sorted."""
    before = offsets_of(sizes)[:-1]
    first = np.searchsorted(owner, owner, side="left")
    within: np.ndarray = before - before[first]
    return within
