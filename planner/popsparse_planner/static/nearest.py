"""For a plan that does not fit: the nearest change that does, found by planning it."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem, column_grain
from ..target import Target
from .balanced import BalancedSearch, Tried

_PROBES = (4, 10)  # numbers of columns that are tried: for a large pattern, and at most
_LARGE = 1_000_000  # blocks that all probes together may touch before they are cut short
_MORE_TILES = (1.15, 1.5, 2.5, 5.0)  # factors on the tiles that the bytes of the fullest tile ask for


def nearest_change(
    pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions, needed_bytes: int
) -> str:
    """What would fit, in words: more serial passes, fewer columns, or more tiles; each was tried before it is named.

    needed_bytes: of the fullest tile as it stands.
    """
    if options.max_serial_passes is not None:
        free = _fit(pattern, problem, target, replace(options, max_serial_passes=None))
        if free is not None:
            return f"{free.passes} serial passes over n would fit (max_serial_passes is {options.max_serial_passes})"
    if target.model["code_bytes"] >= target.tile_bytes:
        return f"no tile of fewer than {int(target.model['code_bytes']):,} B holds the code alone"
    columns = most_columns(pattern, problem, target, options, needed_bytes)
    if columns > 0:
        return f"n = {columns:,} would fit"
    fewest = replace(problem, n=min(problem.n, column_grain(problem.dtype)))
    for factor in _MORE_TILES:
        tiles = 2 * -(-int(factor * target.tiles * max(1.0, needed_bytes / target.tile_bytes)) // 2)
        if _fit(pattern, problem, target.replace(tiles=tiles), options) is not None:
            return f"no n fits {target.tiles:,} tiles; {tiles:,} tiles would hold n = {problem.n:,}"
        if _fit(pattern, fewest, target.replace(tiles=tiles), options) is not None:
            return f"no n fits {target.tiles:,} tiles; {tiles:,} tiles would hold n = {fewest.n:,}"
    return f"no n fits, and no number of tiles up to {tiles:,}"


def most_columns(
    pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions, needed_bytes: int
) -> int:
    """About the largest n below the problem's that fits, and was tried; 0 where one grain is too much."""
    grain = column_grain(problem.dtype)
    low, high = 0, problem.n_padded // grain
    guess = int(high * min(0.9, target.tile_bytes / max(needed_bytes, 1)))
    for _ in range(int(np.clip(_LARGE // max(pattern.nnz_blocks, 1), *_PROBES))):
        if high - low <= max(1, high // 16):
            break
        guess = min(max(guess, low + 1), high - 1)
        if _fit(pattern, replace(problem, n=guess * grain), target, options) is not None:
            low = guess
        else:
            high = guess
        guess = (low + high) // 2
    if low == 0 and high > 1 and _fit(pattern, replace(problem, n=grain), target, options) is not None:
        low = 1
    return low * grain


def _fit(pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> Optional[Tried]:
    return BalancedSearch(pattern, problem, target, options).first_fit()
