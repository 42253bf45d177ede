"""Buckets back to coordinates: the inverse of encoding, read from the lists alone."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from ..bucket_layout import BUCKET_HEADER_FIELDS, PACKET_FIELDS, ROW_FIELDS, BucketLayout
from .frame import Frame

_HEADER = {name: at for at, name in enumerate(BUCKET_HEADER_FIELDS)}


class Stretch(NamedTuple):
    """Blocks of one row; int64 columns: bucket, local row, entry of the first in the list, its slot, how many."""

    bucket: np.ndarray
    row: np.ndarray
    entry: np.ndarray
    slot: np.ndarray
    blocks: np.ndarray


def decode_buckets(
    frame: Frame, layout: BucketLayout, lists: np.ndarray, displacements: Tuple[int, ...]
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rows, cols, bucket, slot), int64 [nnz_blocks], of every block in row-major order.

    lists: uint16 [cells, list_length]; displacements: of the steps, as they are loaded beside the lists.
    """
    wide = lists.astype(np.int64)
    row_of, col_of = _item_table(frame.row_group, frame.qm), _item_table(frame.col_group, frame.qk)
    parts = [_local_blocks(layout, wide), _packet_blocks(frame, wide, displacements)]
    home, row, entry, bucket, slot = (np.concatenate(column) for column in zip(*parts))
    rows = row_of[home % frame.qm, row]
    cols = col_of[home // frame.qm, entry // layout.column_step]
    order = np.lexsort((cols, rows))
    return rows[order], cols[order], bucket[order], slot[order]


def _item_table(group: np.ndarray, groups: int) -> np.ndarray:
    """int64 [groups, places]: the row (or column) of W at each place of each group."""
    table = np.full((groups, -(-len(group) // groups)), -1, dtype=np.int64)
    items = np.arange(len(group))
    table[group, items // groups] = items
    return table


def _number(lists: np.ndarray, name: str) -> np.ndarray:
    number: np.ndarray = lists[:, _HEADER[f"{name}Low"]] + (lists[:, _HEADER[f"{name}High"]] << 16)
    return number


def _local_blocks(layout: BucketLayout, lists: np.ndarray) -> Tuple[np.ndarray, ...]:
    cells = np.arange(len(lists))
    at = np.full(len(lists), layout.header_entries, dtype=np.int64)
    slot, num_rows = np.zeros_like(at), lists[:, _HEADER["numRows"]]
    stretches: List[Stretch] = []
    for row in range(int(num_rows.max(initial=0))):
        cell = cells[row < num_rows]
        here = at[cell]
        count = lists[cell, here + 1]
        entry = here + len(ROW_FIELDS)
        stretches.append(Stretch(cell, lists[cell, here], entry, slot[cell], count))
        at[cell] = entry + count
        slot[cell] += count
    merged = Stretch(*(np.concatenate(column) for column in zip(*stretches)))
    which, within = _expanded(merged.blocks)
    entry = lists[merged.bucket[which], merged.entry[which] + within]
    return merged.bucket[which], merged.row[which], entry, merged.bucket[which], merged.slot[which] + within


def _packet_blocks(frame: Frame, lists: np.ndarray, displacements: Tuple[int, ...]) -> Tuple[np.ndarray, ...]:
    cells, num_packets = np.arange(len(lists)), lists[:, _HEADER["numPackets"]]
    at, slot = _number(lists, "firstPacket").copy(), _number(lists, "numBlocks").copy()
    shift = np.array([*displacements, 0], dtype=np.int64)
    parts: List[Tuple[np.ndarray, ...]] = [tuple(np.zeros(0, dtype=np.int64) for _ in range(5))]
    for packet in range(int(num_packets.max(initial=0))):
        cell = cells[packet < num_packets]
        here = at[cell]
        count, home = lists[cell, here + 1], (cell + shift[lists[cell, here]]) % frame.num_cells
        which, within = _expanded(count)
        entry = here[which] + len(PACKET_FIELDS) + 2 * within
        bucket = cell[which]
        parts.append((home[which], lists[bucket, entry], lists[bucket, entry + 1], bucket, slot[cell][which] + within))
        at[cell] = here + len(PACKET_FIELDS) + 2 * count
        slot[cell] += count
    return tuple(np.concatenate(column) for column in zip(*parts))


def _expanded(count: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(index, place within it) of every item of stretches of `count`."""
    which = np.repeat(np.arange(len(count)), count)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
