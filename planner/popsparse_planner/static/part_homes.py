"""X and Y of a plan that keeps them with its parts of n: part by part, and Y on the tiles that sum it.

X of a part in one pass is a matrix [kb][columns][b] in order over the part's own tiles. Of Y a tile holds the rows that
it alone makes, its share of those that it sums with others (static/pieces.py), and some of the rows without blocks.
Each part is then a product of its own: none of its pieces is a strided piece of a wider tensor, and no sum moves home.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from ..codelet_cycles import zero_cycles
from ..layout import part_x_layout
from ..partition import Partition
from ..problem import Problem, item_bytes
from . import traffic
from .pieces import dealt_pieces
from .work import CutWork


def in_place(partition: Partition, works: Tuple[CutWork, ...]) -> bool:
    """Whether every product is written straight to Y: it lives where it is made, and no row is shared."""
    return partition.homes == "parts" and all(work.row_sources.max(initial=0) <= 1 for work in works)


def lone_rows(work: CutWork) -> np.ndarray:
    """int64 [runs]: rows that no other run shares."""
    return np.bincount(work.entry_run[work.entry_sources == 1], minlength=work.cut.num_runs)


def empty_bounds(work: CutWork, tiles: int) -> np.ndarray:
    """int64 [tiles + 1]: which rows without blocks, counted from 0, each tile of a part holds."""
    empty = int(np.count_nonzero(work.row_sources == 0))
    return np.arange(tiles + 1, dtype=np.int64) * empty // tiles


def held_elements(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, tiles: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Elements of X and of Y that live on each tile for a pass over columns `bounds`; int64 [tiles] each."""
    x, y, b = np.zeros(tiles, dtype=np.int64), np.zeros(tiles, dtype=np.int64), problem.block_size
    counts = partition.part_tiles(tiles)
    for part, width in enumerate(np.diff(bounds).tolist()):
        if not width:
            continue
        work, first, count = works[partition.part_cut[part]], int(partition.part_first_tile[part]), int(counts[part])
        x[first : first + count] += np.diff(part_x_layout(problem, width, count).bounds(count))
        y[first : first + count] += np.diff(empty_bounds(work, count)) * width * b
        runs = work.cut.num_runs
        entry, _, length = dealt_pieces(work, width, problem)
        y[first : first + runs] += lone_rows(work) * width * b
        y[first : first + runs] += np.bincount(work.entry_run[entry], weights=length, minlength=runs).astype(np.int64)
    return x, y


def kept_rows(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, tiles: int
) -> traffic.Traffic:
    """Rows that a tile alone makes, copied within it to Y in the exchange that brings partials together."""
    local, fragments = np.zeros(tiles), np.zeros(tiles)
    for part, width in enumerate(np.diff(bounds).tolist()):
        work, first = works[partition.part_cut[part]], int(partition.part_first_tile[part])
        rows, where = lone_rows(work), slice(first, first + work.cut.num_runs)
        local[where] += rows * float(width * problem.block_size * item_bytes(problem.dtype))
        fragments[where] += rows * (width > 0)
    none = np.zeros(tiles)
    return traffic.Traffic(none, local, none, fragments)


def zeroing_cycles(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, tiles: int
) -> np.ndarray:
    """float64 [tiles]: cycles to zero the rows without blocks."""
    cycles, b, item = np.zeros(tiles), problem.block_size, item_bytes(problem.dtype)
    counts = partition.part_tiles(tiles)
    for part, width in enumerate(np.diff(bounds).tolist()):
        first, count = int(partition.part_first_tile[part]), int(counts[part])
        rows = np.diff(empty_bounds(works[partition.part_cut[part]], count))
        zero = zero_cycles(rows * width * b * item)
        cycles[first : first + count] += np.where(rows * width > 0, zero, 0)
    return cycles
