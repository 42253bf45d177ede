"""How the published dynamic library deals a tile's rows and columns to its six workers."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from ..codelet_cycles import WORKERS


def _ceil_div(value: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    quotient: np.ndarray = -(-value // divisor)
    return quotient


def _grid_sizes(total: np.ndarray, size: np.ndarray, parts: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Length of part `index`: `size`, but the last takes what is left."""
    return np.where(index == parts - 1, total - (parts - 1) * size, size)


def split_between_workers(rows: np.ndarray, columns: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Rows and columns int64 [cases, workers] of each worker's rectangle; zero where a worker has none.

    rows, columns: int64 [cases], both at least 1. A grid of equal rectangles first, then the largest is halved along
    its longer side (columns if equal) until all workers have one (splitTileBetweenWorkers, popsparse-dynamic 4.7).
    """
    share = _ceil_div(rows * columns, np.asarray(WORKERS))
    row_size = np.minimum(_ceil_div(share, columns), rows)
    column_size = np.minimum(_ceil_div(share, row_size), columns)
    row_parts, column_parts = rows // row_size, columns // column_size
    worker = np.arange(WORKERS)
    exists = worker < (row_parts * column_parts)[:, None]
    row, column = worker // column_parts[:, None], worker % column_parts[:, None]
    height = _grid_sizes(rows[:, None], row_size[:, None], row_parts[:, None], row)
    width = _grid_sizes(columns[:, None], column_size[:, None], column_parts[:, None], column)
    height, width = np.where(exists, height, 0), np.where(exists, width, 0)
    for added in range(1, WORKERS):
        height, width = _halve_largest(height, width, added)
    return height, width


def _halve_largest(height: np.ndarray, width: np.ndarray, place: int) -> Tuple[np.ndarray, np.ndarray]:
    """One round: cases whose next free worker is `place` give it half of their largest rectangle, if it has two."""
    area = height * width
    case = np.flatnonzero(np.count_nonzero(area, axis=1) == place)
    order = np.argsort(-area[case], axis=1, kind="stable")
    tall = np.take_along_axis(height[case], order, axis=1)
    wide = np.take_along_axis(width[case], order, axis=1)
    by_row = tall[:, 0] > wide[:, 0]
    longer = np.where(by_row, tall[:, 0], wide[:, 0])
    first = (longer + 1) // 2
    halves = first < longer
    tall[:, place] = np.where(halves, np.where(by_row, first, tall[:, 0]), 0)
    wide[:, place] = np.where(halves, np.where(by_row, wide[:, 0], first), 0)
    tall[:, 0] = np.where(halves & by_row, tall[:, 0] - first, tall[:, 0])
    wide[:, 0] = np.where(halves & ~by_row, wide[:, 0] - first, wide[:, 0])
    height[case], width[case] = tall, wide
    return height, width
