"""The functions of Graphcore's SpMM notebook and of poptorch_experimental_addons.sparse, on our targets.

Code written for them runs with its import changed: `from popsparse_py import compat as static_sparse_op`. Their format
is 4-D block COO: a torch.sparse_coo tensor (mb, kb, b, b) with two sparse and two dense dimensions. Names, arguments
and results are theirs; what ran on an IPU there runs on the embedded model of one here, and float16 works everywhere.
Every product is differentiable in its dense operand, block_coo_spmm_gs also in the values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from popsparse_planner.errors import FormatError, PatternError, PlanError, ShapeError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import BLOCK_SIZES, column_grain

from .formats import BlockSparseMatrix
from .formats.block_coo import to_block_coo
from .formats.blocks import cut_out, grid_view
from .formats.checks import checked_block_size, checked_density, checked_matrix
from .ops import spmm
from .plans import plan

__all__ = [
    "StaticSparseLinear",
    "StaticSparseMatrix",
    "block_coo_spmm",
    "block_coo_spmm_gs",
    "block_coo_spmm_ipu",
    "block_coo_to_dense",
    "block_coo_transpose",
    "dynamic_spmm_ipu",
    "magnitude_prune",
]

MODES = ("sparse_dense", "dense_sparse")


def block_coo_transpose(tensor: Tensor) -> Tensor:
    """The transpose (kb, mb, b, b), coalesced, of a block COO tensor (mb, kb, b, b)."""
    return tensor.permute(1, 0, 3, 2).coalesce()


def block_coo_to_dense(tensor: Tensor) -> Tensor:
    """The dense tensor, of any rank, of a block COO one with as many dense dimensions as sparse ones.

    ShapeError for another number of them; blocks given twice are added up.
    """
    rank = tensor.sparse_dim()
    if tensor.dense_dim() != rank:
        raise ShapeError(
            f"block COO has as many dense dimensions as sparse ones, got {rank} sparse and {tensor.dense_dim()} dense"
        )
    grid = tensor.to_dense()  # (blocks along each axis, then the block's side along each axis)
    paired = [axis for pair in zip(range(rank), range(rank, 2 * rank)) for axis in pair]
    sides = [blocks * side for blocks, side in zip(grid.shape[:rank], grid.shape[rank:])]
    return grid.permute(paired).reshape(sides)


def block_coo_spmm(sparse: Tensor, dense: Tensor, mode: str) -> Tensor:
    """sparse @ dense ("sparse_dense") or dense @ sparse ("dense_sparse"), on the target in force (`use_target`).

    sparse: block COO (mb, kb, b, b); dense: (k, n), or (n, m) for "dense_sparse", of the same dtype. Blocks that are
    not square, and a sparse that requires a gradient, go the way of block_coo_spmm_gs. The tensor is converted and
    packed in each call: a StaticSparseMatrix keeps that. Raises PlanError for another mode, FormatError, ShapeError,
    DTypeError.
    """
    _check_operands(sparse, mode)
    if sparse.shape[2] != sparse.shape[3] or (sparse.requires_grad and torch.is_grad_enabled()):
        return block_coo_spmm_gs(sparse, dense, mode)
    return _multiply(_converted(sparse), dense, mode, "auto")


def block_coo_spmm_ipu(sparse: Tensor, dense: Tensor, mode: str = "sparse_dense") -> Tensor:
    """As block_coo_spmm, planned for a Bow IPU with a static pattern and executed on the embedded model of one.

    Blocks of a size that the chip has no codelet for are divided into smaller ones that it has.
    """
    _check_operands(sparse, mode)
    return _multiply(_reblocked(_converted(sparse)), dense, mode, "ipu_model")


def dynamic_spmm_ipu(sparse: Tensor, dense: Tensor) -> Tensor:
    """sparse @ dense, planned for a Bow IPU with a pattern that may change, executed on the embedded model.

    float16 and float32, no gradient. Each call plans anew: for several products make the plan once, by plan.
    """
    _check_operands(sparse, "sparse_dense")
    _check_matrix(dense)
    a = _reblocked(_converted(sparse))
    grain = column_grain(a.dtype)
    columns = -(-dense.shape[1] // grain) * grain
    made = plan(a, columns, mode="dynamic", dtype=a.dtype)
    wide = torch.nn.functional.pad(dense.detach(), (0, columns - dense.shape[1]))
    result: Tensor = spmm(a, wide, plan=made)[:, : dense.shape[1]].contiguous()
    return result


def block_coo_spmm_gs(sparse: Tensor, dense: Tensor, mode: str) -> Tensor:
    """As block_coo_spmm, by torch alone: rows of dense gathered for each block, multiplied, summed where they belong.

    For any block (r, c), any dtype and device; half types are summed in float32 and rounded once. Differentiable in
    sparse and dense.
    """
    _check_operands(sparse, mode)
    if mode == "dense_sparse":
        return block_coo_spmm_gs(block_coo_transpose(sparse), dense.T, "sparse_dense").T
    mb, kb, r, c = sparse.shape
    if dense.dim() != 2 or dense.shape[0] != kb * c:
        raise ShapeError(f"dense has shape {tuple(dense.shape)}: expected ({kb * c}, n) for {kb} block columns of {c}")
    whole = sparse.coalesce()
    rows, cols = whole.indices()
    sums_dtype = torch.float32 if dense.dtype in (torch.float16, torch.bfloat16) else dense.dtype
    gathered = dense.reshape(kb, c, -1)[cols].to(sums_dtype)
    products = whole.values().to(sums_dtype) @ gathered
    sums = products.new_zeros((mb, r, dense.shape[1])).index_add(0, rows, products)
    return sums.reshape(mb * r, -1).to(dense.dtype)


@dataclass(eq=False)
class StaticSparseMatrix:
    """A block COO tensor for `matrix @ dense` and `dense @ matrix`; what the products pack is kept until it changes."""

    matrix: Tensor
    _kept: Tuple[Any, ...] = field(default=(), init=False, repr=False)

    def __matmul__(self, rhs: Tensor) -> Tensor:
        return self._times(rhs, "sparse_dense")

    def __rmatmul__(self, lhs: Tensor) -> Tensor:
        return self._times(lhs, "dense_sparse")

    def _times(self, dense: Tensor, mode: str) -> Tensor:
        sparse = self.matrix
        _check_operands(sparse, mode)
        if sparse.shape[2] != sparse.shape[3] or sparse.requires_grad:
            return block_coo_spmm(sparse, dense, mode)
        state = (sparse, sparse._version, sparse._values()._version)
        if not self._kept or self._kept[0] is not sparse or self._kept[1:3] != state[1:]:
            self._kept = (*state, _converted(sparse))
        return _multiply(self._kept[3], dense, mode, "auto")

    def __reduce__(self) -> Any:
        return (StaticSparseMatrix, (self.matrix,))


class StaticSparseLinear(torch.nn.Module):
    """y (..., out_features) = x (..., in_features) weight^T with a frozen sparse weight.

    weight: block COO (out_features / b, in_features / b, b, b); a plain attribute, neither parameter nor buffer.
    A layer that trains is popsparse_py.StaticSparseLinear.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        _check_operands(weight, "sparse_dense")
        self.weight = weight
        self._matrix = StaticSparseMatrix(weight)

    def forward(self, x: Tensor) -> Tensor:
        self._matrix.matrix = self.weight  # which may have been assigned since
        rows = x.reshape(-1, x.shape[-1])
        return (self._matrix @ rows.T).T.reshape(*x.shape[:-1], -1)


