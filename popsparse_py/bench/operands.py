"""What the timed products are made of: a shape, and random operands of it in the forms that libraries take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np

from popsparse_planner.pattern import BlockPattern

from ..backends.host_arrays import empty_like
from ..formats import BlockSparseMatrix

PRODUCTS = ("forward", "transposed", "sampled", "linear")
DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Shape:
    """A product of W (m, k) in uniform random blocks, n columns.

    product: forward W X, transposed W^T dY, sampled dY X^T at the blocks of W, linear X W^T with a row for each of n
    samples; dtype: of all operands and the result.
    """

    m: int
    k: int
    n: int
    block_size: int
    density: Fraction
    product: str = "forward"
    dtype: str = "float32"

    @property
    def nnz(self) -> int:
        """Nonzero elements."""
        return round(self.density * (self.m // self.block_size) * (self.k // self.block_size)) * self.block_size**2

    @property
    def flops(self) -> int:
        """2 * nonzeros * n."""
        return 2 * self.nnz * self.n

    @property
    def is_plain(self) -> bool:
        """Whether it is the forward product of float32."""
        return (self.product, self.dtype) == ("forward", "float32")

    def plain(self) -> Shape:
        """The forward product of float32 of the same size."""
        return replace(self, product="forward", dtype="float32")


@dataclass(frozen=True)
class Operands:
    """a: what multiplies `right`, W or its transpose; dense: the same, float32.

    right: x, or dy of a transposed product; left: dy of a sampled product, whose right is x. Dense operands begin on
    cache lines; float32 and float16 in NumPy arrays, bfloat16 in tensors.
    """

    shape: Shape
    w: BlockSparseMatrix
    a: BlockSparseMatrix
    dense: np.ndarray  # shape of a
    right: Any  # (columns of a, n); linear: (n, k)
    left: Any  # (m, n)

    def result(self) -> Any:
        """A place for the dense result, its memory touched."""
        m, n = self.a.shape[0], self.shape.n
        result = empty_like((n, m) if self.shape.product == "linear" else (m, n), self.shape.dtype, self.right)[0]
        result[:] = 0
        return result


def operands(shape: Shape, seed: int = 0) -> Operands:
    """Random operands of a shape."""
    rng = np.random.default_rng(seed)
    pattern = BlockPattern.random((shape.m, shape.k), density=shape.density, block_size=shape.block_size, seed=seed)
    values = rng.standard_normal((pattern.nnz_blocks, shape.block_size, shape.block_size), dtype=np.float32)
    w = BlockSparseMatrix(pattern, _of_dtype(values, shape.dtype))
    a = w.T if shape.product == "transposed" else w
    x, dy = (rng.standard_normal((rows, shape.n), dtype=np.float32) for rows in (shape.k, shape.m))
    right = dy if shape.product == "transposed" else np.ascontiguousarray(x.T) if shape.product == "linear" else x
    wide = BlockSparseMatrix(a.pattern, a.values if shape.dtype == "float32" else _widened(a.values))
    return Operands(
        shape, w, a, _of_dtype(wide.to_dense(), "float32"), *(_of_dtype(d, shape.dtype) for d in (right, dy))
    )


def exact(data: Operands) -> np.ndarray:
    """The product in float64; of a sampled one all of dY X^T."""
    right = _widened(data.right).astype(np.float64)
    if data.shape.product == "sampled":
        return np.asarray(_widened(data.left).astype(np.float64) @ right.T)
    product = data.dense.astype(np.float64) @ (right.T if data.shape.product == "linear" else right)
    return np.asarray(product.T if data.shape.product == "linear" else product)


def _of_dtype(array: np.ndarray, dtype: str) -> Any:
    """A copy that begins on a cache line; a tensor if it is bfloat16."""
    if dtype == "bfloat16":
        return import_module("torch").from_numpy(np.ascontiguousarray(array)).bfloat16()
    copy = empty_like(array.shape, dtype, array)[1]
    copy[:] = array
    return copy


def _widened(array: Any) -> np.ndarray:
    return np.asarray(array.float() if hasattr(array, "float") else array, dtype=np.float32)
