"""How the tiles that share a row divide its sum among them."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from ..codelet_cycles import reduce_grain
from ..partition import Partition
from ..problem import Problem, column_grain
from .work import CutWork

Pieces = Tuple[np.ndarray, np.ndarray, np.ndarray]  # int64: entry, first element in its row, elements

_AT_ONCE = (8.0, 1e9)  # pieces of a tile that are tried, about; the last: every source of a row takes one
_ROUNDS = 32  # in which rows choose their sources, each after seeing the loads of those before
_TIE = 1e-3  # smaller than any difference of loads


def summed_pieces(partition: Partition, work: CutWork, num_columns: int, problem: Problem) -> Pieces:
    """The pieces of shared rows that are summed at their sources, as `partition` keeps X and Y; none is empty."""
    if partition.homes == "parts":
        return dealt_pieces(work, num_columns, problem)
    entry, start, length = shared_pieces(work, num_columns, problem)
    kept = length > 0
    return entry[kept], start[kept], length[kept]


def shared_pieces(work: CutWork, num_columns: int, problem: Problem) -> Pieces:
    """How the tiles that share a row divide it: (entry, first element, elements) of every entry with several sources.

    A row of num_columns columns has num_columns * b elements, G grains of 8 bytes. Piece i of its s pieces is grains
    [i * G // s, (i + 1) * G // s); it is summed by source (i - row) mod s in tile order, so that short rows spread.
    """
    shared, rank = work.shared_entries
    rows = work.entry_row[shared]
    sources = work.row_sources[rows]
    piece = (rank + rows) % sources
    grain = column_grain(problem.dtype)
    grains = num_columns * problem.block_size // grain
    start = piece * grains // sources * grain
    return shared, start, (piece + 1) * grains // sources * grain - start


def dealt_pieces(work: CutWork, num_columns: int, problem: Problem) -> Pieces:
    """Pieces of whole reducing grains, dealt so that all tiles receive and sum about as much.

    A short last grain costs a reducing worker a whole one, so a row is not cut inside a grain.
    """
    key = (num_columns, problem.partials_dtype)
    if key not in work.kept_pieces:
        total, grain = num_columns * problem.block_size, reduce_grain(problem.partials_dtype)
        grains = -(-total // grain)
        entry, first, last = min(
            (_deal(work, grains, at_once) for at_once in _AT_ONCE), key=lambda dealt: _heaviest(work, *dealt)
        )
        start, stop = np.minimum(first * grain, total), np.minimum(last * grain, total)
        work.kept_pieces[key] = (entry, start, stop - start)
    pieces: Pieces = work.kept_pieces[key]
    return pieces


def _deal(work: CutWork, grains: int, at_once: float) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(entry, first grain, last grain) of every piece: rows choose, round by round, the least loaded of their sources.

    at_once: pieces that a tile takes of all its rows, about; more are smaller.
    """
    shared, rank = work.shared_entries
    order = np.argsort(work.entry_row[shared], kind="stable")
    entry, rank = shared[order], rank[order]
    row, run = work.entry_row[entry], work.entry_run[entry]
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    counts = np.diff(np.append(starts, len(row)))
    rows_of_a_tile = len(entry) / max(1, work.cut.num_runs)
    pieces = np.minimum(np.minimum(counts, grains), np.maximum(1, np.ceil(counts * at_once / max(rows_of_a_tile, 1))))
    pieces = pieces.astype(np.int64)
    spread = ((rank * 40503 + row * 30011) % 65536) / 65536.0  # which of equally loaded sources a row prefers
    load = np.zeros(work.cut.num_runs)
    parts = []
    for some in np.array_split(np.arange(len(starts)), min(_ROUNDS, max(1, len(starts)))):
        if not len(some):
            continue
        mine = np.arange(starts[some[0]], starts[some[-1]] + counts[some[-1]])
        of_row = np.repeat(some, counts[some])
        by_load = np.lexsort((load[run[mine]] + spread[mine] * _TIE, of_row))
        number = np.arange(len(mine)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        takes = number < pieces[of_row]
        chosen, number, share = mine[by_load[takes]], number[takes], pieces[of_row[takes]]
        first, last = -(-number * grains // share), -(-(number + 1) * grains // share)  # the least loaded take most
        weights = (last - first) * _grain_weight(counts[of_row[takes]])
        load += np.bincount(run[chosen], weights=weights, minlength=len(load))
        parts.append((entry[chosen], first, last))
    if not parts:
        return (np.zeros(0, dtype=np.int64),) * 3
    entries, firsts, lasts = (np.concatenate(column) for column in zip(*parts))
    return entries, firsts, lasts


def _grain_weight(sources: np.ndarray) -> np.ndarray:
    """Cycles that a grain of so many sources costs the tile that sums it: 16 bytes from each other, and the sum."""
    weight: np.ndarray = 4.0 * (sources - 1) + 13.0 + sources
    return weight


def _heaviest(work: CutWork, entry: np.ndarray, first: np.ndarray, last: np.ndarray) -> float:
    """Weight of the tile that has most to sum."""
    weights = (last - first) * _grain_weight(work.entry_sources[entry])
    return float(np.bincount(work.entry_run[entry], weights=weights, minlength=1).max())
