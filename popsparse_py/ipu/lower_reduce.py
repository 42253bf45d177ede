"""Rows that several tiles share: where their pieces are summed, the copies that bring them there, and the way home.

At home: the tile that holds a piece of Y sums it. At the sources: the tiles that made a row's partials divide its
columns among them, and the sums then move home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from popsparse_planner.static.pieces import summed_pieces

from .buffers import Buffers, VariableBook, joined
from .groups import Group
from .lower_exchange import active_parts, within_owner
from .places import Places
from .program import CopySet
from .ranges import expand, offsets_of, split

_COLUMNS = ("owner", "first_place", "width", "source_first", "sources", "offset", "length", "y_begin")


@dataclass(frozen=True)
class Segments:
    """Pieces of shared rows, each summed by one owner: a tile (at home) or a place (at the sources). int64 columns.

    first_place, width: place of run 0 and columns of the piece's part of n. source_first, sources: its sources in
    source_run and source_row (run and local row of each; of all groups, rows one after the other). offset, length:
    elements within the row's part; y_begin: where the piece belongs in Y. Sorted by owner.
    """

    owner: np.ndarray
    first_place: np.ndarray
    width: np.ndarray
    source_first: np.ndarray
    sources: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    y_begin: np.ndarray
    source_run: np.ndarray
    source_row: np.ndarray


@dataclass(frozen=True)
class Reduction:
    """Sums of one pass: segments, where their inputs and results lie (int64 elements), and the copies.

    owner_tile: int64 [owners]; out: variable of the results; move: the copies home, empty where results are at home.
    """

    segments: Segments
    owner_tile: np.ndarray
    inputs: Buffers
    input_begin: np.ndarray
    out: str
    out_begin: np.ndarray
    collect: CopySet
    move: CopySet


def lower_reduction(places: Places, book: VariableBook, partials: Buffers, number: int) -> Reduction:
    """The sums of pass `number`, with their buffers in `book`."""
    problem, partition = places.problem, places.partition
    at_home = partition.reduce_at == "home"
    segments = (_home_segments if at_home else _source_segments)(places, number)
    owner_tile = np.arange(places.num_tiles, dtype=np.int64) if at_home else places.tile
    sizes = _per_owner(segments.owner, segments.length * segments.sources, len(owner_tile))
    inputs = book.buffers("reduce_inputs", problem.partials_dtype, "temp", sizes, owner_tile)
    owner = segments.owner
    input_begin = inputs.begin[owner] + within_owner(owner, segments.length * segments.sources)
    collect = _collect(segments, partials, inputs.name, input_begin, problem.block_size)
    if at_home:
        return Reduction(segments, owner_tile, inputs, input_begin, "y", segments.y_begin, collect, _no_move())
    if places.part_homes is not None:
        out_begin = places.part_homes.summed_begin(number)[owner_tile[owner]] + within_owner(owner, segments.length)
        return Reduction(segments, owner_tile, inputs, input_begin, "y", out_begin, collect, _no_move())
    sizes = _per_owner(owner, segments.length, len(owner_tile))
    reduced = book.buffers("reduced", problem.dtype, "temp", sizes, owner_tile)
    out_begin = reduced.begin[owner] + within_owner(owner, segments.length)
    index, at, pieces = split(segments.y_begin, segments.length, places.y_home.per_tile)
    move = CopySet(reduced.name, "y", out_begin[index] + at - segments.y_begin[index], at, pieces)
    return Reduction(segments, owner_tile, inputs, input_begin, reduced.name, out_begin, collect, move)


def _no_move() -> CopySet:
    none = np.zeros(0, dtype=np.int64)
    return CopySet("y", "y", none, none, none)


def _per_owner(owner: np.ndarray, sizes: np.ndarray, owners: int) -> np.ndarray:
    return np.bincount(owner, weights=sizes, minlength=owners).astype(np.int64)


def _collect(segments: Segments, partials: Buffers, name: str, begin: np.ndarray, b: int) -> CopySet:
    """Every source's piece of every segment, one after the other, sources in tile order."""
    sources = segments.sources
    which = np.repeat(np.arange(len(sources)), sources)
    source = expand(segments.source_first, sources)
    rank = source - segments.source_first[which]
    place = segments.first_place[which] + segments.source_run[source]
    row_length = segments.width[which] * b
    start = partials.begin[place] + segments.source_row[source] * row_length + segments.offset[which]
    length = segments.length[which]
    return CopySet(partials.name, name, start, begin[which] + rank * length, length)


