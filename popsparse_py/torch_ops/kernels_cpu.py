"""The operators on this computer's processor."""

from __future__ import annotations

from importlib import import_module
from typing import Optional, Tuple

import torch
from torch import Tensor

from popsparse_planner.errors import DTypeError, ShapeError, TargetUnavailableError

from ..backends.host_arrays import host_view
from ..ops import get_num_threads
from . import composite
from .kept import kept_pattern

DTYPES = frozenset((torch.float32, torch.float16, torch.bfloat16, torch.float64))
_FLOPS_PER_THREAD = 2**20  # below this a second thread costs more than it brings


def linear(
    x: Tensor,  # (n, k)
    values: Tensor,  # (slots, b, b) dtype of x
    bias: Optional[Tensor],  # (m)
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    m: int,
) -> Tensor:
    """x W^T + bias, (n, m)."""
    _check(x, values, "x", "values")
    return _product(x, values, bias, row, col, nnz, (m, x.shape[1]), transposed=False)


def linear_transposed(
    dy: Tensor,  # (n, m)
    values: Tensor,  # (slots, b, b) dtype of dy
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    k: int,
) -> Tensor:
    """dy W, (n, k)."""
    _check(dy, values, "dy", "values")
    return _product(dy, values, None, row, col, nnz, (dy.shape[1], k), transposed=True)


def sampled(
    dy: Tensor,  # (n, m)
    x: Tensor,  # (n, k) dtype of dy
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    block_size: int,
) -> Tensor:
    """dy^T x at the blocks, (slots, b, b); 0 in the padding of ragged shapes and in unused slots."""
    _check(dy, x, "dy", "x")
    kept = kept_pattern(row, col, nnz, (dy.shape[1], x.shape[1]), block_size)
    pattern = kept.pattern
    values = dy.new_empty((len(col), block_size, block_size))
    if pattern.nnz_blocks < len(values):
        values[pattern.nnz_blocks :] = 0
    blocks = values[: pattern.nnz_blocks]
    if dy.dtype == torch.float64:
        rows, cols = row[: pattern.nnz_blocks], col[: pattern.nnz_blocks]
        blocks.copy_(composite.sampled(dy, x, rows, cols, block_size))
        return values
    core, threads = import_module("popsparse_py._core"), num_threads()
    used_threads = max(1, min(threads, 2 * pattern.nnz * dy.shape[0] // _FLOPS_PER_THREAD))
    left, right = host_view(dy, "dy").T, host_view(x, "x").T
    core.cpu_sample(kept.native, left, right, host_view(blocks, "values"), used_threads, "")
    return values


def num_threads() -> int:
    """What popsparse_py.set_num_threads said, else torch's number of threads."""
    return get_num_threads() or torch.get_num_threads()


def _product(
    x: Tensor,
    values: Tensor,
    bias: Optional[Tensor],
    row: Tensor,
    col: Tensor,
    nnz: Optional[Tensor],
    shape: Tuple[int, int],
    *,
    transposed: bool,
) -> Tensor:
    slots, b = len(col), values.shape[-1]
    if values.shape != (slots, b, b):
        raise ShapeError(f"values have shape {tuple(values.shape)}: expected ({slots}, b, b), a block for each slot")
    rows = shape[1 if transposed else 0]
    if bias is not None and bias.shape != (rows,):
        raise ShapeError(f"bias has shape {tuple(bias.shape)}: expected ({rows},)")
    if not values.is_cpu or (bias is not None and not bias.is_cpu):
        raise TargetUnavailableError(
            f"x is on cpu, values on {values.device}, bias on {'cpu' if bias is None else bias.device}: move all to one"
        )
    kept = kept_pattern(row, col, nnz, shape, b)
    if x.dtype == torch.float64:
        return composite.either(x, values[: kept.pattern.nnz_blocks], bias, (row, col), shape, transposed=transposed)
    n = x.shape[0]
    y = torch.empty(n, rows, dtype=x.dtype)
    if n:
        kept.multiply(x, values, bias, y, transposed, num_threads())
    return y


def _check(left: Tensor, right: Tensor, left_name: str, right_name: str) -> None:
    if left.dim() != 2:
        raise ShapeError(f"{left_name} has shape {tuple(left.shape)}: expected a row for each sample")
    if left.dtype is not right.dtype or left.dtype not in DTYPES:
        raise DTypeError(
            f"{left_name} has dtype {left.dtype} and {right_name} {right.dtype}: expected one of "
            f"{', '.join(sorted(map(str, DTYPES)))} for both; convert them, or run under torch.autocast",
            dtype=str(left.dtype),
        )
