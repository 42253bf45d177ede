"""4-D block COO: coordinates of blocks plus their values, in a grid (mb, kb) of b x b blocks.

As a torch tensor: sparse_coo of shape (mb, kb, b, b) with two sparse and two dense dimensions, the format of
Graphcore's SpMM notebook and of poptorch_experimental_addons.sparse. As NumPy arrays: the triple (indices int (2, z),
values (z, b, b), size (mb, kb, b, b)), in the order of torch.sparse_coo_tensor's arguments.
"""

from __future__ import annotations

import sys
from typing import Any, Optional, Tuple

import numpy as np

from popsparse_planner.errors import FormatError, ShapeError
from popsparse_planner.pattern import BlockPattern

from .arrays import index_for, is_tensor, to_numpy, unchecked
from .blocks import Parts, in_order
from .checks import checked_dtype, checked_finite


def from_block_coo(t4d: Any, shape: Optional[Tuple[int, int]] = None) -> Parts:
    """Pattern and values of a 4-D block COO tensor or triple (see above).

    shape: (m, k) where it is smaller than the (mb*b, kb*b) of the blocks; they must be zero outside it.
    Raises FormatError (another format, NaN), ShapeError (blocks not square; a shape that needs other blocks),
    DTypeError, PatternError (a block outside the grid or given twice: coalesce() adds them up).
    """
    indices, values, size = _parts_of(t4d)
    checked_dtype(values, "values")
    mb, kb, b, width = size
    if b != width:
        raise ShapeError(f"blocks must be square, got {b} x {width}")
    if indices.ndim != 2 or indices.shape[0] != 2 or tuple(values.shape) != (indices.shape[1], b, b):
        raise ShapeError(
            f"indices {indices.shape} and values {tuple(values.shape)} do not fit: expected (2, z) and (z, {b}, {b})"
        )
    checked_finite(values, "values")
    full = (mb * b, kb * b)
    pattern, values = in_order(indices[0], indices[1], values, full, b)
    return (pattern, values) if shape is None else _trimmed(pattern, values, shape)


def _parts_of(t4d: Any) -> Tuple[np.ndarray, Any, Tuple[int, int, int, int]]:
    """indices (2, z), values (z, b, b) and the four sizes of a tensor or triple."""
    if is_tensor(t4d):
        if str(t4d.layout) != "torch.sparse_coo" or (t4d.sparse_dim(), t4d.dense_dim()) != (2, 2):
            raise FormatError(
                f"expected a sparse_coo tensor (mb, kb, b, b) with 2 sparse and 2 dense dimensions, got "
                f"{t4d.layout} of shape {tuple(t4d.shape)}: use from_torch"
            )
        indices, values, size = to_numpy(t4d._indices()), t4d._values(), tuple(t4d.shape)
    elif isinstance(t4d, (tuple, list)) and len(t4d) == 3:
        indices, size = np.asarray(to_numpy(t4d[0])), tuple(t4d[2])
        values = t4d[1] if is_tensor(t4d[1]) else np.asarray(t4d[1])
    else:
        raise FormatError(
            f"expected a 4-D sparse_coo tensor or a triple (indices, values, size), got {type(t4d).__name__}"
        )
    if len(size) != 4:
        raise ShapeError(f"size must be (mb, kb, b, b), got {size}")
    mb, kb, b, width = (int(side) for side in size)
    return indices, values, (mb, kb, b, width)


def _trimmed(pattern: BlockPattern, values: Any, shape: Tuple[int, int]) -> Parts:
    """The same blocks in a smaller shape that needs the same grid; what lies outside it must be zero."""
    b = pattern.block_size
    smaller = BlockPattern.from_indices(pattern.rows, pattern.cols, shape=shape, block_size=b)
    if smaller.block_grid != pattern.block_grid:
        raise ShapeError(f"shape {shape} needs {smaller.block_grid} blocks of {b}, the tensor has {pattern.block_grid}")
    (m, k), plain = smaller.shape, to_numpy(values)
    reach = np.arange(b)
    outside_row = pattern.rows[:, None] * b + reach >= m
    outside_col = pattern.cols[:, None] * b + reach >= k
    if np.any((plain != 0) & (outside_row[:, :, None] | outside_col[:, None, :])):
        raise ShapeError(f"the tensor holds nonzeros outside shape {smaller.shape}")
    return smaller, values


def to_block_coo(pattern: BlockPattern, values: Any) -> Any:
    """The 4-D block COO form: a coalesced torch tensor if the values are one, else the NumPy triple (see above).

    Padding becomes real: the form knows the grid, not a ragged shape (from_block_coo(t, shape=...) brings it back).
    """
    size = (*pattern.block_grid, pattern.block_size, pattern.block_size)
    indices = np.stack([pattern.rows, pattern.cols]).astype(np.int64)
    if not is_tensor(values):
        return indices, values, size
    torch = sys.modules["torch"]
    return torch.sparse_coo_tensor(index_for(values, indices), values, size=size, **unchecked(torch)).coalesce()