def magnitude_prune(matrix: Tensor, block_size: int, density: float, ord: Any = 2) -> Tensor:
    """Block COO tensor of the floor(density * mb * kb) blocks of a dense matrix (m, k) with the largest matrix norm.

    ord: of torch.linalg.matrix_norm, so 2 is the largest singular value of a block, as it was there
    (popsparse_py.magnitude_prune takes the root of the sum of squares, and rounds). Of equal norms the first in
    row-major order stays. Raises PatternError (density; block size that does not divide m and k), FormatError (NaN).
    """
    w, b = checked_matrix(matrix, "matrix"), checked_block_size(block_size)
    m, k = w.shape
    if m % b or k % b:
        raise PatternError(f"block size {b} does not divide the matrix ({m}, {k})")
    grid = grid_view(w.detach(), b)
    norms = torch.linalg.matrix_norm(grid.float(), ord=ord).reshape(-1)
    count = int(checked_density(density) * norms.numel())
    kept = norms.sort(descending=True, stable=True).indices[:count].sort().values.cpu().numpy()
    pattern = BlockPattern.from_indices(kept // (k // b), kept % (k // b), shape=(m, k), block_size=b)
    result: Tensor = to_block_coo(pattern, cut_out(w, pattern))
    return result


class _Product(torch.autograd.Function):
    """a x with the gradient of x; a: a BlockSparseMatrix, target: as of spmm."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: BlockSparseMatrix, target: str) -> Tensor:
        ctx.a, ctx.target = a, target
        y: Tensor = spmm(a, x.detach(), target=target)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tuple[Tensor, None, None]:
        return spmm(ctx.a.T, dy, target=ctx.target), None, None


def _multiply(a: BlockSparseMatrix, dense: Tensor, mode: str, target: str) -> Tensor:
    _check_matrix(dense)
    if mode == "dense_sparse":
        transposed: Tensor = _Product.apply(dense.T, a.T, target)
        return transposed.T
    y: Tensor = _Product.apply(dense, a, target)
    return y


def _check_matrix(dense: Tensor) -> None:
    if dense.dim() != 2:
        raise ShapeError(f"dense has shape {tuple(dense.shape)}: expected a matrix", shape=tuple(dense.shape))


def _converted(sparse: Tensor) -> BlockSparseMatrix:
    return BlockSparseMatrix.from_block_coo(sparse.detach().coalesce())


def _reblocked(a: BlockSparseMatrix) -> BlockSparseMatrix:
    """In blocks that the chip has a codelet for: the largest size that divides a's."""
    return a.reblock(max(b for b in BLOCK_SIZES if a.block_size % b == 0))


def _check_operands(sparse: Tensor, mode: str) -> None:
    if mode not in MODES:
        raise PlanError(f"mode {mode!r} is unknown: expected {' or '.join(map(repr, MODES))}")
    if str(sparse.layout) != "torch.sparse_coo" or (sparse.sparse_dim(), sparse.dense_dim()) != (2, 2):
        raise FormatError(
            "expected a torch.sparse_coo tensor (mb, kb, b, b) with 2 sparse and 2 dense dimensions, got "
            f"{sparse.layout} of shape {tuple(sparse.shape)}: magnitude_prune makes one"
        )
