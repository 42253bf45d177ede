"""Closed-form cycles of static partitions of a pattern that is uniform at its density: a search's first round."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..codelet_cycles import (
    block_vertex_cycles,
    element_row_slots,
    reduce_grain,
    reduce_grain_slots,
)
from ..cost import paired_share
from ..layout import WORKERS, x_layout, y_layout
from ..pattern import BlockPattern
from ..problem import Problem, item_bytes
from ..target import Target
from .cuts import WHOLE_ROWS
from .packing import N_GROUPS


class Load(NamedTuple):
    """Expected work of one tile: blocks, block rows and block columns.

    sources: tiles that share a row of Y; longest: blocks of the longest row; passing: block columns that are multicast
    past the tile.
    """

    blocks: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    sources: np.ndarray
    longest: np.ndarray
    passing: np.ndarray


def expected_load(pattern: BlockPattern, tiles: np.ndarray, bands: np.ndarray, kind: str, paired: bool = False) -> Load:
    """Load of a tile when `tiles` share a part of n in `bands` bands, cut as `kind` (cuts.py); arrays broadcast.

    The pattern counts as uniform, but for its longest row. paired: neighbours take the columns of both.
    """
    mb, kb = pattern.block_grid
    density = min(max(pattern.density, 1e-12), 1 - 1e-9)
    per_band = np.maximum(tiles / bands, 1e-9)
    rows, width = _rows_of_a_tile(mb / per_band, kind), kb / bands
    blocks = np.ceil(rows * width * density)
    longest = np.bincount(pattern.rows, minlength=1).max() / bands
    longest = np.ceil(np.minimum(width, longest + 2.5 * np.sqrt(np.where(bands > 1, longest, 0.0))))  # of many bands
    blocks = np.maximum(blocks, longest) if kind in WHOLE_ROWS else blocks
    many = rows >= 1
    present = np.where(many, -np.expm1(width * np.log1p(-density)), 1.0)
    straddled = np.where(many, present, 0.0) if kind == "even" else 0.0
    touched = np.maximum(rows, 1.0) * present + straddled
    together = rows * (2 if paired else 1)
    cols = np.where(many, width * -np.expm1(together * np.log1p(-density)), width * density * np.minimum(together, 1.0))
    runs = np.minimum(per_band, mb) if kind in WHOLE_ROWS else per_band
    sources = touched * runs * bands / mb if kind == "even" else np.maximum(runs / mb, 1.0) * present * bands
    sources = np.maximum(sources, 1e-9)
    receivers = cols * runs / np.maximum(width, 1e-9)  # of a block column; a single one is no multicast
    passing = np.where(receivers >= 2, np.maximum(width - cols, 0.0), 0.0)
    return Load(blocks, np.maximum(touched, 1), np.maximum(cols, 1), sources, np.minimum(longest, blocks), passing)


def _rows_of_a_tile(mean: np.ndarray, kind: str) -> np.ndarray:
    """Rows of the fullest tile where a tile has `mean` of them, below 1 where tiles share a row."""
    if kind == "even":
        return mean
    if kind == "rows":
        return np.asarray(np.ceil(mean))
    packed = np.minimum(np.ceil(mean), mean + 0.35)  # uneven rows fill up what whole numbers leave
    if kind == "packed":
        return np.asarray(np.maximum(packed, 1.0))
    return np.asarray(np.where(mean >= 1, np.minimum(packed, mean * 1.1), 1 / np.floor(1 / np.minimum(mean, 1.0))))


def estimated_total(
    pattern: BlockPattern,
    problem: Problem,
    target: Target,
    load: Load,
    columns: np.ndarray,
    passes: int,
    homes: str = "linear",
    paired: bool = False,
) -> np.ndarray:
    """float64 cycles of a product whose tiles have `load` and `columns` columns in each of `passes` passes.

    homes, paired: as Partition has them.
    """
    b, item, partial_item = problem.block_size, item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    rate, fragment = target.exchange_bytes_per_cycle, target.model["exchange_fragment_cycles"]
    x_home, y_home = x_layout(problem, target.tiles).per_tile, _y_of_a_pass(problem, target, passes)
    stream = rate / (paired_share(target) if paired else 1.0)
    gather = load.passing * columns * b * item / stream
    gather = gather + load.cols * (columns * b * item / stream + fragment * (1 + columns * b / x_home))
    shared = load.sources > 1.02
    home = _way_home(problem, target, load, columns, y_home, homes)
    grains = y_home / reduce_grain(problem.partials_dtype)
    slots = reduce_grain_slots(problem.partials_dtype, problem.dtype) + load.sources - 1
    reduce = np.where(shared, WORKERS * (16 + np.ceil(grains / WORKERS) * slots), 0.0)
    cast = np.zeros(())
    if partial_item != item:
        cast = np.where(shared, 0.0, WORKERS * 26 + load.rows * columns * b / 2)
    computes = np.where(shared | (partial_item != item), 2, 1)
    exchanges = np.where(shared | (homes == "linear"), 2, 1)
    steps = exchanges * (target.model["exchange_step_cycles"] + target.model["sync_cycles"])
    steps = steps + computes * (target.model["compute_step_cycles"] + target.model["sync_cycles"])
    dot = _dot_cycles(problem, load, columns)
    cycles = passes * (gather + dot + home + reduce + cast + steps)
    total: np.ndarray = cycles + _layout_cycles(problem, target, columns, homes)
    return total


def _way_home(
    problem: Problem, target: Target, load: Load, columns: np.ndarray, y_home: float, homes: str
) -> np.ndarray:
    """float64 cycles of the exchange that brings partials, or rows that no tile shares, to where Y lives."""
    b, item, partial_item = problem.block_size, item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    rate, fragment = target.exchange_bytes_per_cycle, target.model["exchange_fragment_cycles"]
    made, shared = load.rows * columns * b, load.sources > 1.02
    if homes == "parts":
        own = made / np.maximum(load.sources, 1.0)
        cycles = (made - own) * partial_item / rate + own * partial_item / target.vector_bytes + fragment * load.rows
        return np.asarray(np.where(shared, cycles, 0.0))
    out_item = np.where(shared, partial_item, item)
    home = y_home * load.sources * out_item / rate
    home = home + fragment * load.sources * (1 + y_home / (columns * b))
    slowest: np.ndarray = np.maximum(home, made * out_item / rate)
    return slowest


def _layout_cycles(problem: Problem, target: Target, columns: np.ndarray, homes: str) -> np.ndarray:
    """float64 cycles for parts of n of so many columns, as `cost.layout_cost` counts them."""
    per_tile = x_layout(problem, target.tiles).per_tile + y_layout(problem, target.tiles).per_tile
    strided = (columns < problem.n_padded) & (problem.block_size > 1) & (homes == "linear")
    moved = np.where(strided, per_tile * item_bytes(problem.dtype) * target.model["layout_cycles_per_byte"], 0.0)
    cycles: np.ndarray = moved + np.ceil(problem.n_padded / columns) * target.model["column_part_cycles"]
    return cycles


def _y_of_a_pass(problem: Problem, target: Target, passes: int) -> float:
    """Elements of Y at a home that lie in the columns of one pass: all, where a home holds less than one row."""
    home, row = y_layout(problem, target.tiles).per_tile, problem.n_padded * problem.block_size
    return min(home, max(1.0, home / row) * row / passes)


def _dot_cycles(problem: Problem, load: Load, columns: np.ndarray) -> np.ndarray:
    if problem.block_size > 1:
        worker = np.ceil(columns / WORKERS).astype(np.int64)
        rows, blocks = np.ceil(load.rows).astype(np.int64), load.blocks.astype(np.int64)
        cycles = block_vertex_cycles(problem.dtype, problem.partials_dtype, problem.block_size, worker, rows, blocks)
        return cycles.astype(np.float64)
    options = [_element_cycles(problem, load, columns, groups) for groups in N_GROUPS]
    fastest: np.ndarray = np.min(np.stack(np.broadcast_arrays(*options)), axis=0)
    return fastest


def _element_cycles(problem: Problem, load: Load, columns: np.ndarray, n_groups: int) -> np.ndarray:
    """Cycles of a b = 1 vertex whose workers form `n_groups` groups along n; infinite where n is too narrow."""
    wide = 16 // item_bytes(problem.dtype)
    grain = np.where(columns >= wide * n_groups, wide, wide // 2)
    width = (np.ceil(columns / (grain * n_groups)) * grain).astype(np.int64)
    slots = element_row_slots(problem.dtype, width, problem.partials_dtype)
    row_groups = WORKERS // n_groups
    rows = np.ceil(np.maximum(load.rows, 1) / row_groups)
    even = np.where(load.rows < 4 * row_groups, rows * load.blocks / np.maximum(load.rows, 1), load.blocks / row_groups)
    busy = slots.with_rows + rows * slots.per_row + np.maximum(even, load.longest) * slots.per_nonzero
    return np.where(columns >= wide // 2 * n_groups, WORKERS * busy, np.inf)


def estimated_bytes(
    problem: Problem, target: Target, load: Load, columns: np.ndarray, passes: int, homes: str = "linear"
) -> np.ndarray:
    """float64 peak bytes of a tile: tensors at home, values and lists, code, and the fuller of two moments."""
    b, item, partial_item = problem.block_size, item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    x_home, y_home = x_layout(problem, target.tiles).per_tile, y_layout(problem, target.tiles).per_tile
    y_of_a_pass = _y_of_a_pass(problem, target, passes)
    values = load.blocks * (b * b * item + 2)
    partials = load.rows * columns * b * partial_item
    if homes == "parts" and partial_item == item:
        partials = np.where(load.sources > 1.02, partials, 0.0)
    multiplying = load.cols * columns * b * item + partials
    summing = partials + np.where(load.sources > 1.02, load.sources * y_of_a_pass * partial_item, 0.0)
    pieces = passes * load.cols * (1 + columns * b / x_home) + load.sources * (passes + y_home / (columns * b))
    code = target.model["code_bytes"] + target.model["exchange_code_bytes_per_fragment"] * pieces
    total: np.ndarray = (x_home + y_home) * item + values + code + np.maximum(multiplying, summing)
    return total
