"""Where the blocks of a random pattern lie: one function per kind, each returns distinct cells of the block grid.

A cell (row, column) of an (mb, kb) grid is the int64 number row * kb + column. A kind draws cells one after the other
and draws a rejected duplicate again. Where more than a quarter of the grid is asked for, the weighted kinds use
exponential keys instead: the `count` smallest of E / weight over all cells, E exponential, have the same distribution
as drawing with rejection (Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006), and never stall.
Below that share at least one draw in seven is accepted, as no kind gives a cell less than a fifth of the mean weight.

Only `Generator.random` of PCG64 is used, so that a seed gives the same pattern with every NumPy.
"""

from __future__ import annotations

from typing import Callable, Dict, Tuple

import numpy as np

from .errors import PatternError

_MASK_CELLS = 1 << 27  # up to here the cells taken are marked in one byte each, above it they are kept as a sorted list
_KEYS_ABOVE = 0.25  # share of the grid

_Draw = Callable[[int], np.ndarray]  # number of cells -> int64 cells, duplicates allowed


def random_cells(
    kind: str,
    grid: Tuple[int, int],
    count: int,
    density: float,
    seed: int,
) -> np.ndarray:
    """`count` distinct cells of the (mb, kb) grid, int64 [count] in rising order, drawn as `kind` says.

    density: what count was rounded from (the banded kind's width follows it). Raises PatternError for an unknown kind.
    """
    if kind not in KINDS:
        raise PatternError(f"unknown kind of pattern {kind!r}: expected one of {', '.join(KINDS)}", kind=kind)
    rng = np.random.Generator(np.random.PCG64(seed))
    return KINDS[kind](grid, count, density, rng)


