"""How packets travel: prepared exchanges between cells, operations that choose among them, and what a step costs.

Cells stand in a ring of num_cells. A packet goes from the cell that stores it to its home, `displacement` cells on. Two
kinds of prepared exchange exist for every power of two below num_cells: a hop passes the travelling packets on to the
cell 2^i further, tile by tile; a delivery brings all pieces of a packet to every tile of the cell 2^i further, which
then multiplies it. A displacement is hops for all its bits but the lowest, then one delivery. Packets travel between
two buffers in turn, so each exchange is prepared from either.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from ..bucket_cycles import packet_copy_cycles, packet_dot_cycles
from ..bucket_layout import BucketLayout
from ..cost import Cost, compute_cost, decision_cost, exchange_cost, exchange_cycles
from ..problem import Problem
from ..target import Target
from .frame import Frame

STOP = 0  # the operation that ends the loop
BUFFERS = 2


def num_shifts(num_cells: int) -> int:
    """Powers of two below num_cells: 1, 2, 4, ..."""
    return max(num_cells - 1, 0).bit_length()


def hop_operation(bit: int, buffer: int) -> int:
    """The operation that passes packets 2^bit cells on, from `buffer` to the other one."""
    return 1 + BUFFERS * bit + buffer


def deliver_operation(bit: int, buffer: int, num_cells: int) -> int:
    """The operation that delivers packets 2^bit cells on, out of `buffer`."""
    return 1 + BUFFERS * (num_shifts(num_cells) + bit) + buffer


def store_operation(buffer: int, num_cells: int) -> int:
    """The operation that stores a result which came back to its bucket (grad-weight)."""
    return 1 + BUFFERS * 2 * num_shifts(num_cells) + buffer


def num_operations(num_cells: int, *, with_store: bool = False) -> int:
    """Cases of the switch, STOP counted."""
    return 1 + BUFFERS * (2 * num_shifts(num_cells) + (1 if with_store else 0))


def _bits(displacement: int) -> List[int]:
    return [bit for bit in range(displacement.bit_length()) if displacement >> bit & 1]


def step_operations(displacement: int, num_cells: int) -> List[int]:
    """Operations of one step of the forward and grad-input passes: hops, then the delivery."""
    *hops, last = sorted(_bits(displacement), reverse=True)
    operations = [hop_operation(bit, at % BUFFERS) for at, bit in enumerate(hops)]
    return [*operations, deliver_operation(last, len(hops) % BUFFERS, num_cells)]


def weight_step_operations(displacement: int, num_cells: int) -> List[int]:
    """Operations of one step of grad-weight: there as forward, the rest of the ring back, and the store.

    A delivery leaves its result in buffer 0 of the home cell.
    """
    back = [hop_operation(bit, at % BUFFERS) for at, bit in enumerate(_bits(num_cells - displacement))]
    return [*step_operations(displacement, num_cells), *back, store_operation(len(back) % BUFFERS, num_cells)]


def operations_of(displacements: List[int], num_cells: int, *, weight: bool = False) -> List[int]:
    """The whole list that the loop works off, STOP at its end."""
    make = weight_step_operations if weight else step_operations
    return [operation for one in displacements for operation in make(one, num_cells)] + [STOP]


def prepared_pieces(frame: Frame) -> int:
    """Pieces that the prepared exchanges of one pass bring to a tile, for the bytes of exchange code."""
    shifts = num_shifts(frame.num_cells)
    return BUFFERS * shifts * (2 + 2 * frame.qn + 2)


def travel_cycles(target: Target, layout: BucketLayout, pieces: int) -> float:
    """Cycles of one prepared exchange that brings packets from `pieces` tiles to every tile."""
    received = np.array([float(layout.packet_bytes * pieces)])
    sent, none = np.array([float(layout.packet_bytes)]), np.zeros(1)
    return exchange_cycles(target, received, none, sent, np.array([2.0 * pieces + 2]))


def propagation_step_cost(problem: Problem, target: Target, frame: Frame, layout: BucketLayout) -> Cost:
    """One step of displacement 1 with full packets: two decisions, the delivery, the product."""
    product = packet_dot_cycles(
        problem.dtype, problem.partials_dtype, layout.block_size, layout.columns, layout.packet_blocks
    )
    select = packet_copy_cycles(layout.packet_bytes)
    cost = exchange_cost(target, travel_cycles(target, layout, frame.qn))
    cost = cost + compute_cost(target, float(product + select))
    return cost + decision_cost(target) * 2


def hop_cost(target: Target, layout: BucketLayout) -> Cost:
    """One hop: two decisions, the exchange, and the vertex that reads the next operation."""
    return (
        exchange_cost(target, travel_cycles(target, layout, 1))
        + compute_cost(target, 144.0)
        + decision_cost(target) * 2
    )


def placement_cost(
    problem: Problem, target: Target, frame: Frame, layout: BucketLayout, displacements: List[int]
) -> Cost:
    """All steps of a pattern's forward pass, packets taken as full, all serial passes."""
    total = Cost(clock_hz=target.clock_hz)
    for one in displacements:
        hops = len(_bits(one)) - 1
        total = total + propagation_step_cost(problem, target, frame, layout) + hop_cost(target, layout) * hops
    return total * frame.passes


def ring(num_cells: int, displacement: int) -> Tuple[np.ndarray, np.ndarray]:
    """(from, to) cells, int64, of everything that moves `displacement` on."""
    cells = np.arange(num_cells, dtype=np.int64)
    return cells, (cells + displacement) % num_cells
