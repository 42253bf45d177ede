"""The fixed cells of a dynamic plan: which rows and columns of W each tile works on, whatever the pattern will be.

Block rows go to `qm` groups and block columns to `qk` groups; cell (i, j) = rows of group i x columns of group j,
worked on by `qn` tiles that share out the columns of X. Groups are not contiguous: of every `groups` neighbours each
group gets one, in an order mixed by a hash. So a band, a dense corner or a skew over rows or columns loads all cells
alike, and patterns that repeat with a period find no cell to pile up in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from ..errors import PlanError
from ..partition import Cut, Partition
from ..problem import Problem, column_grain
from ..static.work import CutWork

KEPT = "kept"  # where sums are made: at their sources, and Y stays there, as X stays with its part of n
_ROWS_SALT, _COLUMNS_SALT = 1, 2


@dataclass(frozen=True)
class Frame:
    """Cells of a dynamic plan.

    grid: (mb, kb) block rows and columns of W; qm, qk: groups of rows and of columns; qn: tiles of a cell; passes:
    serial passes over n; columns: of X that a tile takes in one pass, whole 8-byte grains; seed: of the mixing.
    Cell c = j * qm + i is rows of group i x columns of group j; its part z of n lies on tile z * num_cells + c.
    """

    grid: Tuple[int, int]
    qm: int
    qk: int
    qn: int
    passes: int
    columns: int
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", (int(self.grid[0]), int(self.grid[1])))
        for name, groups, most in (("qm", self.qm, self.grid[0]), ("qk", self.qk, self.grid[1])):
            if not 1 <= groups <= most:
                raise PlanError(f"{name} must lie in [1, {most}] for {self.grid} blocks, got {groups}")
        if min(self.qn, self.passes, self.columns) < 1:
            raise PlanError(f"qn, passes and columns must be at least 1, got {self.qn}, {self.passes}, {self.columns}")

    @property
    def num_cells(self) -> int:
        """Cells; each has a bucket."""
        return self.qm * self.qk

    @property
    def num_tiles(self) -> int:
        """Tiles that work."""
        return self.num_cells * self.qn

    @property
    def num_columns(self) -> int:
        """Columns of all parts and passes: n rounded up until all are equally wide."""
        return self.columns * self.qn * self.passes

    @property
    def cell_rows(self) -> int:
        """Block rows of the largest cell."""
        return -(-self.grid[0] // self.qm)

    @property
    def cell_cols(self) -> int:
        """Block columns of the largest cell."""
        return -(-self.grid[1] // self.qk)

    @cached_property
    def row_group(self) -> np.ndarray:
        """int32 [mb]: group of each block row; its place within the group is row // qm."""
        return spread(self.grid[0], self.qm, self.seed * 4 + _ROWS_SALT)

    @cached_property
    def col_group(self) -> np.ndarray:
        """int32 [kb]: group of each block column; its place within the group is column // qk."""
        return spread(self.grid[1], self.qk, self.seed * 4 + _COLUMNS_SALT)

    def cell_of(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """int32: the cell of each block."""
        cells: np.ndarray = self.col_group[cols] * np.int32(self.qm) + self.row_group[rows]
        return cells

    @property
    def pairs_share_x(self) -> bool:
        """Whether tiles 2i and 2i + 1 always want the same slices of X: neighbouring cells share their columns."""
        return self.qm % 2 == 0

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return dict(asdict(self), grid=list(self.grid))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Frame:
        """The frame that `to_dict` wrote."""
        return cls(**dict(fields, grid=tuple(fields["grid"])))


def spread(count: int, groups: int, seed: int) -> np.ndarray:
    """int32 [count]: a group for each of `count` items; any `groups` neighbours from a multiple of it differ."""
    items = np.arange(count, dtype=np.int64)
    stratum = items // groups
    order = np.lexsort((_mixed(items.astype(np.uint64) + np.uint64(seed << 40)), stratum))
    rank = np.arange(count, dtype=np.int64) - stratum * groups
    chosen = np.empty(count, dtype=np.int32)
    chosen[order] = rank
    chosen.setflags(write=False)
    return chosen


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64 that look random, the same on every machine: the finaliser of splitmix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result


def frame_problem(problem: Problem, frame: Frame, *, transposed: bool = False) -> Problem:
    """The product that a program of the frame computes: n widened to equal parts; transposed: W^T, float32 sums.

    The transposed product adds into its result in memory, so its partials are never narrower than float32.
    """
    if not transposed:
        return replace(problem, n=frame.num_columns)
    return replace(problem, m=problem.k, k=problem.m, n=frame.num_columns, partials_dtype="float32")


def frame_work(frame: Frame, *, transposed: bool = False) -> CutWork:
    """What each cell reads and writes: all its rows and columns, as the static lowering and cost model take them.

    transposed: of the product with W^T, whose outputs are W's columns. Runs are cells; num_blocks is 1 everywhere.
    """
    cells = np.arange(frame.num_cells, dtype=np.int64)
    rows, cols = (frame.row_group, cells % frame.qm), (frame.col_group, cells // frame.qm)
    (out_group, out_of_cell), (in_group, in_of_cell) = (cols, rows) if transposed else (rows, cols)
    entry_run, entry_row, num_rows = _members(out_group, out_of_cell)
    col_run, col_index, num_cols = _members(in_group, in_of_cell)
    sources = frame.num_cells // (int(out_group.max()) + 1)
    return CutWork(
        cut=_empty_cut(frame),
        num_blocks=np.ones(frame.num_cells, dtype=np.int64),
        num_rows=num_rows,
        num_cols=num_cols,
        entry_offsets=np.concatenate([[0], np.cumsum(num_rows)]),
        entry_run=entry_run,
        entry_row=entry_row,
        entry_blocks=np.zeros(len(entry_run), dtype=np.int64),
        entry_start=np.zeros(len(entry_run), dtype=np.int64),
        row_sources=np.full(len(out_group), sources, dtype=np.int64),
        cols_in_run=(col_run, col_index),
    )


def _members(group: np.ndarray, group_of_cell: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cell, item) of every item in every cell, sorted, int64; and how many items each cell has."""
    by_group = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    first = (np.cumsum(sizes) - sizes)[group_of_cell]
    count = sizes[group_of_cell].astype(np.int64)
    cell = np.repeat(np.arange(len(count), dtype=np.int64), count)
    within = np.arange(len(cell), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
    return cell, by_group[first[cell] + within].astype(np.int64), count


def _empty_cut(frame: Frame) -> Cut:
    bands = np.arange(frame.num_cells) // frame.qm
    return Cut(np.zeros(0, np.int32), np.zeros(frame.num_cells + 1, np.int64), bands)


def frame_partition(frame: Frame, reduce_at: str) -> Partition:
    """The frame as a partition of n and of tiles; its one cut holds no blocks. reduce_at: "home", "sources" or KEPT."""
    width = frame.columns * frame.qn
    starts = np.arange(frame.passes, dtype=np.int64)[:, None] * width
    return Partition(
        cuts=(_empty_cut(frame),),
        part_cut=np.zeros(frame.qn, dtype=np.int32),
        part_first_tile=np.arange(frame.qn) * frame.num_cells,
        n_bounds=starts + np.arange(frame.qn + 1) * frame.columns,
        reduce_at="sources" if reduce_at == KEPT else reduce_at,
        qm=frame.qm,
        qk=frame.qk,
        homes="parts" if reduce_at == KEPT else "linear",
    )


def part_columns(n: int, dtype: str, parts: int) -> int:
    """Columns of each of `parts` equal parts of n, in whole 8-byte grains."""
    grain = column_grain(dtype)
    grains = -(-n // grain)
    return -(-grains // parts) * grain
