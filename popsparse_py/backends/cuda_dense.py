"""A dense copy of W on the device, for products that are predicted to take less time with it."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any, Optional, Union

from popsparse_planner.cuda_dynamic_plan import CudaDynamicPlan
from popsparse_planner.cuda_plan import CudaPlan
from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern

from ..formats import BlockSparseMatrix
from ..formats.arrays import is_tensor
from .base import check_x_shape


class DenseIsFasterWarning(UserWarning):
    """A sparse product is computed with a dense copy of W, as that is predicted to take less time."""


def warn_of_dense(plan: Union[CudaPlan, CudaDynamicPlan], stacklevel: int = 2) -> None:
    """Say that a dense copy takes the place of the plan's kernel, and why."""
    text = f"a dense copy of W is used: {plan.explain()}"
    warnings.warn(text, DenseIsFasterWarning, stacklevel=stacklevel + 1)


def dense_of(pattern: BlockPattern, values: Any) -> Any:
    """W (m, k) of a tensor of values (nnz_blocks or more, b, b), on the tensor's device."""
    torch = import_module("torch")
    b, (mb, kb), (m, k) = pattern.block_size, pattern.block_grid, pattern.shape
    grid = values.new_zeros((mb, kb, b, b))
    rows, cols = (torch.from_numpy(i.copy()).long().to(values.device) for i in (pattern.rows, pattern.cols))
    grid[rows, cols] = values.detach()[: pattern.nnz_blocks]
    return grid.permute(0, 2, 1, 3).reshape(mb * b, kb * b)[:m, :k].contiguous()


class DenseCopy:
    """What stands in for the kernel of a plan that says dense is faster: torch's product. x: tensors only."""

    def __init__(self, plan: CudaPlan, like: Any) -> None:
        self.plan, self.device = plan, like.device
        self._w: Any = None

    def load(self, w: BlockSparseMatrix) -> None:
        """Make the copy, (m, k) or transposed as the plan says."""
        values = w.values if is_tensor(w.values) else import_module("torch").from_numpy(w.values)
        dense = dense_of(w.pattern, values.to(self.device))
        self._w = dense.T.contiguous() if self.plan.transposed else dense

    def multiply(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (m, n) of x (k, n), as CudaKernel."""
        check_x_shape(*self.plan.shape, tuple(x.shape))
        return self.multiply_rows(x.T, bias, activation, out_dtype, out).T

    def multiply_rows(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (batch, m) of x (batch, k), as CudaKernel."""
        if out is not None:
            raise PlanError("out is for target 'cpu': cuda makes its own results")
        functional = import_module("torch.nn.functional")
        shift = None if bias is None else import_module("torch").as_tensor(bias).to(x.device, x.dtype)
        y = functional.linear(x, self._w, shift)
        activations = {"none": lambda y: y, "relu": functional.relu, "gelu": functional.gelu}
        if activation not in activations:
            raise PlanError(f"activation {activation!r} is unknown: expected one of {', '.join(activations)}")
        y = activations[activation](y)
        return y if out_dtype is None else y.to(getattr(import_module("torch"), out_dtype))
