"""Contents of the work lists, as cpp/codelets/meta_info.hpp lays them out: rows, columns and blocks of each vertex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from popsparse_planner.errors import ProgramError
from popsparse_planner.layout import (
    BLOCK_HEADER_FIELDS,
    BLOCK_LIST_HEADER,
    ELEMENT_HEADER_FIELDS,
    ELEMENT_LIST_HEADER,
    REDUCE_SEGMENT_FIELDS,
    U16_MAX,
    WORKERS,
    block_list_entries,
    element_list_entries,
)
from popsparse_planner.problem import Problem, column_grain
from popsparse_planner.static.packing import group_columns

from .groups import Group
from .ranges import expand, offsets_of

LIST_GRAIN = 4  # uint16 in the 8 bytes that every buffer starts at


@dataclass(frozen=True)
class DotLists:
    """Work lists of all runs of a group: uint16 data; begin, length: int64 [runs] (length 0: no blocks)."""

    data: np.ndarray
    begin: np.ndarray
    length: np.ndarray


def narrowed(values: np.ndarray, what: str) -> np.ndarray:
    """`values` as uint16; ProgramError if one does not fit."""
    largest = int(values.max(initial=0))
    if largest > U16_MAX or int(values.min(initial=0)) < 0:
        raise ProgramError(f"{what}: {largest:,} does not fit a 16-bit field, which holds {U16_MAX:,}")
    return values.astype(np.uint16)


def _aligned(lengths: np.ndarray) -> np.ndarray:
    return -(-lengths // LIST_GRAIN) * LIST_GRAIN


def dot_lists(
    problem: Problem, group: Group, local_columns: np.ndarray, width: int, value_shift: np.ndarray
) -> DotLists:
    """The lists of every run of `group` for slices of `width` columns.

    local_columns: int64 [nnz_blocks] of Group.local_columns; value_shift: int64 [runs], values that lie before the
    run's own in its buffer (b = 1 only).
    """
    work = group.work
    entries = element_list_entries if problem.block_size == 1 else block_list_entries
    length = np.where(work.num_blocks > 0, entries(work.num_rows, work.num_blocks), 0)
    offsets = offsets_of(_aligned(length))
    data = np.zeros(int(offsets[-1]), dtype=np.uint16)
    if problem.block_size == 1:
        _fill_element(data, offsets[:-1], problem, group, local_columns, width, value_shift)
    else:
        _fill_block(data, offsets[:-1], group, local_columns, width)
    return DotLists(data, offsets[:-1], length)


def _row_positions(
    group: Group, begin: np.ndarray, header: int, row_fields: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For rows in local order: (position of the row's fields, of its first block, its number of blocks)."""
    work = group.work
    blocks = work.entry_blocks[group.entry_order]
    run = work.entry_run[group.entry_order]
    local = np.arange(len(run)) - work.entry_offsets[run]
    before = offsets_of(blocks)[:-1] - work.cut.run_offsets[run]
    at = begin[run] + header + row_fields * local + before
    return at, at + row_fields, blocks


def _fill_block(data: np.ndarray, begin: np.ndarray, group: Group, local_columns: np.ndarray, width: int) -> None:
    work = group.work
    row_at, block_at, blocks = _row_positions(group, begin, BLOCK_LIST_HEADER, 2)
    run = work.entry_run[group.entry_order]
    data[row_at] = narrowed(np.arange(len(run)) - work.entry_offsets[run], "rows of a tile")
    data[row_at + 1] = narrowed(blocks, "blocks of a row")
    data[expand(block_at, blocks)] = narrowed(local_columns, "block columns of a tile")
    used = np.flatnonzero(work.num_blocks)
    share = -(-width // WORKERS)
    first = np.minimum(np.arange(WORKERS) * share, width)
    header = np.stack([first, np.minimum(first + share, width) - first], axis=1).ravel()
    where = begin[used][:, None] + np.arange(WORKERS * len(BLOCK_HEADER_FIELDS))
    data[where] = narrowed(header, "columns of a tile")[None, :]
    data[begin[used] + WORKERS * len(BLOCK_HEADER_FIELDS)] = narrowed(work.num_rows[used], "rows of a tile")


def _fill_element(
    data: np.ndarray,
    begin: np.ndarray,
    problem: Problem,
    group: Group,
    local_columns: np.ndarray,
    width: int,
    value_shift: np.ndarray,
) -> None:
    row_at, block_at, blocks = _row_positions(group, begin, ELEMENT_LIST_HEADER, 1)
    data[row_at] = narrowed(blocks, "nonzeros of a row")
    offsets = local_columns * (width // column_grain(problem.dtype))
    data[expand(block_at, blocks)] = narrowed(offsets, "offset into the slice of X in 8-byte units")
    used = np.flatnonzero(group.work.num_blocks)
    headers = _element_headers(problem, group, width, value_shift)[used]
    where = begin[used][:, None] + np.arange(ELEMENT_LIST_HEADER)
    data[where] = narrowed(headers, "work-list header").reshape(len(used), ELEMENT_LIST_HEADER)


def _element_headers(problem: Problem, group: Group, width: int, value_shift: np.ndarray) -> np.ndarray:
    """int64 [runs, workers, fields]: worker w takes columns of group w % n_groups, rows of row group w // n_groups."""
    work, packing = group.work, group.packing
    assert packing is not None
    worker = np.arange(WORKERS)
    row_group = worker[None, :] // packing.n_groups[:, None]
    group_rows = packing.group_rows
    first_rows = np.cumsum(group_rows, axis=1) - group_rows
    num_rows = np.take_along_axis(group_rows, row_group, axis=1)
    first_row = np.take_along_axis(first_rows, row_group, axis=1)
    before = offsets_of(work.entry_blocks[group.entry_order])
    base = work.entry_offsets[:-1][:, None]
    first_value = before[base + first_row] - before[base]
    first_entry = ELEMENT_LIST_HEADER + first_row + first_value
    first_value = first_value + value_shift[:, None]
    columns = np.zeros((work.cut.num_runs, WORKERS, 2), dtype=np.int64)
    for count in np.unique(packing.n_groups):
        start, size = group_columns(width, int(count), problem.dtype)
        mine = np.stack([start[worker % count], size[worker % count]], axis=1)
        columns[packing.n_groups == count] = mine
    fields = {
        "firstEntryLow": first_entry & U16_MAX,
        "firstEntryHigh": first_entry >> 16,
        "firstValueLow": first_value & U16_MAX,
        "firstValueHigh": first_value >> 16,
        "numRows": num_rows,
        "firstLocalRow": first_row,
        "firstColumn": columns[:, :, 0],
        "numColumns": columns[:, :, 1],
    }
    return np.stack([fields[name] for name in ELEMENT_HEADER_FIELDS], axis=-1)


def reduce_list(out_offset: np.ndarray, length: np.ndarray, sources: np.ndarray, grain: int) -> np.ndarray:
    """uint16 [3 * segments] of ReducePartials; out_offset, length: elements; grain: elements of output in 8 bytes."""
    fields = {"outOffset": out_offset // grain, "length": length // grain, "numSources": sources}
    columns = [narrowed(fields[name], f"{name} of a reduction segment") for name in REDUCE_SEGMENT_FIELDS]
    return np.stack(columns, axis=1).ravel()
