"""Who holds what in a static plan: places (a run of one part of n, on its tile), the order of their rows and blocks.

Parts of n that use one cut at one width hold the same rows in the same order; they form a Group, and everything below
is found once per group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import List, Optional, Tuple

import numpy as np

from popsparse_planner.layout import LinearLayout, value_layout, x_layout, y_layout
from popsparse_planner.partition import Partition
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.plan import StaticPlan
from popsparse_planner.problem import Problem
from popsparse_planner.static.packing import Packing, pack_rows
from popsparse_planner.static.work import CutWork, cut_work

from .ranges import expand, offsets_of


@dataclass(frozen=True)
class Group:
    """Parts of n that hold the same rows and blocks in the same order.

    work: of their cut. packing: of rows over workers (b = 1 only). parts, first_place: int64 [parts], the place of run
    0 of each part; run r of part i is at place first_place[i] + r.
    """

    work: CutWork
    packing: Optional[Packing]
    parts: np.ndarray
    first_place: np.ndarray

    @cached_property
    def entry_order(self) -> np.ndarray:
        """int64 [entries]: entries of `work` in the order in which a tile holds its rows."""
        if self.packing is not None:
            return self.packing.entry_order
        return np.arange(len(self.work.entry_run), dtype=np.int64)

    @cached_property
    def local_row(self) -> np.ndarray:
        """int64 [entries]: row of its tile's partials that each entry of `work` is."""
        rows = np.empty(len(self.entry_order), dtype=np.int64)
        run = self.work.entry_run[self.entry_order]
        rows[self.entry_order] = np.arange(len(run)) - self.work.entry_offsets[run]
        return rows

    @cached_property
    def block_order(self) -> np.ndarray:
        """int64 [nnz_blocks]: index into the pattern of each block, run after run, rows in their local order."""
        work, order = self.work, self.entry_order
        blocks: np.ndarray = work.cut.block_order[expand(work.entry_start[order], work.entry_blocks[order])]
        return blocks

    def column_run(self) -> np.ndarray:
        """int64 [(run, column) pairs]: position of each pair's column among the columns of its run."""
        run = self.work.cols_in_run[0]
        rank: np.ndarray = np.arange(len(run), dtype=np.int64) - offsets_of(self.work.num_cols)[run]
        return rank

    def local_columns(self, pattern: BlockPattern) -> np.ndarray:
        """int64 [nnz_blocks]: position of each block's column among the columns of its run, as block_order."""
        kb = pattern.block_grid[1]
        run, col = self.work.cols_in_run
        run_of_block = np.repeat(np.arange(self.work.cut.num_runs, dtype=np.int64), self.work.num_blocks)
        at = np.searchsorted(run * kb + col, run_of_block * kb + pattern.cols[self.block_order])
        local: np.ndarray = at - offsets_of(self.work.num_cols)[run_of_block]
        return local

    def lone_rows(self) -> Tuple[np.ndarray, np.ndarray]:
        """First and last local row, int64 [runs], that no other run shares; last < first if all are shared."""
        runs, alone = self.work.cut.num_runs, self.work.entry_sources == 1
        low, high = np.full(runs, np.iinfo(np.int64).max), np.full(runs, -1, dtype=np.int64)
        np.minimum.at(low, self.work.entry_run[alone], self.local_row[alone])
        np.maximum.at(high, self.work.entry_run[alone], self.local_row[alone])
        return np.where(high >= 0, low, 0), high


@dataclass(frozen=True)
class Places:
    """All places of a plan: int64 [places] columns, places of a part following each other.

    part, tile, num_blocks, num_rows, num_cols: of each place.
    """

    problem: Problem
    pattern: BlockPattern
    partition: Partition
    num_tiles: int
    groups: Tuple[Group, ...]
    part: np.ndarray
    tile: np.ndarray
    num_blocks: np.ndarray
    num_rows: np.ndarray
    num_cols: np.ndarray

    @cached_property
    def x_home(self) -> LinearLayout:
        """Where X lives between calls."""
        return x_layout(self.problem, self.num_tiles)

    @cached_property
    def y_home(self) -> LinearLayout:
        """Where Y lives after a call."""
        return y_layout(self.problem, self.num_tiles)

    @cached_property
    def value_home(self) -> LinearLayout:
        """Where values live between calls when each call broadcasts them."""
        return value_layout(self.problem, self.pattern.nnz_blocks, self.num_tiles)

    def widths(self, number: int) -> np.ndarray:
        """int64 [places]: columns of each place in pass `number`."""
        columns: np.ndarray = np.diff(self.partition.n_bounds[number])[self.part]
        return columns


def find_places(plan: StaticPlan) -> Places:
    """The places and groups of a plan that has a partition."""
    partition, problem = plan.partition, plan.problem
    assert partition is not None
    works = [cut_work(plan.pattern, cut) for cut in partition.cuts]
    of_part = [works[cut] for cut in partition.part_cut]
    runs = np.array([work.cut.num_runs for work in of_part], dtype=np.int64)
    first_place = offsets_of(runs)
    part = np.repeat(np.arange(len(runs), dtype=np.int64), runs)
    run = np.arange(len(part), dtype=np.int64) - first_place[part]
    return Places(
        problem=problem,
        pattern=plan.pattern,
        partition=partition,
        num_tiles=plan.target.tiles,
        groups=tuple(_groups(problem, partition, works, first_place)),
        part=part,
        tile=partition.part_first_tile[part] + run,
        num_blocks=np.concatenate([work.num_blocks for work in of_part]),
        num_rows=np.concatenate([work.num_rows for work in of_part]),
        num_cols=np.concatenate([work.num_cols for work in of_part]),
    )


def _groups(problem: Problem, partition: Partition, works: List[CutWork], first_place: np.ndarray) -> List[Group]:
    groups = []
    keys = np.stack([partition.part_cut.astype(np.int64), partition.part_columns], axis=1)
    for cut, width in np.unique(keys, axis=0):
        parts = np.flatnonzero((keys[:, 0] == cut) & (keys[:, 1] == width))
        packing = None
        if problem.block_size == 1 and width > 0:
            balanced = partition.row_split == "balanced"
            packing = pack_rows(works[cut], int(width), problem.dtype, problem.partials_dtype, balanced)
        groups.append(Group(works[cut], packing, parts, first_place[parts]))
    return groups
