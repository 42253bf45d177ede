"""The product that layers call: checks, autocast, and the shortest way to the kernels."""

from __future__ import annotations

from typing import Optional, Tuple

import torch
from torch import Tensor

from popsparse_planner.errors import DTypeError, ShapeError, TargetUnavailableError

from . import operators


def linear(
    x: Tensor,  # (..., k)
    values: Tensor,  # (slots, b, b) dtype of x
    bias: Optional[Tensor],  # (m)
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32, None: every slot counts
    shape: Tuple[int, int],  # (m, k)
) -> Tensor:
    """x W^T + bias, (..., m), with gradients of x, values and bias.

    Under torch.autocast x, values and bias are converted as those of nn.Linear are. float16 and bfloat16 are summed in
    float32; float64 is computed by torch's own operations. Raises ShapeError, DTypeError, PatternError, and
    TargetUnavailableError for a device without kernels.
    """
    m, k = shape
    if x.dim() == 0 or x.shape[-1] != k:
        raise ShapeError(f"x has shape {tuple(x.shape)}: expected (..., {k}), as W is {m} x {k}", expected=k)
    device = "cpu" if x.is_cpu else x.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, values, bias = _cast(x, dtype), _cast(values, dtype), bias if bias is None else _cast(bias, dtype)
    if x.dtype is not values.dtype or not (x.is_cpu and values.is_cpu):
        _check(x, values)
    rows = x if x.dim() == 2 else x.reshape(-1, k)
    y: Tensor = operators.linear(rows, values, bias, row, col, nnz, m)
    return y if x.dim() == 2 else y.reshape(*x.shape[:-1], m)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """As autocast: float64, and what is no floating-point number, stays."""
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.dtype is not torch.float64 else tensor


def _check(x: Tensor, values: Tensor) -> None:
    if x.device != values.device:
        raise TargetUnavailableError(
            f"x is on {x.device}, the layer on {values.device}: move one of them with .to({str(x.device)!r})"
        )
    if x.device.type not in operators.linear.devices:
        known = " or ".join(sorted(operators.linear.devices))
        raise TargetUnavailableError(
            f"there are no kernels for tensors on {x.device}: expected {known}; move layer and x with .to('cpu')"
        )
    if x.dtype is not values.dtype:
        raise DTypeError(
            f"x has dtype {x.dtype}, the layer {values.dtype}: use x.to({values.dtype}), or run under torch.autocast",
            dtype=str(x.dtype),
        )
