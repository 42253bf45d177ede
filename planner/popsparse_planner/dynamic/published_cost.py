"""The published dynamic planner's own estimate of its candidates, pass by pass (popsparse-dynamic 2.4).

All arrays run over candidates. It assumes a uniform pattern and charges nothing for propagation, syncs and control.
What it gets wrong is kept: partials count as temporary where Pz > 1 although Py is what is reduced over; grad-weight
swaps the bytes of meta-info and partials in its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Tuple

import numpy as np

from ..codelet_cycles import WORKERS, cast_cycles, published_general_reduce_cycles
from ..dynamic_codelet_cycles import (
    Buckets,
    block_cycles,
    forward_element_cycles,
    published_zero_partials_cycles,
    transpose_blocks_cycles,
    transpose_element_cycles,
)
from ..problem import item_bytes
from .published_buckets import META_BYTES, uniform_groups
from .published_worker_split import split_between_workers

_SCALE = 16  # bytes and rate are scaled before they are divided and rounded up


class PassCost(NamedTuple):
    """Cycles of a pass and its temporary bytes on a tile, int64 [candidates]."""

    cycles: np.ndarray
    temp_bytes: np.ndarray


@dataclass(frozen=True)
class Sizes:
    """One product as its planner sees it: `grain` columns in a group of z, `units` of block_size in x and y."""

    block_size: int
    z_grain: int
    dtype: str
    partials_dtype: str
    density: float
    bytes_per_cycle: float
    shares_bus: bool

    @property
    def item(self) -> int:
        """Bytes of a value."""
        return item_bytes(self.dtype)

    @property
    def partial_item(self) -> int:
        """Bytes of a partial sum."""
        return item_bytes(self.partials_dtype)

    @property
    def casts(self) -> bool:
        """Whether partials have another type than the result."""
        return self.dtype != self.partials_dtype


class View(NamedTuple):
    """Candidates as one pass sees them: x is the dimension of its result, y the one it sums over.

    parts_*: partitions; groups_*: blocks (or grains of z) of a tile; all_*: of the whole product. x_inner: whether
    partitions of this pass's x lie on neighbouring tiles; z_inner: the same of z.
    """

    parts_x: np.ndarray
    parts_y: np.ndarray
    parts_z: np.ndarray
    groups_x: np.ndarray
    groups_y: np.ndarray
    groups_z: np.ndarray
    all_x: int
    all_y: int
    all_z: int
    x_inner: np.ndarray
    z_inner: np.ndarray

    @property
    def tiles(self) -> np.ndarray:
        """Tiles used."""
        used: np.ndarray = self.parts_x * self.parts_y * self.parts_z
        return used


Columns = Tuple[np.ndarray, np.ndarray, np.ndarray]  # of x, y and z, each int64 [candidates]


def forward_view(parts: Columns, groups: Columns, all_groups: Tuple[int, int, int]) -> View:
    """The forward pass: tiles count through x, then z, then y."""
    every, single = np.ones(len(parts[0]), dtype=bool), parts[0] == 1
    x, y, z = parts
    groups_x, groups_y, groups_z = groups
    return View(x, y, z, groups_x, groups_y, groups_z, *all_groups, x_inner=every, z_inner=single)


def grad_input_view(view: View) -> View:
    """The same candidates for the grad-input pass, which swaps x and y but not the tiles."""
    return View(
        view.parts_y,
        view.parts_x,
        view.parts_z,
        view.groups_y,
        view.groups_x,
        view.groups_z,
        view.all_y,
        view.all_x,
        view.all_z,
        view.parts_z * view.parts_x == 1,
        view.parts_x == 1,
    )


def exchange_cycles(sizes: Sizes, num_bytes: np.ndarray) -> np.ndarray:
    """Cycles to bring num_bytes to every tile."""
    rate = max(round(sizes.bytes_per_cycle * _SCALE), 1)
    cycles: np.ndarray = -(-num_bytes * _SCALE // rate)
    return cycles


def shared_exchange_cycles(
    sizes: Sizes,
    num_bytes: np.ndarray,
    neighbours: np.ndarray,  # tiles in a row that receive the same
    tiles: np.ndarray,
) -> np.ndarray:
    """As exchange_cycles, at twice the rate where pairs of tiles that share a bus receive the same."""
    rate = max(round(sizes.bytes_per_cycle * _SCALE), 1)
    share = (neighbours == tiles) | (neighbours % 2 == 0) if sizes.shares_bus else np.zeros(len(tiles), dtype=bool)
    cycles: np.ndarray = -(-num_bytes * _SCALE // np.where(share, 2 * rate, rate))
    return cycles


def dense_bytes(sizes: Sizes, view: View, axis: str) -> Tuple[np.ndarray, np.ndarray]:
    """Bytes of a dense operand [axis, z] on a tile: after the exchange; and those that the exchange brings."""
    whole, tile, unit = (
        (view.all_y, view.groups_y, sizes.block_size) if axis == "y" else (view.all_x, view.groups_x, sizes.block_size)
    )
    group_bytes = unit * sizes.z_grain * sizes.item
    before = -(-(whole * view.all_z) // view.tiles) * group_bytes
    after = tile * view.groups_z * group_bytes
    return after, np.where(after > before, after, 0)


def neighbours(inner: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Tiles in a row that receive the same data: all partitions of a dimension where they lie side by side, else 1."""
    return np.where(inner, parts, 1)