@dataclass(frozen=True)
class _SharedRows:
    """Rows of a group with two or more sources. entry: int64, their entries, row after row, each row in tile order;
    first, count: int64 [rows] into `entry`; row: int64 [rows] of Y."""

    entry: np.ndarray
    first: np.ndarray
    count: np.ndarray
    row: np.ndarray


def _shared_rows(group: Group) -> _SharedRows:
    work = group.work
    shared = np.flatnonzero(work.entry_sources > 1)
    entry = shared[np.argsort(work.entry_row[shared], kind="stable")]
    row = np.flatnonzero(work.row_sources > 1)
    count = work.row_sources[row]
    return _SharedRows(entry, offsets_of(count)[:-1], count, row)


def _sorted_segments(columns: Dict[str, List[np.ndarray]], sources: List[Tuple[np.ndarray, np.ndarray]]) -> Segments:
    table = {name: joined(parts) for name, parts in columns.items()}
    order = np.lexsort((table["y_begin"], table["owner"]))
    table = {name: values[order] for name, values in table.items()}
    runs, rows = joined([run for run, _ in sources]), joined([row for _, row in sources])
    return Segments(**table, source_run=runs, source_row=rows)


def _home_segments(places: Places, number: int) -> Segments:
    problem = places.problem
    b, n_padded = problem.block_size, problem.n_padded
    columns: Dict[str, List[np.ndarray]] = {name: [] for name in _COLUMNS}
    sources, base = [], 0
    for group in places.groups:
        rows = _shared_rows(group)
        sources.append((group.work.entry_run[rows.entry], group.local_row[rows.entry]))
        for place, column, width in zip(*active_parts(places, group, number)):
            start = (rows.row * n_padded + column) * b
            index, at, pieces = split(start, np.full(len(start), width * b), places.y_home.per_tile)
            values = {
                "owner": at // places.y_home.per_tile,
                "first_place": np.full(len(at), place),
                "width": np.full(len(at), width),
                "source_first": base + rows.first[index],
                "sources": rows.count[index],
                "offset": at - start[index],
                "length": pieces,
                "y_begin": at,
            }
            for name in _COLUMNS:
                columns[name].append(values[name])
        base += len(rows.entry)
    return _sorted_segments(columns, sources)


def _source_segments(places: Places, number: int) -> Segments:
    """The tiles that share a row divide it as summed_pieces says, which the planner counts with."""
    problem = places.problem
    b, n_padded = problem.block_size, problem.n_padded
    columns: Dict[str, List[np.ndarray]] = {name: [] for name in _COLUMNS}
    sources, base = [], 0
    for group in places.groups:
        work, rows = group.work, _shared_rows(group)
        sources.append((work.entry_run[rows.entry], group.local_row[rows.entry]))
        first_of_row = np.zeros(problem.block_grid[0], dtype=np.int64)
        first_of_row[rows.row] = base + rows.first
        for place, column, width in zip(*active_parts(places, group, number)):
            entry, offset, length = summed_pieces(places.partition, work, int(width), problem)
            row = work.entry_row[entry]
            values = {
                "owner": place + work.entry_run[entry],
                "first_place": np.full(len(entry), place),
                "width": np.full(len(entry), width),
                "source_first": first_of_row[row],
                "sources": work.row_sources[row],
                "offset": offset,
                "length": length,
                "y_begin": (row * n_padded + column) * b + offset,
            }
            for name in _COLUMNS:
                columns[name].append(values[name])
        base += len(rows.entry)
    return _sorted_segments(columns, sources)
