"""What torch.vmap does with a product: samples go into the rows of one product, anything else is done one by one."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Tuple

import torch
from torch import Tensor

Batched = Tuple[Tensor, int]  # a result and the dimension along which it is batched


def one_by_one(product: Callable[..., Tensor]) -> Callable[..., Batched]:
    """The rule that calls the product for each sample."""

    def rule(info: Any, in_dims: Sequence[Optional[int]], *inputs: Any) -> Batched:
        results = []
        for i in range(info.batch_size):
            one = (tensor if dim is None else tensor.select(dim, i) for tensor, dim in zip(inputs, in_dims))
            results.append(product(*one))
        return torch.stack(results), 0

    return rule


def by_rows(product: Callable[..., Tensor]) -> Callable[..., Batched]:
    """The rule for a product whose first argument (n, columns) has independent rows."""
    otherwise = one_by_one(product)

    def rule(info: Any, in_dims: Sequence[Optional[int]], x: Tensor, *rest: Any) -> Batched:
        if in_dims[0] is None or any(dim is not None for dim in in_dims[1:]):
            return otherwise(info, in_dims, x, *rest)
        stacked = x.movedim(in_dims[0], 0)
        y = product(stacked.reshape(-1, stacked.shape[-1]), *rest)
        return y.reshape(*stacked.shape[:-1], y.shape[-1]), 0

    return rule
