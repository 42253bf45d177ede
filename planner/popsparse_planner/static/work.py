"""What each run of a cut has to do: its rows, its columns, its nonzeros, and who else works on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Dict, Tuple

import numpy as np

from ..partition import Cut
from ..pattern import BlockPattern

_BITMAP_CELLS = 1 << 26  # above this a sort is cheaper than a table of runs x columns


@dataclass(frozen=True)
class CutWork:
    """Rows, columns and nonzeros of every run; an *entry* is a pair (run, block row) that has blocks.

    num_blocks, num_rows, num_cols: int64 [runs]; entry_offsets int64 [runs + 1] into the entry arrays;
    entry_run, entry_row, entry_blocks: int64 [entries]; entry_start int64 [entries]: first block in cut.block_order;
    row_sources int64 [mb]: number of runs that hold blocks of a row; cols_in_run: (run, column) pairs as two int64
    arrays sorted by run then column. kept_pieces: what static/pieces.py has found for it.
    """

    cut: Cut
    num_blocks: np.ndarray
    num_rows: np.ndarray
    num_cols: np.ndarray
    entry_offsets: np.ndarray
    entry_run: np.ndarray
    entry_row: np.ndarray
    entry_blocks: np.ndarray
    entry_start: np.ndarray
    row_sources: np.ndarray
    cols_in_run: Tuple[np.ndarray, np.ndarray]
    kept_pieces: Dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def entry_sources(self) -> np.ndarray:
        """int64 [entries]: how many runs share the entry's row."""
        sources: np.ndarray = self.row_sources[self.entry_row]
        return sources

    @cached_property
    def shared_entries(self) -> Tuple[np.ndarray, np.ndarray]:
        """(entries whose row several runs share, the run's rank among them), int64 each."""
        shared = np.flatnonzero(self.entry_sources > 1)
        order = np.argsort(self.entry_row[shared], kind="stable")
        rows = self.entry_row[shared][order]
        rank = np.empty(len(shared), dtype=np.int64)
        rank[order] = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
        return shared, rank


def cut_work(pattern: BlockPattern, cut: Cut, *, paired: bool = False) -> CutWork:
    """The work of every run of `cut`; blocks of one row must follow each other inside a run.

    paired: runs 2i and 2i + 1 take the columns of both.
    """
    mb, kb = pattern.block_grid
    runs = cut.num_runs
    num_blocks = np.diff(cut.run_offsets)
    run_of_block = np.repeat(np.arange(runs, dtype=np.int64), num_blocks)
    rows = pattern.rows[cut.block_order].astype(np.int64)
    cols = pattern.cols[cut.block_order].astype(np.int64)
    starts = _group_starts(run_of_block * mb + rows)
    entry_run, entry_row = run_of_block[starts], rows[starts]
    num_rows = np.bincount(entry_run, minlength=runs)
    col_run, col_index = _run_columns(run_of_block // 2 if paired else run_of_block, cols, runs, kb)
    if paired:
        col_run, col_index = _of_both(col_run, col_index, runs)
    return CutWork(
        cut=cut,
        num_blocks=num_blocks,
        num_rows=num_rows,
        num_cols=np.bincount(col_run, minlength=runs),
        entry_offsets=np.concatenate([[0], np.cumsum(num_rows)]),
        entry_run=entry_run,
        entry_row=entry_row,
        entry_blocks=np.diff(np.append(starts, len(rows))),
        entry_start=starts,
        row_sources=np.bincount(entry_row, minlength=mb),
        cols_in_run=(col_run, col_index),
    )


def _group_starts(keys: np.ndarray) -> np.ndarray:
    """Index of the first element of every stretch of equal neighbours."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])


def _run_columns(run: np.ndarray, cols: np.ndarray, runs: int, kb: int) -> Tuple[np.ndarray, np.ndarray]:
    """Distinct (run, column) pairs, sorted."""
    key = run * kb + cols
    if runs * kb <= _BITMAP_CELLS:
        seen = np.zeros(runs * kb, dtype=bool)
        seen[key] = True
        key = np.flatnonzero(seen)
    else:
        key = np.unique(key)
    return key // kb, key % kb


def _of_both(pair: np.ndarray, cols: np.ndarray, runs: int) -> Tuple[np.ndarray, np.ndarray]:
    """(run, column) pairs, sorted, from (pair of runs, column) pairs: each run takes the columns of its pair."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(pair, minlength=-(-runs // 2)))])
    of_run = np.arange(runs) // 2
    counts = np.diff(offsets)[of_run]
    run = np.repeat(np.arange(runs, dtype=np.int64), counts)
    at = np.arange(len(run)) + np.repeat(offsets[of_run] - (np.cumsum(counts) - counts), counts)
    return run, cols[at]
