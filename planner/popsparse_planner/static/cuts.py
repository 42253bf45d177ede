"""Cuts of a pattern into one run per tile: bands of block columns, then runs of nonzeros in row order inside a band."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heapreplace
from typing import List, Tuple

import numpy as np

from ..partition import Cut
from ..pattern import BlockPattern

CUT_KINDS = ("even", "rows", "packed", "pieces")
WHOLE_ROWS = ("rows", "packed")  # kinds that never divide a block row inside a band


def optimal_bounds(weights: np.ndarray, parts: int) -> np.ndarray:
    """Bounds int64 [parts + 1] of the contiguous division of `weights` whose heaviest part is lightest.

    weights: non-negative float64 [items]; parts at the end may be empty. Bisection on the heaviest part, between
    values that divisions really have, so that it ends at the optimum.
    """
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    prefix: List[float] = sums.tolist()
    most = float(np.max(weights, initial=0.0))
    low, high = max(most, prefix[-1] / parts), prefix[-1] / parts + most
    best = _greedy(prefix, parts, high)
    while low < high * (1.0 - 1e-9):
        middle = 0.5 * (low + high)
        bounds = _greedy(prefix, parts, middle)
        heads = sums[bounds[:-1]]
        if bounds[-1] == len(weights):
            best, high = bounds, min(middle, float(np.max(sums[bounds[1:]] - heads)))
        else:
            low = max(middle, float(np.min(sums[np.minimum(bounds[1:] + 1, len(weights))] - heads)))
    return best


def _greedy(prefix: List[float], parts: int, limit: float) -> np.ndarray:
    """Bounds of parts filled up to `limit` one after the other; the last bound falls short if it is too low."""
    bounds, at, limit = [0], 0, limit * (1.0 + 1e-12)
    for _ in range(parts):
        at = bisect_right(prefix, prefix[at] + limit, at) - 1
        bounds.append(at)
    return np.array(bounds, dtype=np.int64)


def column_bands(pattern: BlockPattern, bands: int) -> np.ndarray:
    """Bounds int64 [bands + 1] of block columns that balance the nonzeros of `bands` bands."""
    counts = np.bincount(pattern.cols, minlength=pattern.block_grid[1]).astype(np.float64)
    if bands == 1:
        return np.array([0, len(counts)], dtype=np.int64)
    return optimal_bounds(counts, bands)


def share_tiles(weights: np.ndarray, tiles: int) -> np.ndarray:
    """int64 [bands]: tiles by largest remainder, at least one to every band with weight; needs tiles >= bands."""
    used = weights > 0
    exact = weights / max(float(weights.sum()), 1.0) * tiles
    shares = np.where(used, np.maximum(np.floor(exact), 1), 0).astype(np.int64)
    while shares.sum() > tiles:
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    spare = int(tiles - shares.sum())
    if spare > 0 and used.any():
        order = np.argsort(-np.where(used, exact - shares, -np.inf), kind="stable")[: int(used.sum())]
        shares[order] += spare // len(order)
        shares[order[: spare % len(order)]] += 1
    return shares


def banded_cut(
    pattern: BlockPattern,
    tiles: int,
    bands: int,
    kind: str,
    block_cycles: float,
    row_cycles: float,
    *,
    paired: bool = False,
) -> Cut:
    """A cut into at most `tiles` runs over `bands` bands of k; paired: every band gets a whole number of two runs.

    kind "even": every run of a band has the same number of blocks, give or take one, and may start inside a row;
    "rows": runs of whole consecutive rows; "packed": whole rows, longest first to the least loaded run; "pieces": as
    packed, with rows that are too long for one run divided. All but "even" balance block_cycles * blocks +
    row_cycles * rows.
    """
    bounds = column_bands(pattern, bands)
    band = np.searchsorted(bounds, pattern.cols, side="right").astype(np.int16) - np.int16(1)
    order = np.argsort(band, kind="stable") if bands > 1 else np.arange(pattern.nnz_blocks)
    counts = np.bincount(band, minlength=bands)
    grain = 2 if paired and tiles >= 2 * bands else 1
    shares = share_tiles(counts.astype(np.float64), tiles // grain) * grain
    offsets, run_band, first = [np.zeros(1, dtype=np.int64)], [], 0
    for index in np.flatnonzero(shares):
        mine = order[first : first + int(counts[index])]
        place, stops = _runs(pattern.rows[mine], int(shares[index]), kind, block_cycles, row_cycles)
        order[first : first + len(mine)] = mine[place]
        stops = np.append(stops, np.repeat(stops[-1:], -len(stops) % grain))
        offsets.append(first + stops)
        run_band.append(np.full(len(stops), index, dtype=np.int32))
        first += len(mine)
    none = np.zeros(0, dtype=np.int32)
    return Cut(order, np.concatenate(offsets), np.concatenate(run_band) if run_band else none)


def _runs(
    rows: np.ndarray, runs: int, kind: str, block_cycles: float, row_cycles: float
) -> Tuple[np.ndarray, np.ndarray]:
    """(order of the blocks, ends of at most `runs` runs in it) for one band; rows: int32 [blocks], sorted."""
    if kind == "even":
        return np.arange(len(rows)), _even_stops(rows, runs, block_cycles, row_cycles)
    starts = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    counts = np.diff(np.append(starts, len(rows)))
    weights = counts * block_cycles + row_cycles
    if kind == "rows":
        bounds = optimal_bounds(weights, min(runs, len(starts)))
        stops: np.ndarray = (starts + counts)[np.unique(bounds[1:]) - 1]
        return np.arange(len(rows)), stops
    pieces = np.ones(len(counts), dtype=np.int64)
    if kind == "pieces":
        pieces = _divided(weights, runs)
    row = np.repeat(np.arange(len(counts)), pieces)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    sizes = (rank + 1) * counts[row] // pieces[row] - rank * counts[row] // pieces[row]
    run_of_block = np.repeat(longest_first(sizes * block_cycles + row_cycles, runs), sizes)
    ends = np.cumsum(np.bincount(run_of_block, minlength=1))
    return np.argsort(run_of_block, kind="stable"), np.unique(ends)


def _even_stops(rows: np.ndarray, runs: int, block_cycles: float, row_cycles: float) -> np.ndarray:
    """Ends of at most `runs` consecutive runs that may start inside a row; the best of three simple divisions.

    Equal cycles; equal blocks; equal blocks over as few runs as keep the longest as short, which divides fewer rows.
    """
    blocks = len(rows)
    row_index = np.concatenate([[0], np.cumsum(rows[1:] != rows[:-1])])
    done = block_cycles * np.arange(1, blocks + 1) + row_cycles * (row_index + 1)
    fewest = -(-blocks // -(-blocks // runs))
    candidates = [np.arange(1, used + 1) * blocks // used for used in (fewest, runs)]
    candidates.append(np.append(np.searchsorted(done, done[-1] / runs * np.arange(1, runs)), blocks))

    def slowest(stops: np.ndarray) -> float:
        stops = np.unique(stops[stops > 0])
        first = np.concatenate([[0], stops[:-1]])
        touched = row_index[stops - 1] - row_index[first] + 1
        return float(np.max((stops - first) * block_cycles + touched * row_cycles))

    best = min(candidates, key=slowest)
    return np.unique(best[best > 0])


def _divided(weights: np.ndarray, runs: int) -> np.ndarray:
    """int64 [rows]: pieces of each row, as long as fits one run each, or as an even share where rows are many."""
    share = float(weights.sum()) / runs
    if len(weights) >= runs:
        return np.ceil(weights / share).astype(np.int64)
    low, high = share, float(weights.max())
    for _ in range(30):
        middle = 0.5 * (low + high)
        if np.ceil(weights / middle).sum() > runs:
            low = middle
        else:
            high = middle
    return np.ceil(weights / high).astype(np.int64)


def longest_first(weights: np.ndarray, runs: int) -> np.ndarray:
    """int64 [items]: the run of each item, heaviest first to the run that is lightest so far."""
    chosen = np.zeros(len(weights), dtype=np.int64)
    load = [(0.0, run) for run in range(runs)]
    heapify(load)
    for item in np.argsort(-weights, kind="stable").tolist():
        lightest, run = load[0]
        chosen[item] = run
        heapreplace(load, (lightest + float(weights[item]), run))
    return chosen
