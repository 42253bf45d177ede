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
from popsparse_planner.static.merged import merged, merged_problem
from popsparse_planner.static.packing import pack_rows
from popsparse_planner.static.part_homes import in_place
from popsparse_planner.static.work import CutWork, cut_work

from .buffers import Buffers
from .groups import Group
from .part_homes import PartHomes
from .ranges import offsets_of


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
    def part_homes(self) -> Optional[PartHomes]:
        """Where X and Y live if the partition keeps them with its parts; None where their homes are linear."""
        if self.partition.homes == "linear":
            return None
        return PartHomes(self.problem, self.partition, self.groups, self.num_tiles)

    @cached_property
    def in_place(self) -> bool:
        """Whether products are written straight to Y."""
        return in_place(self.partition, tuple(group.work for group in self.groups))

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

    def kept_rows(self, number: int) -> Buffers:
        """Y where each place keeps the rows that it alone makes in pass `number`."""
        assert self.part_homes is not None
        return Buffers("y", self.part_homes.lone_begin(number)[self.tile])

    def widths(self, number: int) -> np.ndarray:
        """int64 [places]: columns of each place in pass `number`."""
        columns: np.ndarray = np.diff(self.partition.n_bounds[number])[self.part]
        return columns


def find_places(plan: StaticPlan) -> Places:
    """The places and groups of a plan that has a partition."""
    partition = plan.partition
    assert partition is not None
    problem = merged_problem(plan.problem, partition.block_size)
    pattern = merged(plan.pattern, partition.block_size).pattern
    works = [cut_work(pattern, cut, paired=partition.paired) for cut in partition.cuts]
    of_part = [works[cut] for cut in partition.part_cut]
    runs = np.array([work.cut.num_runs for work in of_part], dtype=np.int64)
    first_place = offsets_of(runs)
    part = np.repeat(np.arange(len(runs), dtype=np.int64), runs)
    run = np.arange(len(part), dtype=np.int64) - first_place[part]
    return Places(
        problem=problem,
        pattern=pattern,
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
