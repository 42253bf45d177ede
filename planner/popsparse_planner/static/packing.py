"""Which rows each of a tile's six workers takes in a product of single nonzeros (b = 1).

The workers form `n_groups` groups along n (1, 2, 3 or 6), and each group has 6 / n_groups row groups: worker w takes
the columns of group w % n_groups and the rows of row group w // n_groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..codelet_cycles import element_row_slots, element_vertex_cycles
from ..layout import WORKERS, worker_columns
from ..problem import column_grain
from .work import CutWork

N_GROUPS = (1, 2, 3, 6)
_WIDE = {"float16": 8, "float32": 4}  # columns that the codelet's widest loop takes at a time


@dataclass(frozen=True)
class Packing:
    """The worker split of every run.

    n_groups: int64 [runs]; entry_order: int64 [entries], a permutation of the cut's entries that keeps runs together
    and sorts a run's rows by row group; group_rows: int64 [runs, 6], rows of each row group (0 beyond the groups);
    cycles: int64 [runs] of the vertex.
    """

    n_groups: np.ndarray
    entry_order: np.ndarray
    group_rows: np.ndarray
    cycles: np.ndarray


def pack_rows(work: CutWork, num_columns: int, dtype: str, partials_dtype: str, balanced: bool) -> Packing:
    """The worker split of every run of `work` for a tile slice of `num_columns` columns.

    balanced: longest rows first, each to the least loaded group, over the division of n that is fastest; else the
    published rule (popsparse-static section 3): consecutive rows, n divided by two only where a run has few rows.
    """
    shape = (work, num_columns, dtype, partials_dtype)
    if not balanced:
        return _published(*shape)
    best = _balanced(*shape, 1)
    for n_groups in N_GROUPS[1:]:
        if num_columns // column_grain(dtype) >= n_groups:
            best = _faster(work, best, _balanced(*shape, n_groups))
    return best


def packed_cycles(work: CutWork, packing: Packing, num_columns: int, dtype: str, partials_dtype: str) -> np.ndarray:
    """int64 [runs]: vertex cycles of `packing` for a slice of `num_columns` columns.

    A tile keeps its values in the order of one packing, so a narrower serial pass has that of the widest one.
    """
    run = work.entry_run[packing.entry_order]
    local = np.arange(len(run)) - work.entry_offsets[run]
    group = (local[:, None] >= np.cumsum(packing.group_rows, axis=1)[run]).sum(axis=1)
    slot = np.empty(len(run), dtype=np.int64)
    slot[packing.entry_order] = run * WORKERS + group
    return _cycles(work, num_columns, dtype, partials_dtype, packing.n_groups, slot, packing.group_rows)


def estimated_cycles(work: CutWork, num_columns: int, dtype: str, partials_dtype: str) -> np.ndarray:
    """int64 [runs]: vertex cycles that a balanced packing comes near, without making it (for a search)."""
    longest = np.zeros(work.cut.num_runs, dtype=np.int64)
    np.maximum.at(longest, work.entry_run, work.entry_blocks)
    best = None
    for n_groups in N_GROUPS:
        if n_groups > 1 and num_columns // column_grain(dtype) < n_groups:
            continue
        row_groups = WORKERS // n_groups
        width = group_columns(num_columns, n_groups, dtype)[1].max()
        rows = -(-work.num_rows // row_groups)
        mean = work.num_blocks / np.maximum(work.num_rows, 1)
        blocks = np.maximum(
            longest, np.ceil(np.where(work.num_rows < 4 * row_groups, rows * mean, work.num_blocks / row_groups))
        )
        cycles = element_vertex_cycles(
            dtype, partials_dtype, int(width), rows[:, None], blocks.astype(np.int64)[:, None]
        )
        best = cycles if best is None else np.minimum(best, cycles)
    assert best is not None
    return best


def _grain(num_columns: int, n_groups: int, dtype: str) -> int:
    """Columns are dealt in steps of the widest loop where that leaves no group empty, else in 8-byte grains."""
    wide = _WIDE[dtype]
    return wide if num_columns >= wide * n_groups else column_grain(dtype)


def group_columns(num_columns: int, n_groups: int, dtype: str) -> Tuple[np.ndarray, np.ndarray]:
    """First column and width of each group along n."""
    return worker_columns(num_columns, n_groups, _grain(num_columns, n_groups, dtype))


def _faster(work: CutWork, a: Packing, b: Packing) -> Packing:
    """Run by run the packing with fewer cycles; the first on ties."""
    take_b = b.cycles < a.cycles
    entry_b = take_b[work.entry_run]
    return Packing(
        np.where(take_b, b.n_groups, a.n_groups),
        np.where(entry_b, b.entry_order, a.entry_order),
        np.where(take_b[:, None], b.group_rows, a.group_rows),
        np.where(take_b, b.cycles, a.cycles),
    )


def _finish(
    work: CutWork, num_columns: int, dtype: str, partials_dtype: str, n_groups: np.ndarray, group: np.ndarray
) -> Packing:
    """The Packing that puts entry e into row group group[e]."""
    slot = work.entry_run * WORKERS + group
    rows = np.bincount(slot, minlength=work.cut.num_runs * WORKERS).reshape(work.cut.num_runs, WORKERS)
    cycles = _cycles(work, num_columns, dtype, partials_dtype, n_groups, slot, rows)
    return Packing(n_groups, np.argsort(slot, kind="stable"), rows, cycles)


def _cycles(
    work: CutWork,
    num_columns: int,
    dtype: str,
    partials_dtype: str,
    n_groups: np.ndarray,
    slot: np.ndarray,  # [entries] run * 6 + row group
    rows: np.ndarray,  # [runs, 6] of each row group
) -> np.ndarray:
    """int64 [runs]: cycles of each run's vertex."""
    blocks = np.bincount(slot, weights=work.entry_blocks, minlength=rows.size).astype(np.int64).reshape(rows.shape)
    cycles = np.zeros(work.cut.num_runs, dtype=np.int64)
    for groups in np.unique(n_groups):
        mine = n_groups == groups
        width = int(group_columns(num_columns, int(groups), dtype)[1].max())
        cycles[mine] = element_vertex_cycles(dtype, partials_dtype, width, rows[mine], blocks[mine])
    return cycles