def reduction_cost(
    sizes: Sizes,
    partials: np.ndarray,  # on a tile
    depth: np.ndarray,  # tiles that hold partials of the same results
    partials_temp: np.ndarray,  # bytes that are temporary already
) -> PassCost:
    """Partials to where they are summed, and the sum; or the cast where nothing is summed."""
    reduces = depth > 1
    moved = np.where(reduces, partials * sizes.partial_item, 0)
    outputs = -(-partials // depth)
    summed = published_general_reduce_cycles(outputs, depth, sizes.partials_dtype, sizes.dtype)
    alone = cast_cycles(outputs, sizes.partials_dtype, sizes.dtype) if sizes.casts else np.zeros_like(outputs)
    temporary = np.where(reduces | sizes.casts, outputs * sizes.item, 0)
    cycles = exchange_cycles(sizes, moved) + np.where(reduces, summed, alone)
    return PassCost(cycles, partials_temp + moved + temporary)


def multiply_cycles(sizes: Sizes, view: View, grad_input: bool) -> np.ndarray:
    """Zeroing the partials and the slowest worker's codelet, with one subgroup in each of the Pz buckets."""
    b, buckets = sizes.block_size, Buckets(view.parts_z[:, None], view.parts_z[:, None])
    partials = view.groups_x * view.groups_z * b * sizes.z_grain
    zero = published_zero_partials_cycles(-(-partials // WORKERS))
    rows, per_row = uniform_groups(sizes.density, view.groups_x, view.groups_y)
    if b == 1 and grad_input:
        buckets = Buckets(view.parts_z, view.parts_z)
        columns = view.groups_z * sizes.z_grain
        turned: np.ndarray = zero + transpose_element_cycles(
            sizes.dtype, buckets, per_row, columns, view.groups_x[:, None]
        )
        return turned
    if b == 1:
        height, width = split_between_workers(rows, view.groups_z)
        columns, list_of_one = width * sizes.z_grain, per_row[:, None, None]
        cycles = forward_element_cycles(sizes.dtype, buckets, height, columns, list_of_one)
        return np.asarray(zero + np.where(height > 0, cycles, 0).max(axis=1))
    _, width = split_between_workers(np.ones_like(view.groups_z), view.groups_z)
    if grad_input:
        rows, per_row = per_row, rows
    cycles = block_cycles(
        sizes.dtype,
        sizes.partials_dtype,
        b,
        buckets,
        rows[:, None],
        width * sizes.z_grain,
        per_row[:, None, None],
        transposed=grad_input,
    )
    return np.asarray(zero + np.where(width > 0, cycles, 0).max(axis=1))


def sparse_pass_cost(
    sizes: Sizes, view: View, value_groups: np.ndarray, meta_fields: np.ndarray, *, grad_input: bool
) -> PassCost:
    """The forward pass, or grad-input from the forward buckets: phases one after the other."""
    bucket = value_groups * sizes.block_size**2 * sizes.item + meta_fields * META_BYTES
    turned, turning = np.zeros_like(bucket), np.zeros_like(bucket)
    if grad_input and sizes.block_size > 1:
        turned = value_groups * sizes.block_size**2 * sizes.item
        turning = transpose_blocks_cycles(sizes.dtype, value_groups, sizes.block_size, sizes.block_size)
    _, dense = dense_bytes(sizes, view, "y")
    buckets = np.where(view.parts_z > 1, view.parts_z * bucket, 0)
    distribution = shared_exchange_cycles(sizes, dense, neighbours(view.x_inner, view.parts_x), view.tiles)
    distribution = distribution + shared_exchange_cycles(
        sizes, buckets, neighbours(view.z_inner, view.parts_z), view.tiles
    )
    others = (view.parts_z - 1) * bucket
    partials = view.groups_x * view.groups_z * sizes.block_size * sizes.z_grain
    keeps = (view.parts_z > 1) | sizes.casts
    partial_bytes = np.where(keeps, partials * sizes.partial_item, 0)
    reduction = reduction_cost(sizes, partials, view.parts_y, partial_bytes)
    temporary = np.maximum.reduce(
        [
            turned + dense + others + partial_bytes,
            turned + dense + partial_bytes + 2 * bucket,
            reduction.temp_bytes,
        ]
    )
    compute = multiply_cycles(sizes, view, grad_input)
    return PassCost(turning + distribution + compute + reduction.cycles, temporary)