def distinct_uniform(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` distinct numbers below `total`, each set equally likely; int64 [count], rising.

    Raises PatternError if there are fewer than `count` numbers.
    """
    if count > total:
        raise PatternError(
            f"cannot draw {count:,} distinct blocks from a region of {total:,}", count=count, region=total
        )
    if 2 * count > total:
        left_out = distinct_uniform(total, total - count, rng)
        kept = np.ones(total, dtype=bool)
        kept[left_out] = False
        return np.flatnonzero(kept).astype(np.int64)
    return _distinct(total, count, lambda missing: _below(total, missing, rng))


def _uniform(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    return distinct_uniform(grid[0] * grid[1], count, rng)


def _row_balanced(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Every block row gets count // mb blocks; rows that are drawn get one more."""
    mb, kb = grid
    per_row = np.full(mb, count // mb, dtype=np.int64)
    per_row[distinct_uniform(mb, count % mb, rng)] += 1
    if 2 * count <= mb * kb:
        return _distinct_in_rows(per_row, kb, rng)
    kept = np.ones(mb * kb, dtype=bool)
    kept[_distinct_in_rows(kb - per_row, kb, rng)] = False
    return np.flatnonzero(kept).astype(np.int64)


def _banded(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Uniform over the cells with |column - row * kb / mb| <= max(1, density * kb); they are always enough."""
    mb, kb = grid
    reach = max(1.0, density * kb)
    diagonal = np.arange(mb) * (kb / mb)
    first = np.maximum(np.ceil(diagonal - reach), 0).astype(np.int64)
    last = np.minimum(np.floor(diagonal + reach), kb - 1).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(last - first + 1)])
    place = distinct_uniform(int(offsets[-1]), count, rng)
    rows = np.searchsorted(offsets, place, side="right") - 1
    return np.asarray(rows * kb + first[rows] + place - offsets[rows], dtype=np.int64)


def _row_skew(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    mb, kb = grid
    if count > _KEYS_ABOVE * mb * kb:
        return _by_keys(np.repeat(_skew_weights(mb), kb), count, rng)
    return _distinct(mb * kb, count, lambda missing: _skewed(mb, missing, rng) * kb + _below(kb, missing, rng))


def _col_skew(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    mb, kb = grid
    if count > _KEYS_ABOVE * mb * kb:
        return _by_keys(np.tile(_skew_weights(kb), mb), count, rng)
    return _distinct(mb * kb, count, lambda missing: _below(mb, missing, rng) * kb + _skewed(kb, missing, rng))


def _hot_corner(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """A draw falls with even chances anywhere, or in the first quarter (rounded up) of the rows and of the columns."""
    mb, kb = grid
    hot_rows, hot_columns = -(-mb // 4), -(-kb // 4)
    if count > _KEYS_ABOVE * mb * kb:
        weights = np.full((mb, kb), 0.5 / (mb * kb))
        weights[:hot_rows, :hot_columns] += 0.5 / (hot_rows * hot_columns)
        return _by_keys(weights.reshape(-1), count, rng)

    def draw(missing: int) -> np.ndarray:
        hot = rng.random(missing) < 0.5
        rows = rng.random(missing) * np.where(hot, hot_rows, mb)
        columns = rng.random(missing) * np.where(hot, hot_columns, kb)
        return rows.astype(np.int64) * kb + columns.astype(np.int64)

    return _distinct(mb * kb, count, draw)


def _power_law(grid: Tuple[int, int], count: int, density: float, rng: np.random.Generator) -> np.ndarray:
    mb, kb = grid
    weights = (np.arange(mb) + 1.0) ** -0.8
    weights = weights[np.argsort(rng.random(mb), kind="stable")]
    if count > _KEYS_ABOVE * mb * kb:
        return _by_keys(np.repeat(weights, kb), count, rng)
    bounds = np.cumsum(weights)

    def draw(missing: int) -> np.ndarray:
        rows = np.searchsorted(bounds, rng.random(missing) * bounds[-1], side="right")
        return np.asarray(np.minimum(rows, mb - 1) * kb + _below(kb, missing, rng))

    return _distinct(mb * kb, count, draw)


KINDS: Dict[str, Callable[[Tuple[int, int], int, float, np.random.Generator], np.ndarray]] = {
    "uniform": _uniform,
    "row_balanced": _row_balanced,
    "banded": _banded,
    "row_skew": _row_skew,
    "col_skew": _col_skew,
    "hot_corner": _hot_corner,
    "power_law": _power_law,
}


def _below(bound: int, num_draws: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [num_draws], each number below `bound` equally likely."""
    return (rng.random(num_draws) * bound).astype(np.int64)


def _skewed(bound: int, num_draws: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [num_draws], floor(bound * u^1.5)."""
    return np.minimum((bound * rng.random(num_draws) ** 1.5).astype(np.int64), bound - 1)


def _skew_weights(bound: int) -> np.ndarray:
    """float64 [bound], the chance of each number in `_skewed`."""
    return np.diff((np.arange(bound + 1) / bound) ** (2.0 / 3.0))


def _by_keys(weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` cells drawn without replacement with chances proportional to `weights` float64 [cells]."""
    if count == len(weights):
        return np.arange(count, dtype=np.int64)
    keys = -np.log1p(-rng.random(len(weights))) / weights
    return np.sort(np.argpartition(keys, count)[:count]).astype(np.int64)


def _distinct(total: int, count: int, draw: _Draw) -> np.ndarray:
    """The first `count` different cells that `draw` gives, rising; each round draws as many as are still missing."""
    if total <= _MASK_CELLS:
        taken = np.zeros(total, dtype=bool)
        missing = count
        while missing:
            taken[draw(missing)] = True
            missing = count - int(np.count_nonzero(taken))
        return np.flatnonzero(taken).astype(np.int64)
    cells = np.empty(0, dtype=np.int64)
    while len(cells) < count:
        cells = np.unique(np.concatenate([cells, draw(count - len(cells))]))
    return cells


def _distinct_in_rows(per_row: np.ndarray, kb: int, rng: np.random.Generator) -> np.ndarray:
    """per_row[r] distinct cells in each row r of kb cells, every set equally likely; rising."""
    mb = len(per_row)
    marked = mb * kb <= _MASK_CELLS
    taken = np.zeros((mb, kb) if marked else 0, dtype=bool)
    cells = np.empty(0, dtype=np.int64)
    active, missing = np.arange(mb), per_row
    while missing.any():
        active, missing = active[missing > 0], missing[missing > 0]
        rows = np.repeat(active, missing)
        columns = _below(kb, len(rows), rng)
        if marked:
            taken[rows, columns] = True
            held = np.count_nonzero(taken[active], axis=1)
        else:
            cells = np.unique(np.concatenate([cells, rows * kb + columns]))
            held = np.bincount(cells // kb, minlength=mb)[active]
        missing = per_row[active] - held
    return np.flatnonzero(taken).astype(np.int64) if marked else cells