def _balanced(work: CutWork, num_columns: int, dtype: str, partials_dtype: str, n_groups: int) -> Packing:
    """Longest row first to the least loaded of 6 / n_groups groups; all runs advance together, one row each step."""
    runs, row_groups = work.cut.num_runs, WORKERS // n_groups
    order = np.lexsort((-work.entry_blocks, work.entry_run))
    rank = np.arange(len(order)) - work.entry_offsets[work.entry_run[order]]
    group = np.zeros(len(order), dtype=np.int64)
    if row_groups > 1:
        per_row = _row_weight(num_columns, n_groups, dtype, partials_dtype)
        by_rank = np.argsort(rank, kind="stable")
        steps = np.concatenate([[0], np.cumsum(np.bincount(rank))]) if len(rank) else np.zeros(1, dtype=np.int64)
        load = np.zeros((runs, row_groups))
        for first, last in zip(steps[:-1], steps[1:]):
            entries = order[by_rank[first:last]]
            run = work.entry_run[entries]
            chosen = load[run].argmin(axis=1)
            group[entries] = chosen
            load[run, chosen] += work.entry_blocks[entries] + per_row
    return _finish(work, num_columns, dtype, partials_dtype, np.full(runs, n_groups, dtype=np.int64), group)


def _row_weight(num_columns: int, n_groups: int, dtype: str, partials_dtype: str) -> float:
    """What a row costs besides its nonzeros, in nonzeros."""
    slots = element_row_slots(dtype, int(group_columns(num_columns, n_groups, dtype)[1].max()), partials_dtype)
    return float(slots.per_row) / max(float(slots.per_nonzero), 1.0)


def _published(work: CutWork, num_columns: int, dtype: str, partials_dtype: str) -> Packing:
    """Consecutive rows: a worker takes rows until its share times the workers reaches the run's nonzeros."""
    n_groups = np.where((work.num_rows <= 3) & (num_columns % 8 == 0), 2, 1).astype(np.int64)
    row_groups = WORKERS // n_groups
    before = np.concatenate([[0], np.cumsum(work.entry_blocks)])
    group = np.zeros(len(work.entry_run), dtype=np.int64)
    single = (n_groups == 1) & (work.num_rows <= WORKERS) | (n_groups == 2)
    rank = np.arange(len(group)) - work.entry_offsets[work.entry_run]
    group[single[work.entry_run]] = rank[single[work.entry_run]]
    for run in np.flatnonzero(~single):
        first, last = int(work.entry_offsets[run]), int(work.entry_offsets[run + 1])
        group[first:last] = _greedy_groups(before[first : last + 1] - before[first], int(row_groups[run]))
    return _finish(work, num_columns, dtype, partials_dtype, n_groups, group)


def _greedy_groups(before: np.ndarray, groups: int) -> np.ndarray:
    """Row group of each row of one run; before int64 [rows + 1]: nonzeros ahead of each row."""
    total, start = int(before[-1]), 0
    group = np.full(len(before) - 1, groups - 1, dtype=np.int64)
    for index in range(groups):
        stop = int(np.searchsorted(before, before[start] + -(-total // groups), side="left"))
        group[start:stop] = index
        start = min(stop, len(group))
        if start == len(group):
            break
    return group
