"""Patterns to buckets and back: the lists that the codelets read, and where each block's values go.

One format serves the forward, grad-input and grad-weight passes. Encoding sorts the blocks by cell (one radix pass), so
it takes time in proportion to their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..bucket_layout import BUCKET_HEADER_FIELDS, PACKET_FIELDS, ROW_FIELDS, WORKER_SHARE_FIELDS, BucketLayout
from ..codelet_cycles import element_row_slots
from ..errors import CapacityError, PatternError, ShapeError
from ..layout import U16_MAX, WORKERS
from ..pattern import BlockPattern
from ..problem import column_grain
from .frame import Frame
from .spills import Placement, place_blocks

_ROW_ENTRIES, _PACKET_ENTRIES = len(ROW_FIELDS), len(PACKET_FIELDS)


@dataclass(frozen=True)
class Buckets:
    """The buckets of one pattern.

    lists: uint16 [cells, list_length]; bucket, slot: int64 [nnz_blocks], which bucket holds each block of the pattern
    and where among its values; worker_rows, worker_blocks: int64 [cells, 6] of the forward product (b = 1; else [cells,
    1] of the whole vertex).
    """

    lists: np.ndarray
    bucket: np.ndarray
    slot: np.ndarray
    placement: Placement
    worker_rows: np.ndarray
    worker_blocks: np.ndarray


def check_pattern(pattern: BlockPattern, shape: Tuple[int, int], block_size: int, capacity_blocks: int) -> None:
    """ShapeError, PatternError or CapacityError unless the pattern may be loaded into a plan."""
    if pattern.shape != shape:
        raise ShapeError(f"the pattern has shape {pattern.shape}, the plan is for {shape}", expected=shape)
    if pattern.block_size != block_size:
        raise PatternError(
            f"the pattern has blocks of {pattern.block_size}, the plan of {block_size}: use reblock({block_size})",
            block_size=pattern.block_size,
        )
    if pattern.nnz_blocks > capacity_blocks:
        blocks = pattern.block_grid[0] * pattern.block_grid[1]
        raise CapacityError(
            f"the pattern has {pattern.nnz_blocks:,} blocks (density {pattern.density:.4g}), the plan has room for "
            f"{capacity_blocks:,} (density {capacity_blocks / blocks:.4g}): plan with capacity_blocks="
            f"{pattern.nnz_blocks:,} or more",
            needed_capacity_blocks=pattern.nnz_blocks,
            capacity_blocks=capacity_blocks,
            nnz_blocks=pattern.nnz_blocks,
        )


def cell_counts(frame: Frame, pattern: BlockPattern) -> np.ndarray:
    """int64 [cells]: blocks of each cell."""
    return np.bincount(frame.cell_of(pattern.rows, pattern.cols), minlength=frame.num_cells)


@dataclass(frozen=True)
class _Sorted:
    """Blocks by cell, in row-major order; int64 columns. order: index into the pattern; rank: in the cell."""

    order: np.ndarray
    cell: np.ndarray
    rank: np.ndarray
    row: np.ndarray
    col: np.ndarray


def encode_buckets(frame: Frame, layout: BucketLayout, n_groups: int, pattern: BlockPattern) -> Buckets:
    """The buckets of a pattern; CapacityError if they cannot hold it.

    n_groups: of the plan: how the workers divide the columns (b = 1).
    """
    cell = frame.cell_of(pattern.rows, pattern.cols)
    counts = np.bincount(cell, minlength=frame.num_cells)
    placement = place_blocks(counts, layout)
    blocks = _sort_blocks(frame, pattern, cell, counts)
    lists = np.zeros((frame.num_cells, layout.list_length), dtype=np.uint16)
    at_home = blocks.rank < placement.local[blocks.cell]
    everything = bool(at_home.all())
    bucket, slot = blocks.cell.copy(), blocks.rank.copy()
    local = blocks if everything else _Sorted(*(getattr(blocks, name)[at_home] for name in _NAMES))
    table = np.bincount(local.cell * frame.cell_rows + local.row, minlength=frame.num_cells * frame.cell_rows)
    table = table.reshape(frame.num_cells, frame.cell_rows)
    rows = _list_rows(frame, layout, n_groups, table)
    local_slot = _fill_rows(lists, layout, local, table, rows)
    slot[at_home] = local_slot
    num_packets, first_packet = np.zeros(frame.num_cells, dtype=np.int64), _rows_end(frame, layout, placement.local)
    if not everything:
        away = _Sorted(*(getattr(blocks, name)[~at_home] for name in _NAMES))
        bucket[~at_home], slot[~at_home], num_packets = _fill_packets(lists, layout, placement, away, first_packet)
    _fill_headers(lists, frame, placement, num_packets, first_packet)
    shares = _worker_shares(lists, layout, n_groups, table, rows)
    by_pattern = np.empty((2, len(blocks.order)), dtype=np.int64)
    by_pattern[0, blocks.order], by_pattern[1, blocks.order] = bucket, slot
    return Buckets(lists, by_pattern[0], by_pattern[1], placement, *shares)


_NAMES = ("order", "cell", "rank", "row", "col")


def _sort_blocks(frame: Frame, pattern: BlockPattern, cell: np.ndarray, counts: np.ndarray) -> _Sorted:
    narrow = cell.astype(np.uint16) if frame.num_cells <= U16_MAX else cell  # 16 bits are sorted by radix
    order = np.argsort(narrow, kind="stable")
    sorted_cell = cell[order].astype(np.int64)
    rank = np.arange(len(order), dtype=np.int64) - (np.cumsum(counts) - counts)[sorted_cell]
    row, col = pattern.rows[order].astype(np.int64) // frame.qm, pattern.cols[order].astype(np.int64) // frame.qk
    return _Sorted(order, sorted_cell, rank, row, col)


def _rows_of_cells(frame: Frame) -> np.ndarray:
    """int64 [cells]: block rows of each cell."""
    rows: np.ndarray = np.bincount(frame.row_group, minlength=frame.qm)[np.arange(frame.num_cells) % frame.qm]
    return rows


def _rows_end(frame: Frame, layout: BucketLayout, local: np.ndarray) -> np.ndarray:
    """int64 [cells]: the entry after the rows, where packets begin."""
    end: np.ndarray = layout.header_entries + _ROW_ENTRIES * _rows_of_cells(frame) + local
    return end


# --- rows ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ListRows:
    """The order of rows in each list. place: int64 [cells, rows], where a row stands; group: its row group."""

    place: np.ndarray
    group: np.ndarray
    present: np.ndarray  # bool: a cell may have one row less than the largest


def _list_rows(frame: Frame, layout: BucketLayout, n_groups: int, table: np.ndarray) -> _ListRows:
    cells, rows = table.shape
    present = np.arange(rows) < _rows_of_cells(frame)[:, None]
    place = np.broadcast_to(np.arange(rows, dtype=np.int64), table.shape)
    group = np.zeros(table.shape, dtype=np.int64)
    if layout.block_size > 1 or n_groups == WORKERS:
        return _ListRows(place, group, present)
    group = _deal_rows(layout, n_groups, table, present)
    order = np.argsort(np.where(present, group, WORKERS), axis=1, kind="stable")
    place = np.empty((cells, rows), dtype=np.int64)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(rows), table.shape), axis=1)
    return _ListRows(place, group, present)


def _deal_rows(layout: BucketLayout, n_groups: int, table: np.ndarray, present: np.ndarray) -> np.ndarray:
    """int64 [cells, rows]: the longest row first to the least loaded of 6 / n_groups groups, all cells at a time."""
    cells = np.arange(len(table))
    grain = column_grain(layout.dtype)
    width = -(-layout.columns // grain // n_groups) * grain
    slots = element_row_slots(layout.dtype, width)
    per_row = (float(slots.per_row) + 1) / max(float(slots.per_nonzero), 1.0)
    order = np.argsort(np.where(present, -table, 1), axis=1, kind="stable")
    load = np.zeros((len(table), WORKERS // n_groups))
    group = np.zeros(table.shape, dtype=np.int64)
    for row in order.T:
        chosen = load.argmin(axis=1)
        group[cells, row] = chosen
        load[cells, chosen] += (table[cells, row] + per_row) * present[cells, row]
    return group


def _fill_rows(
    lists: np.ndarray, layout: BucketLayout, local: _Sorted, table: np.ndarray, rows: _ListRows
) -> np.ndarray:
    """Writes every row and its column entries; returns the slot of each local block."""
    in_list = np.zeros_like(table)
    np.put_along_axis(in_list, rows.place, table, axis=1)
    before_place = np.cumsum(in_list, axis=1) - in_list
    before = np.take_along_axis(before_place, rows.place, axis=1)
    first = layout.header_entries + _ROW_ENTRIES * rows.place + before
    cell, row = np.nonzero(rows.present)
    flat = lists.reshape(-1)
    at = cell * layout.list_length + first[cell, row]
    flat[at] = row
    flat[at + 1] = table[cell, row]
    earlier = (np.cumsum(table, axis=1) - table)[local.cell, local.row]
    within = local.rank - earlier
    entry = first[local.cell, local.row] + _ROW_ENTRIES + within
    flat[local.cell * layout.list_length + entry] = local.col * layout.column_step
    slot: np.ndarray = before[local.cell, local.row] + within
    return slot


def _worker_shares(
    lists: np.ndarray, layout: BucketLayout, n_groups: int, table: np.ndarray, rows: _ListRows
) -> Tuple[np.ndarray, np.ndarray]:
    """Writes where each worker's rows begin (b = 1); returns rows and blocks of each worker."""
    if layout.block_size > 1:
        return rows.present.sum(axis=1)[:, None], table.sum(axis=1)[:, None]
    groups = WORKERS // n_groups
    members = [(rows.group == one) & rows.present for one in range(groups)]
    num_rows = np.stack([mine.sum(axis=1) for mine in members], axis=1)
    num_blocks = np.stack([(table * mine).sum(axis=1) for mine in members], axis=1)
    first_row, first_value = np.cumsum(num_rows, axis=1) - num_rows, np.cumsum(num_blocks, axis=1) - num_blocks
    first_entry = layout.header_entries + _ROW_ENTRIES * first_row + first_value
    of_worker = np.arange(WORKERS) // n_groups
    columns = {
        "firstEntryLow": first_entry & U16_MAX,
        "firstEntryHigh": first_entry >> 16,
        "firstValueLow": first_value & U16_MAX,
        "firstValueHigh": first_value >> 16,
        "numRows": num_rows,
    }
    shares = np.stack([columns[name][:, of_worker] for name in WORKER_SHARE_FIELDS], axis=-1)
    begin = len(BUCKET_HEADER_FIELDS)
    lists[:, begin : begin + shares[0].size] = shares.reshape(len(lists), -1)
    return num_rows[:, of_worker], num_blocks[:, of_worker]


