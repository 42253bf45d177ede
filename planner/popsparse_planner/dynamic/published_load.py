"""What a uniform random pattern asks of a published dynamic plan: its fullest cell, and the blocks that spill.

The planner that made the plan knows neither; both decide how long the program runs.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Tuple

import numpy as np

from ..pattern import BlockPattern
from .published_spills import Capacity, place_published

_DRAWN_BLOCKS = 1 << 18  # up to here a pattern is drawn; above it the counts of cells are nearly normal
_DRAWS = 5


class UniformLoad(NamedTuple):
    """A typical random pattern.

    rows, blocks: of each cell, nonempty block rows and blocks, float64 [cells] (of the fullest alone where none was
    drawn); spill_probability: that a pattern needs propagation; steps: propagation steps of the median pattern;
    spilled_rows, spilled_blocks: mean sizes of its pieces away from home.
    """

    rows: np.ndarray
    blocks: np.ndarray
    spill_probability: float
    steps: int
    spilled_rows: float
    spilled_blocks: float


def uniform_load(grid: Tuple[int, int], nnz_blocks: int, block_size: int, capacity: Capacity) -> UniformLoad:
    """The load of nnz_blocks blocks of the codelets' size in a grid (mb, kb) of such blocks; seeds 0, 1, ..."""
    chance = spill_probability(grid, nnz_blocks, capacity)
    drawn = nnz_blocks <= _DRAWN_BLOCKS
    rows, blocks = (
        _drawn_cells(grid, nnz_blocks, block_size, capacity) if drawn else _fullest(grid, nnz_blocks, capacity)
    )
    if chance < 0.5 or not drawn:
        return UniformLoad(rows, blocks, chance, 0, 0.0, 0.0)
    placements = [place_published(_draw(grid, nnz_blocks, block_size, seed), capacity) for seed in range(_DRAWS)]
    middle = sorted(placements, key=lambda placement: placement.steps_skip_aware)[_DRAWS // 2]
    away = middle.spilled
    if not away.any():
        return UniformLoad(rows, blocks, chance, 0, 0.0, 0.0)
    sizes = (float(size[away].mean()) for size in (middle.subgroups.rows, middle.subgroups.blocks))
    return UniformLoad(rows, blocks, chance, middle.steps_skip_aware, *sizes)


def spill_probability(grid: Tuple[int, int], nnz_blocks: int, capacity: Capacity) -> float:
    """Chance that one of the full cells gets more blocks than its Pz buckets hold, cells taken as independent.

    A cell's count is hypergeometric: nnz_blocks drawn from the grid without replacement. Meta-info is not looked at.
    """
    size = [-(-blocks // parts) for blocks, parts in zip(grid, (capacity.px, capacity.py))]
    cells = (grid[0] // size[0]) * (grid[1] // size[1])
    total, inside, room = grid[0] * grid[1], size[0] * size[1], capacity.pz * capacity.blocks
    most = min(inside, nnz_blocks)
    if room >= most:
        return 0.0
    if room + 1 < nnz_blocks - (total - inside):
        return 1.0
    count = np.arange(room + 1, most, dtype=np.float64)
    odds = np.log((inside - count) * (nnz_blocks - count))
    odds = odds - np.log((count + 1.0) * (total - inside - nnz_blocks + count + 1.0))
    first = _log_choose(inside, room + 1) + _log_choose(total - inside, nnz_blocks - room - 1)
    first -= _log_choose(total, nnz_blocks)
    above = float(np.exp(first + np.concatenate([[0.0], np.cumsum(odds)])).sum())
    return 1.0 - (1.0 - min(above, 1.0)) ** cells


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _draw(grid: Tuple[int, int], nnz_blocks: int, block_size: int, seed: int) -> BlockPattern:
    shape = (grid[0] * block_size, grid[1] * block_size)
    return BlockPattern.random(shape, density=nnz_blocks / (grid[0] * grid[1]), block_size=block_size, seed=seed)


def _drawn_cells(
    grid: Tuple[int, int], nnz_blocks: int, block_size: int, capacity: Capacity
) -> Tuple[np.ndarray, np.ndarray]:
    """Rows and blocks of every cell of one pattern."""
    pattern, cells = _draw(grid, nnz_blocks, block_size, 0), capacity.px * capacity.py
    cell = (pattern.rows // -(-grid[0] // capacity.px)) * capacity.py + pattern.cols // -(-grid[1] // capacity.py)
    filled = np.unique(cell.astype(np.int64) * grid[0] + pattern.rows) // grid[0]
    rows, blocks = (np.bincount(values, minlength=cells).astype(np.float64) for values in (filled, cell))
    return rows, blocks


def _fullest(grid: Tuple[int, int], nnz_blocks: int, capacity: Capacity) -> Tuple[np.ndarray, np.ndarray]:
    """Rows and blocks of the fullest cell, its count as that of a normal distribution."""
    density = nnz_blocks / (grid[0] * grid[1])
    groups_x, groups_y = -(-grid[0] // capacity.px), -(-grid[1] // capacity.py)
    mean = groups_x * groups_y * density
    fullest = mean + math.sqrt(mean * (1.0 - density) * 2.0 * math.log(max(capacity.px * capacity.py, 2)))
    return np.array([groups_x * (1.0 - (1.0 - density) ** groups_y)]), np.array([fullest])
