"""Parts of n whose tiles hold the same rows and blocks in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Optional, Tuple

import numpy as np

from popsparse_planner.pattern import BlockPattern
from popsparse_planner.static.packing import Packing
from popsparse_planner.static.work import CutWork

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

    @cached_property
    def lone_rank(self) -> np.ndarray:
        """int64 [entries]: how many rows that no other run shares precede each entry on its tile."""
        order = self.entry_order
        alone = (self.work.entry_sources == 1)[order]
        before = np.cumsum(alone) - alone
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = before - offsets_of(alone)[self.work.entry_offsets[self.work.entry_run[order]]]
        return ranks

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
