"""The same products by torch's own operations, for float64, which the SIMD kernels do not multiply.

Their memory grows with n * nnz / b: right for gradient checks, too slow to train with.
"""

from __future__ import annotations

from typing import Optional, Tuple

import torch
from torch import Tensor


def product(
    x: Tensor,  # (n, columns)
    values: Tensor,  # (blocks, r, c)
    row: Tensor,  # (blocks)
    col: Tensor,  # (blocks)
    rows: int,
) -> Tensor:
    """x W^T, (n, rows), for W (rows, columns) with `values` at block coordinates row, col."""
    r, c = values.shape[1:]
    parts = torch.einsum("nzj,zij->nzi", _tiles(x, c)[:, col], values)
    y = x.new_zeros((x.shape[0], -(-rows // r), r)).index_add_(1, row, parts)
    return y.flatten(1)[:, :rows].contiguous()


def either(
    x: Tensor,  # (n, k), transposed: (n, m)
    blocks: Tensor,  # (blocks, b, b)
    bias: Optional[Tensor],  # (m)
    places: Tuple[Tensor, Tensor],  # row, col (slots)
    shape: Tuple[int, int],  # (m, k)
    *,
    transposed: bool,
) -> Tensor:
    """x W^T + bias, or transposed x W."""
    rows, cols = places[0][: len(blocks)], places[1][: len(blocks)]
    if transposed:
        return product(x, blocks.transpose(1, 2), cols, rows, shape[1])
    y = product(x, blocks, rows, cols, shape[0])
    return y if bias is None else y + bias


def sampled(
    dy: Tensor,  # (n, rows)
    x: Tensor,  # (n, columns)
    row: Tensor,  # (blocks)
    col: Tensor,  # (blocks)
    b: int,
) -> Tensor:
    """dy^T x at the blocks, (blocks, b, b); 0 in the padding of ragged shapes."""
    return torch.einsum("nzi,nzj->zij", _tiles(dy, b)[:, row], _tiles(x, b)[:, col])


def _tiles(x: Tensor, b: int) -> Tensor:
    """x (n, columns) as (n, blocks, b), zeros behind ragged columns."""
    padded = torch.nn.functional.pad(x, (0, -x.shape[1] % b))
    return padded.reshape(x.shape[0], -(-x.shape[1] // b), b)
