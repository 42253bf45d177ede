"""The published dynamic planner's estimate of the grad-weight pass (popsparse-dynamic 2.4)."""

from __future__ import annotations

import numpy as np

from ..codelet_cycles import WORKERS
from ..dynamic_codelet_cycles import (
    Buckets,
    block_transpose_cycles,
    grad_weight_amp_cycles,
    grad_weight_block_cycles,
    grad_weight_element_cycles,
    published_zero_partials_cycles,
)
from .published_buckets import META_BYTES, uniform_groups
from .published_cost import (
    PassCost,
    Sizes,
    View,
    dense_bytes,
    exchange_cycles,
    neighbours,
    reduction_cost,
    shared_exchange_cycles,
)


def grad_weight_view(view: View, moves_buckets: bool) -> View:
    """The forward pass's tiles where buckets move; where inputs move, tiles count through z, then y, then x."""
    if moves_buckets:
        return view
    return view._replace(x_inner=view.parts_y * view.parts_z == 1, z_inner=np.ones(len(view.parts_x), dtype=bool))


def _y_inner(view: View, moves_buckets: bool) -> np.ndarray:
    inner: np.ndarray = view.parts_z * (view.parts_x if moves_buckets else 1) == 1
    return inner


def _multiply_cycles(sizes: Sizes, view: View, value_groups: np.ndarray, amp: bool) -> np.ndarray:
    """Zeroing and the slowest worker, once per partition of z.

    Rows are divided by Pz; a worker's cycles are divided by the entries of its list, as the original does.
    """
    b, one = sizes.block_size, Buckets(1, 1)
    zero = published_zero_partials_cycles(-(-(value_groups * b * b) // WORKERS))
    rows, per_row = uniform_groups(sizes.density, -(-view.groups_x // view.parts_z), view.groups_y)
    columns = view.groups_z * sizes.z_grain
    types = (sizes.dtype, sizes.partials_dtype, b)
    if amp:
        cycles = grad_weight_amp_cycles(*types, one, rows, columns, per_row[:, None])
        return np.asarray(zero + view.parts_z * cycles)
    total = (rows * per_row)[:, None]
    share, per_row, columns = -(-total // WORKERS), per_row[:, None], columns[:, None]
    start = np.arange(WORKERS) * share
    end = np.minimum(start + share, total)
    own_rows, own = -(-end // per_row) - start // per_row, np.maximum(end - start, 0)
    if b == 1:
        cycles = grad_weight_element_cycles(sizes.dtype, one, own_rows, columns, own[..., None])
    else:
        cycles = grad_weight_block_cycles(*types, one, own_rows, columns, own[..., None])
    cycles = -(-cycles // np.maximum(-(-own // per_row), 1))
    return np.asarray(zero + view.parts_z * np.where(own > 0, cycles, 0).max(axis=1))


def grad_weight_cost(
    sizes: Sizes,
    forward: View,
    value_groups: np.ndarray,
    meta_fields: np.ndarray,
    *,
    amp: bool,
    moves_buckets: bool,
) -> PassCost:
    """Grad-weight: either meta-info and partial sums travel round z, or both dense operands do."""
    view, b = grad_weight_view(forward, moves_buckets), sizes.block_size
    grad_bytes, grad_moved = dense_bytes(sizes, view, "x")
    input_bytes, input_moved = dense_bytes(sizes, view, "y")
    beside_y = neighbours(_y_inner(view, moves_buckets), view.parts_y)
    cycles = shared_exchange_cycles(sizes, grad_moved, beside_y, view.tiles)
    cycles = cycles + shared_exchange_cycles(sizes, input_moved, neighbours(view.x_inner, view.parts_x), view.tiles)
    moments, dense = [grad_moved + input_moved], grad_moved + input_moved
    if amp:
        columns = view.groups_z * sizes.z_grain
        for groups in (view.groups_x, view.groups_y):
            cycles = cycles + block_transpose_cycles(sizes.dtype, b, groups, columns)
        dense = (view.groups_x + view.groups_y) * b * columns * sizes.item
        moments.append(moments[0] + dense)
    partials, meta_bytes = value_groups * b * b, meta_fields * META_BYTES
    bucket = partials * sizes.partial_item + meta_bytes
    kept = meta_bytes if sizes.casts else np.zeros_like(meta_bytes)
    turns = np.where(view.parts_z > 1, view.parts_z, 0)
    if moves_buckets:
        cycles = cycles + turns * exchange_cycles(sizes, bucket)
        moments.append(dense + 2 * bucket)
    else:
        beside_z = neighbours(view.z_inner, view.parts_z)
        for num_bytes in (grad_bytes, input_bytes):
            cycles = cycles + turns * shared_exchange_cycles(sizes, num_bytes, beside_z, view.tiles)
        moments.append(kept + 2 * dense)
    reduction = reduction_cost(sizes, partials, np.ones_like(partials), kept)
    cycles = cycles + _multiply_cycles(sizes, view, value_groups, amp) + reduction.cycles
    return PassCost(cycles, np.maximum.reduce([*moments, reduction.temp_bytes]))
