"""The same products by torch's own operations, for float64, which the SIMD kernels do not multiply.

Their memory grows with n * nnz / b: right for gradient checks, too slow to train with.
"""

from __future__ import annotations

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
    return y.reshape(x.shape[0], -1)[:, :rows].contiguous()


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
