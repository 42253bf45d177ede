"""The products linear, linear_transposed and sampled: what they save, and their gradients, which are such products."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from torch import Tensor

from . import kernels_cpu, kernels_cuda
from .batching import by_rows, one_by_one
from .product import Product

Gradients = Tuple[Optional[Tensor], ...]
_INDICES = "Tensor row, Tensor col, Tensor? nnz"


def _linear_shape(x: Tensor, values: Tensor, bias: Any, row: Tensor, col: Tensor, nnz: Any, m: int) -> Tensor:
    return x.new_empty((x.shape[0], m))


def _save_linear(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
    x, values, _, row, col, nnz, _ = inputs
    wants = ctx.needs_input_grad
    ctx.save_for_backward(x if wants[1] else None, values if wants[0] else None, row, col, nnz)
    ctx.sizes = x.shape[1], values.shape[1]


def _linear_gradients(ctx: Any, dy: Tensor) -> Gradients:
    x, values, row, col, nnz = ctx.saved_tensors
    wants_x, wants_values, wants_bias = ctx.needs_input_grad[:3]
    k, block_size = ctx.sizes
    dx = linear_transposed(dy, values, row, col, nnz, k) if wants_x else None
    dvalues = sampled(dy, x, row, col, nnz, block_size) if wants_values else None
    return dx, dvalues, dy.sum(0) if wants_bias else None, None, None, None, None


def _transposed_shape(dy: Tensor, values: Tensor, row: Tensor, col: Tensor, nnz: Any, k: int) -> Tensor:
    return dy.new_empty((dy.shape[0], k))


def _save_tensors(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:5])


def _transposed_gradients(ctx: Any, upstream: Tensor) -> Gradients:
    dy, values, row, col, nnz = ctx.saved_tensors
    wants_dy, wants_values = ctx.needs_input_grad[:2]
    ddy = linear(upstream, values, None, row, col, nnz, dy.shape[1]) if wants_dy else None
    dvalues = sampled(dy, upstream, row, col, nnz, values.shape[1]) if wants_values else None
    return ddy, dvalues, None, None, None, None


def _sampled_shape(dy: Tensor, x: Tensor, row: Tensor, col: Tensor, nnz: Any, block_size: int) -> Tensor:
    return dy.new_empty((col.shape[0], block_size, block_size))


def _sampled_gradients(ctx: Any, upstream: Tensor) -> Gradients:
    dy, x, row, col, nnz = ctx.saved_tensors
    wants_dy, wants_x = ctx.needs_input_grad[:2]
    ddy = linear(x, upstream, None, row, col, nnz, dy.shape[1]) if wants_dy else None
    dx = linear_transposed(dy, upstream, row, col, nnz, x.shape[1]) if wants_x else None
    return ddy, dx, None, None, None, None


linear = Product(
    "linear",
    f"Tensor x, Tensor values, Tensor? bias, {_INDICES}, int m",
    kernels_cpu.linear,
    _linear_shape,
    _save_linear,
    _linear_gradients,
    by_rows,
)
linear_transposed = Product(
    "linear_transposed",
    f"Tensor dy, Tensor values, {_INDICES}, int k",
    kernels_cpu.linear_transposed,
    _transposed_shape,
    _save_tensors,
    _transposed_gradients,
    by_rows,
)
sampled = Product(
    "sampled",
    f"Tensor dy, Tensor x, {_INDICES}, int block_size",
    kernels_cpu.sampled,
    _sampled_shape,
    _save_tensors,
    _sampled_gradients,
    one_by_one,
)

linear.register("cuda", kernels_cuda.linear)
linear_transposed.register("cuda", kernels_cuda.linear_transposed)
sampled.register("cuda", kernels_cuda.sampled)
