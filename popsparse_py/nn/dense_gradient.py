"""The gradient that all of W would have, for criteria that ask which blocks to add."""

from __future__ import annotations

from typing import Any, Tuple

import torch
from torch import Tensor


class DenseGradient(torch.autograd.Function):
    """y as it is; in the backward pass `probe` (m, k) gets dy^T x, the gradient of a dense W."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, probe: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dtype = probe.dtype
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tuple[Tensor, None, Tensor]:
        (x,) = ctx.saved_tensors
        left, right = (t.reshape(-1, t.shape[-1]).to(ctx.dtype) for t in (dy, x))
        return dy, None, left.T @ right


def new_probe(shape: Tuple[int, int], like: Tensor) -> Tensor:
    """A leaf of `shape` that takes the room of one number until it has a gradient; float32 for a half `like`."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.zeros((), dtype=dtype, device=like.device).expand(shape).requires_grad_()
