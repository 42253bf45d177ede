"""Where blocks go whose own bucket is full: packets in other buckets, reached by as few displacements as possible.

All packets of one step travel the same displacement. Each step takes the displacement that brings most of the remaining
blocks home for its price (a set cover, solved greedily), so that spills of a random pattern take one step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Tuple

import numpy as np

from ..bucket_layout import PACKET_BLOCK_FIELDS, PACKET_FIELDS, ROW_FIELDS, BucketLayout, most_operations
from ..errors import CapacityError
from .propagation import step_operations, weight_step_operations

_HOP_PRICE = 0.6  # of a hop, in deliveries


@dataclass(frozen=True)
class Placement:
    """Where the blocks of one pattern are stored.

    counts: int64 [cells], blocks of each cell; displacements: of each step; packets, sorted by home and step, as int64
    columns: step, donor (the cell that stores it), home, num_blocks. A cell's first `local` blocks stay at home.
    """

    counts: np.ndarray
    local: np.ndarray
    displacements: Tuple[int, ...]
    step: np.ndarray
    donor: np.ndarray
    home: np.ndarray
    num_blocks: np.ndarray

    @property
    def num_steps(self) -> int:
        """Propagation steps of a call."""
        return len(self.displacements)

    @property
    def spilled_blocks(self) -> int:
        """Blocks that are stored away from their cell."""
        return int(self.num_blocks.sum())

    @property
    def overfull_cells(self) -> np.ndarray:
        """int64: cells with more blocks than their bucket holds."""
        return np.flatnonzero(self.counts > self.local)


def place_blocks(counts: np.ndarray, layout: BucketLayout) -> Placement:
    """The placement of a pattern with counts[c] blocks in cell c; CapacityError if the buckets cannot hold it."""
    counts = np.asarray(counts, dtype=np.int64)
    local = np.minimum(counts, layout.capacity)
    if np.array_equal(local, counts):
        none = np.zeros(0, dtype=np.int64)
        return Placement(counts, local, (), none, none, none, none)
    placed = _place(counts, local, layout)
    if placed is None:
        raise _too_full(counts, layout)
    return placed


def _place(counts: np.ndarray, local: np.ndarray, layout: BucketLayout) -> Placement | None:
    cells = len(counts)
    excess, room = counts - local, layout.capacity - local
    entries = layout.list_entries - layout.header_entries - len(ROW_FIELDS) * layout.rows - local
    price = _prices(cells)
    displacements: List[int] = []
    packets: List[Tuple[np.ndarray, ...]] = []
    operations = 1
    while excess.any():
        home = np.flatnonzero(excess)
        accepts = np.minimum(room, (entries - len(PACKET_FIELDS)) // len(PACKET_BLOCK_FIELDS))
        chosen = _best_displacement(home, excess, np.clip(accepts, 0, layout.packet_blocks), price)
        if chosen == 0:
            return None
        donor = (home - chosen) % cells
        size = np.minimum(np.minimum(excess[home], accepts[donor]), layout.packet_blocks)
        home, donor, size = home[size > 0], donor[size > 0], size[size > 0]
        excess[home] -= size
        room[donor] -= size
        entries[donor] -= len(PACKET_FIELDS) + len(PACKET_BLOCK_FIELDS) * size
        packets.append((np.full(len(home), len(displacements)), donor, home, size))
        displacements.append(chosen)
        operations += len(weight_step_operations(chosen, cells))
        if operations > most_operations(cells):
            return None
    step, donor, home, size = (np.concatenate(column).astype(np.int64) for column in zip(*packets))
    order = np.lexsort((step, home))
    return Placement(counts, local, tuple(displacements), step[order], donor[order], home[order], size[order])


def _prices(cells: int) -> np.ndarray:
    """float64 [cells]: what a step of each displacement costs, in deliveries; 0 is not allowed."""
    price = np.ones(cells)
    price[1:] = [1 + _HOP_PRICE * (len(step_operations(one, cells)) - 1) for one in range(1, cells)]
    return price


def _best_displacement(home: np.ndarray, excess: np.ndarray, accepts: np.ndarray, price: np.ndarray) -> int:
    """The displacement that moves most blocks for its price; the least of equals, 0 if none moves any."""
    cells = len(accepts)
    moved = np.zeros(cells)
    doubled = np.concatenate([accepts[::-1], accepts[::-1]])  # doubled[cells - 1 - h + d] accepts for home h from h - d
    for one in home:
        first = cells - 1 - one
        moved += np.minimum(doubled[first : first + cells], excess[one])
    moved[0] = 0
    best = int(np.argmax(moved / price))
    return best if moved[best] > 0 else 0


def _too_full(counts: np.ndarray, layout: BucketLayout) -> CapacityError:
    """The error for a pattern without a placement, with the least bucket capacity that would take it."""
    total, cells = int(counts.sum()), len(counts)
    low, high = max(layout.capacity + 1, -(-total // cells)), max(int(counts.max()), layout.capacity + 1)
    while low < high:
        middle = (low + high) // 2
        larger = replace(layout, capacity=middle)
        if _place(counts, np.minimum(counts, middle), larger) is None:
            low = middle + 1
        else:
            high = middle
    return CapacityError(
        f"the pattern's {total:,} blocks do not fit {cells} buckets of {layout.capacity}: the fullest cell has "
        f"{int(counts.max()):,}; buckets of {low:,} would hold it, plan with capacity_blocks={low * cells:,}",
        needed_capacity_blocks=low * cells,
        needed_bucket_blocks=low,
        nnz_blocks=total,
    )
