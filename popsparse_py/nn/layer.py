"""What static and dynamic layers have in common."""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple

import torch
from torch import Tensor

from popsparse_planner.errors import ShapeError
from popsparse_planner.pattern import BlockPattern

from ..formats import BlockSparseMatrix
from ..formats.arrays import is_tensor
from ..formats.blocks import cut_out
from ..formats.checks import check_not_empty, checked_matrix
from ..torch_ops import linear
from .arguments import BLOCK_SIZE, DENSITY, check_pattern, checked_dtype


class BlockSparseLinear(torch.nn.Module):
    """y = x W^T + bias for W (out_features, in_features) of which only some blocks exist.

    values: Parameter (slots, b, b); row, col: int32 buffers (slots), the block coordinates, by row, then column.
    Feature counts need not be multiples of b: what lies in the padding is ignored and has gradient 0.
    Values that require no gradient are packed for the kernels once: change them in place under torch.no_grad(), not
    through `.data` or a NumPy view, of which torch does not tell.
    """

    values: torch.nn.Parameter
    bias: Optional[torch.nn.Parameter]
    row: Tensor
    col: Tensor

    def __init__(self, pattern: BlockPattern, slots: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        self.out_features, self.in_features = pattern.shape
        self.block_size = b = pattern.block_size
        where = {"device": device, "dtype": checked_dtype(dtype)}
        self.values = torch.nn.Parameter(torch.empty((slots, b, b), **where))
        self.register_parameter("bias", torch.nn.Parameter(torch.empty(self.out_features, **where)) if bias else None)
        for name, places in (("row", pattern.rows), ("col", pattern.cols)):
            buffer = torch.zeros(slots, dtype=torch.int32, device="cpu")
            buffer[: len(places)] = torch.tensor(places, device="cpu")
            self.register_buffer(name, buffer.to(self.values.device))

    @property
    def pattern(self) -> BlockPattern:
        """Where the blocks lie now."""
        raise NotImplementedError

    @property
    def num_blocks(self) -> int:
        """Blocks of the pattern; slots behind them are unused."""
        return self.pattern.nnz_blocks

    @property
    def density(self) -> float:
        """Blocks of the pattern / all blocks."""
        return self.pattern.density

    @property
    def target(self) -> str:
        """Where products run: the name of the device type of the values."""
        return str(self.values.device.type)

    def forward(self, x: Tensor) -> Tensor:
        """(..., out_features) for x (..., in_features) of the layer's dtype; raises as torch_ops.linear."""
        places: Any = self._buffers  # nn.Module looks longer for an attribute than a small product takes
        shape = (self.out_features, self.in_features)
        return linear(x, self.values, self.bias, places["row"], places["col"], places.get("nnz"), shape)

    def reset_parameters(self) -> None:
        """New values and bias, uniform as in nn.Linear, with the inputs that an output has on average as fan-in."""
        self._reset(self.pattern)

    @torch.no_grad()
    def _reset(self, pattern: BlockPattern) -> None:
        if self.values.is_meta:
            return
        self.values.copy_(self.fresh_values(pattern, len(self.values)))
        if self.bias is not None:
            bound = fan_in_bound(pattern)
            self.bias.uniform_(-bound, bound)

    def fresh_values(self, pattern: BlockPattern, slots: int) -> Tensor:
        """(slots, b, b) initial values for the pattern's blocks; 0 in padding and in slots behind them."""
        b, (m, k), (mb, kb) = pattern.block_size, pattern.shape, pattern.block_grid
        values = torch.zeros((slots, b, b), dtype=self.values.dtype, device=self.values.device)
        used, bound = values[: pattern.nnz_blocks], fan_in_bound(pattern)
        used.uniform_(-bound, bound)
        used[torch.tensor(pattern.rows == mb - 1, device=used.device), m - (mb - 1) * b :, :] = 0
        used[torch.tensor(pattern.cols == kb - 1, device=used.device), :, k - (kb - 1) * b :] = 0
        return values

    @classmethod
    def from_linear(
        cls,
        linear: torch.nn.Linear,
        *,
        density: Any = None,
        block_size: Optional[int] = None,
        pattern: Optional[BlockPattern] = None,
        criterion: str = "l2",
        **room: Any,
    ) -> Any:
        """A layer with the blocks of `linear` that `pattern` names, else with its largest by l1, l2 or linf.

        density: 1/16 where neither is given; block_size: 16, or the pattern's; room: capacity, headroom (dynamic).
        dtype, device, training mode and bias are those of `linear`; tensors are copied. Raises PatternError,
        ShapeError, DTypeError, CapacityError, FormatError (a weight that is not finite).
        """
        weight = linear.weight.detach()
        if pattern is None:
            b, wanted = BLOCK_SIZE if block_size is None else block_size, DENSITY if density is None else density
            a = BlockSparseMatrix.from_dense(weight, b, density=wanted, criterion=criterion)
            check_not_empty(a.pattern, wanted)
        else:
            check_pattern(pattern, tuple(weight.shape), block_size)
            a = BlockSparseMatrix(pattern, cut_out(checked_matrix(weight, "linear.weight"), pattern))
        return cls.from_weight(a, linear.bias, **room).train(linear.training)

    @classmethod
    def from_weight(cls, a: BlockSparseMatrix, bias: Any = None, **room: Any) -> Any:
        """A layer with W = a (out_features, in_features) and bias (out_features) or none; both are copied.

        dtype and device are those of a; room: capacity, headroom (dynamic). Raises as the constructor.
        """
        values = a.values.detach() if is_tensor(a.values) else torch.tensor(a.values)
        (m, k), where = a.shape, {"device": values.device, "dtype": values.dtype}
        if bias is not None and tuple(bias.shape) != (m,):
            raise ShapeError(f"bias has shape {tuple(bias.shape)}: expected ({m},)")
        build: Any = cls  # a subclass, which has its own arguments
        layer = build(k, m, bias is not None, pattern=a.pattern, **where, **room)
        with torch.no_grad():
            layer.values.zero_()[: len(values)] = values
            if bias is not None:
                layer.bias.copy_(torch.as_tensor(bias))
        return layer

    def to_block_sparse(self) -> BlockSparseMatrix:
        """W as a BlockSparseMatrix that shares the values' memory."""
        pattern = self.pattern
        return BlockSparseMatrix(pattern, self.values.detach()[: pattern.nnz_blocks])

    def to_linear(self) -> torch.nn.Linear:
        """A dense nn.Linear with the same weight and bias, copied; blocks that are not there are 0."""
        where = {"device": self.values.device, "dtype": self.values.dtype}
        dense = torch.nn.Linear(self.in_features, self.out_features, self.bias is not None, **where)
        with torch.no_grad():
            dense.weight.copy_(self.to_block_sparse().to_dense())
            if self.bias is not None:
                dense.bias.copy_(self.bias)
        return dense.train(self.training)

    def extra_repr(self) -> str:
        """Sizes, density, block size and target."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        if self.row.is_meta:  # a device without data
            return f"{sizes}, slots={len(self.values)}, block_size={self.block_size}, target=meta"
        pattern = self.pattern
        blocks = f"{pattern.nnz_blocks} of {math.prod(pattern.block_grid)} blocks"
        return f"{sizes}, density={pattern.density:.4g} ({blocks}), block_size={self.block_size}, target={self.target}"


def fan_in_bound(pattern: BlockPattern) -> float:
    """1 / sqrt(inputs that an output has on average): nn.Linear's bound where every block is there."""
    return 1 / math.sqrt(max(1.0, pattern.shape[1] * pattern.density))


def pattern_of(row: Tensor, col: Tensor, shape: Tuple[int, int], block_size: int) -> BlockPattern:
    """The pattern with blocks at row, col; PatternError if they are no distinct blocks by row, then column."""
    return BlockPattern(shape, block_size, row.cpu().numpy().copy(), col.cpu().numpy().copy())
