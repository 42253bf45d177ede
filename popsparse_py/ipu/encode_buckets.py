"""A matrix to the variables of a dynamic program, and gradients back to blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

import numpy as np

from popsparse_planner.bucket_layout import BucketLayout, most_operations
from popsparse_planner.dynamic.buckets import Buckets, check_pattern, encode_buckets
from popsparse_planner.dynamic.propagation import operations_of
from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.errors import FormatError
from popsparse_planner.pattern import BlockPattern

from .bucket_variables import in_cell_order, in_tile_order

_EXPONENT = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}


@dataclass(frozen=True)
class Encoded:
    """What is written when a matrix is loaded: flat contents of the bucket variables and of the list of operations.

    weight_operations: the list of the grad-weight pass, whose packets come back.
    """

    buckets: Buckets
    lists: np.ndarray
    values: np.ndarray
    operations: np.ndarray
    weight_operations: np.ndarray


def encode_matrix(plan: DynamicPlan, pattern: BlockPattern, values: np.ndarray) -> Encoded:
    """The variables of a matrix with `values` (nnz_blocks, b, b) of the plan's dtype.

    Raises ShapeError, PatternError, CapacityError (nothing that is loaded changes), FormatError for NaN or infinity.
    """
    plan.check_own()
    problem, frame, layout = plan.problem, plan.frame, plan.layout
    assert plan.draft is not None
    check_pattern(pattern, (problem.m, problem.k), problem.block_size, plan.capacity_blocks)
    check_finite(values)
    buckets = encode_buckets(frame, layout, plan.draft.n_groups, pattern)
    shifts = list(buckets.placement.displacements)
    return Encoded(
        buckets=buckets,
        lists=in_tile_order(buckets.lists, frame.qn),
        values=in_tile_order(_bucket_values(layout, buckets, values), frame.qn),
        operations=_operation_list(frame.num_cells, operations_of(shifts, frame.num_cells)),
        weight_operations=_operation_list(frame.num_cells, operations_of(shifts, frame.num_cells, weight=True)),
    )


def check_finite(values: np.ndarray) -> None:
    """FormatError that names the first block with a NaN or infinite value."""
    unsigned, exponent = _EXPONENT[values.dtype.name]
    bits = np.ascontiguousarray(values).view(unsigned)
    wrong = (bits & exponent) == exponent
    if wrong.any():
        block = int(np.argmax(wrong.any(axis=(1, 2))))
        raise FormatError(
            f"values of W hold NaN or infinity, first in block {block}: replace them before loading", block=block
        )


def _block_view(layout: BucketLayout, contents: np.ndarray) -> np.ndarray:
    """[cells, capacity, b * b] of contents [cells, value_length], sharing its memory."""
    block = layout.block_size**2
    rows, item = len(contents), contents.itemsize
    strides = (contents.strides[0], block * item, item)
    return np.lib.stride_tricks.as_strided(contents, (rows, layout.capacity, block), strides)


def _bucket_values(layout: BucketLayout, buckets: Buckets, values: np.ndarray) -> np.ndarray:
    contents = np.zeros((len(buckets.lists), layout.value_length), dtype=layout.dtype)
    _block_view(layout, contents)[buckets.bucket, buckets.slot] = values.reshape(len(values), layout.block_size**2)
    return contents


def _operation_list(num_cells: int, operations: List[int]) -> np.ndarray:
    contents = np.zeros(most_operations(num_cells), dtype=np.uint16)
    contents[: len(operations)] = operations
    return contents


def decode_gradients(plan: DynamicPlan, buckets: Buckets, contents: np.ndarray) -> np.ndarray:
    """(nnz_blocks, b, b) in the pattern's order, from the flat shares of the grad-weight pass."""
    layout, b = plan.layout, plan.problem.block_size
    cells = in_cell_order(contents, plan.frame.qn, plan.frame.num_cells)
    gathered: np.ndarray = _block_view(layout, cells)[buckets.bucket, buckets.slot]
    return gathered.reshape(-1, b, b)