# --- packets and headers ---------------------------------------------------------------------------------------------


def _fill_packets(
    lists: np.ndarray, layout: BucketLayout, placement: Placement, away: _Sorted, first_packet: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Writes all packets; returns (bucket, slot) of each block that is stored away, and the packets of each bucket.

    A home's blocks go to its packets in the order of their steps.
    """
    order = np.lexsort((placement.step, placement.donor))
    donor, size = placement.donor[order], placement.num_blocks[order]
    entries = _PACKET_ENTRIES + 2 * size
    starts = np.searchsorted(donor, donor, side="left")
    entry_before, value_before = np.cumsum(entries) - entries, np.cumsum(size) - size
    entry, value = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    entry[order] = first_packet[donor] + entry_before - entry_before[starts]
    value[order] = placement.local[donor] + value_before - value_before[starts]
    flat = lists.reshape(-1)
    at = placement.donor * layout.list_length + entry
    flat[at] = placement.step
    flat[at + 1] = placement.num_blocks
    packet = np.repeat(np.arange(len(size)), placement.num_blocks)
    within = np.arange(len(packet)) - np.repeat(
        np.cumsum(placement.num_blocks) - placement.num_blocks, placement.num_blocks
    )
    where = at[packet] + _PACKET_ENTRIES + 2 * within
    flat[where] = away.row
    flat[where + 1] = away.col * layout.column_step
    num_packets = np.bincount(placement.donor, minlength=len(lists))
    return placement.donor[packet], value[packet] + within, num_packets


def _fill_headers(
    lists: np.ndarray, frame: Frame, placement: Placement, num_packets: np.ndarray, first_packet: np.ndarray
) -> None:
    columns = {
        "numRows": _rows_of_cells(frame),
        "numBlocksLow": placement.local & U16_MAX,
        "numBlocksHigh": placement.local >> 16,
        "numPackets": num_packets,
        "firstPacketLow": first_packet & U16_MAX,
        "firstPacketHigh": first_packet >> 16,
    }
    for field, name in enumerate(BUCKET_HEADER_FIELDS):
        lists[:, field] = columns[name]
