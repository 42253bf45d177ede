"""BlockSparseMatrix: a block pattern and the values of its blocks."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from popsparse_planner.errors import DTypeError, FormatError, ShapeError, TargetUnavailableError
from popsparse_planner.pattern import BlockPattern

from . import block_coo, blocks, convert_scipy, convert_torch, files, prune
from .arrays import dtype_name, is_tensor, take, to_numpy
from .checks import VALUE_DTYPES, checked_density, checked_dtype, checked_finite
from .reblock import reblock

Product = Callable[["BlockSparseMatrix", Any], Any]
_ROOT_PACKAGE = __name__.split(".")[0]
_product: Optional[Product] = None


def set_product(product: Product) -> None:
    """Name the function that `a @ x` calls: product(a, x (k, n)) -> y (m, n).

    Products stand above formats, which therefore cannot import them: the module that has them registers here when it is
    imported, and the operator imports the package's front door (`popsparse_py.spmm`, loaded on use) if none has yet.
    """
    global _product
    _product = product


def _registered_product() -> Product:
    if _product is None:
        getattr(import_module(_ROOT_PACKAGE), "spmm", None)
    if _product is None:
        raise TargetUnavailableError(f"no product is registered: this installation has no {_ROOT_PACKAGE}.spmm")
    return _product


class BlockSparseMatrix:
    """W (m, k) of which only the blocks of `pattern` are stored; all others are exactly 0.

    values: (nnz_blocks, b, b) in the pattern's row-major order, float16, float32 or float64: a NumPy array, seen
    through a read-only view, or a torch tensor (also bfloat16), kept as it is. What lies in the padding of a ragged
    shape is ignored.
    Raises ShapeError, DTypeError, and FormatError for NaN or infinite NumPy values (a tensor is checked where it is
    converted, not here: it may live on an accelerator or belong to a training step).
    The object also owns what products keep for it (compiled plans, packed values); `invalidate()` drops that.
    """

    __array_ufunc__ = None  # so that `array @ a` reaches __rmatmul__

    def __init__(self, pattern: BlockPattern, values: Any) -> None:
        if not isinstance(pattern, BlockPattern):
            raise FormatError(f"pattern must be a BlockPattern, got {type(pattern).__name__}")
        self._pattern = pattern
        self._values = _checked_values(pattern, values)
        self._kernels: Dict[Any, Any] = {}
        self._transpose: Optional[Tuple[BlockSparseMatrix, Any]] = None
        self._origin: Optional[BlockSparseMatrix] = None

    @classmethod
    def from_dense(
        cls,
        w: Any,  # (m, k)
        block_size: int = 16,
        *,
        density: Any = None,
        criterion: str = "l2",
        pad: bool = True,
    ) -> BlockSparseMatrix:
        """The blocks of a dense w that hold a nonzero, or its round(density*mb*kb) largest by criterion l2, l1 or linf.

        w: NumPy array (or what becomes one) or torch tensor (gradients flow through). pad=False refuses ragged m, k.
        Raises ShapeError, DTypeError, FormatError (NaN, infinite), PatternError (block size, density, criterion).
        """
        return cls(*prune.from_dense(w, block_size, density, criterion, pad))

    @classmethod
    def from_torch(cls, t: Any, block_size: Optional[int] = None) -> BlockSparseMatrix:
        """From a torch tensor of any layout; see convert_torch.from_torch."""
        return cls(*convert_torch.from_torch(t, block_size))

    @classmethod
    def from_scipy(cls, a: Any, block_size: Optional[int] = None) -> BlockSparseMatrix:
        """From a scipy sparse matrix in bsr, csr, csc or coo; see convert_scipy.from_scipy."""
        return cls(*convert_scipy.from_scipy(a, block_size))

    @classmethod
    def from_block_coo(cls, t4d: Any, shape: Optional[Tuple[int, int]] = None) -> BlockSparseMatrix:
        """From a sparse_coo tensor (mb, kb, b, b) or triple (indices, values, size); see block_coo.from_block_coo."""
        return cls(*block_coo.from_block_coo(t4d, shape))

    @classmethod
    def load(
        cls, path: files.PathLike, tensor: Optional[str] = None, *, block_size: Optional[int] = None
    ) -> BlockSparseMatrix:
        """From an npz, npy, safetensors or mtx file; see files.load."""
        return cls(*files.load(path, tensor, block_size))

    def save(self, path: files.PathLike, *, tensor: str = files.DEFAULT_TENSOR) -> None:
        """Write to an npz, safetensors, npy (dense) or mtx file, which appears whole or not at all; see files.save."""
        files.save(self._pattern, self._values, path, tensor)

    @property
    def pattern(self) -> BlockPattern:
        """Where the blocks lie."""
        return self._pattern

    @property
    def values(self) -> Any:
        """(nnz_blocks, b, b); assigning new ones, of the same shape, drops what products have kept."""
        return self._values

    @values.setter
    def values(self, values: Any) -> None:
        self._values = _checked_values(self._pattern, values)
        self.invalidate()

    @property
    def shape(self) -> Tuple[int, int]:
        """(m, k) without padding."""
        return self._pattern.shape

    @property
    def block_size(self) -> int:
        """b."""
        return self._pattern.block_size

    @property
    def dtype(self) -> str:
        """Name of the element type, whichever library holds the values: "float16", "float32", "float64", "bfloat16"."""
        return dtype_name(self._values)

    @property
    def nnz(self) -> int:
        """Number of stored values, nnz_blocks * b * b, padding included."""
        return self._pattern.nnz

    @property
    def density(self) -> float:
        """Stored blocks / all blocks."""
        return self._pattern.density

    @property
    def T(self) -> BlockSparseMatrix:
        """The transpose (k, m), values copied; the same object each time until the values change or `invalidate()`."""
        if self._transpose is None or self._transpose[0].values is not self._transpose[1]:
            other = BlockSparseMatrix(*blocks.transposed(self._pattern, self._values))
            other._origin = self
            self._transpose = (other, other.values)
        return self._transpose[0]

    @property
    def transpose_of(self) -> Optional[BlockSparseMatrix]:
        """The matrix whose `T` this is, as long as neither has got other values since; else None."""
        origin = self._origin
        if origin is None or origin._transpose is None or origin._transpose[0] is not self:
            return None
        return origin if origin._transpose[1] is self._values else None

    def invalidate(self) -> None:
        """Drop what products have kept for this matrix. Call it after writing into the values in place."""
        self._kernels.clear()
        self._transpose = None

    def crow_indices(self) -> np.ndarray:
        """int64 [mb + 1]: the blocks of block row r are crow_indices[r] to crow_indices[r + 1]."""
        return self._pattern.row_offsets()

    def col_indices(self) -> np.ndarray:
        """int32 [nnz_blocks]: the block column of each block."""
        return self._pattern.cols

    def to_dense(self) -> Any:
        """(m, k) in the library of the values: dropped blocks are exactly 0, padding is cut off."""
        return blocks.to_dense(self._pattern, self._values)

    def to_torch(self, layout: Any = "bsr") -> Any:
        """A torch tensor in layout "bsr", "csr", "coo", "block_coo" or "dense"; see convert_torch.to_torch."""
        return convert_torch.to_torch(self._pattern, self._values, layout)

    def to_scipy(self, layout: str = "bsr") -> Any:
        """A scipy sparse array in format "bsr", "csr" or "coo"; see convert_scipy.to_scipy."""
        return convert_scipy.to_scipy(self._pattern, self._values, layout)

    def to_block_coo(self) -> Any:
        """4-D block COO: a sparse_coo tensor if the values are a tensor, else (indices, values, size)."""
        return block_coo.to_block_coo(self._pattern, self._values)

    def reblock(self, block_size: int) -> BlockSparseMatrix:
        """The same matrix in blocks of block_size (>= 1, else PatternError); a block with a stored entry is stored."""
        return BlockSparseMatrix(*reblock(self._pattern, self._values, block_size))

    def astype(self, dtype: Any) -> BlockSparseMatrix:
        """The same matrix with values of dtype (a name, NumPy dtype or torch dtype), rounded to nearest.

        Raises DTypeError for an unsupported dtype, FormatError if a value is too large for it.
        """
        name = _name_of(dtype)
        if is_tensor(self._values):
            torch = import_module("torch")
            narrow = self._values.to(getattr(torch, name))
        else:
            with np.errstate(over="ignore"):
                narrow = self._values.astype(name)
        grown = np.isfinite(to_numpy(self._values)) & ~np.isfinite(to_numpy(narrow))
        if grown.any():
            first = np.unravel_index(int(grown.argmax()), grown.shape)
            value = float(to_numpy(take(self._values, *(np.array([i]) for i in first)))[0])
            raise FormatError(f"value {value:g} does not fit {name}, which ends at {np.finfo(name).max:g}: scale first")
        return BlockSparseMatrix(self._pattern, narrow)

    def __matmul__(self, x: Any) -> Any:
        """y (m, n) = W x, x (k, n), or (m) for x (k): `popsparse_py.spmm(self, x)`."""
        return _registered_product()(self, x)

    def __rmatmul__(self, x: Any) -> Any:
        """y (n, k) = x W, x (n, m), or (k) for x (m): the product of the transpose."""
        y = _registered_product()(self.T, x.T if x.ndim > 1 else x)
        return y.T if y.ndim > 1 else y

    def __reduce__(self) -> Any:
        return (BlockSparseMatrix, (self._pattern, self._values))

    def __repr__(self) -> str:
        (m, k), (mb, kb) = self.shape, self._pattern.block_grid
        return (
            f"BlockSparseMatrix({m} x {k}, block_size {self.block_size}, {self._pattern.nnz_blocks} of {mb * kb} "
            f"blocks (density {self.density:.4g}), {self.dtype})"
        )


def magnitude_prune(w: Any, block_size: int, density: Any, *, ord: Any = 2) -> BlockSparseMatrix:
    """The round(density*mb*kb) blocks of the dense w (m, k) whose norm of order `ord` (1, 2 or infinity) is largest.

    Of equal norms the first in row-major order stays. density: in (0, 1]. Raises as BlockSparseMatrix.from_dense.
    """
    criterion = {1: "l1", 2: "l2", float("inf"): "linf"}.get(ord, f"ord={ord!r}")
    return BlockSparseMatrix.from_dense(w, block_size, density=checked_density(density), criterion=criterion)


def _checked_values(pattern: BlockPattern, values: Any) -> Any:
    """`values`, or a read-only view of them, if they fit the pattern."""
    array = values if is_tensor(values) else np.asarray(values)
    expected = (pattern.nnz_blocks, pattern.block_size, pattern.block_size)
    if tuple(array.shape) != expected:
        raise ShapeError(
            f"values have shape {tuple(array.shape)}, expected {expected}: the pattern has {expected[0]} blocks of "
            f"{expected[1]} x {expected[2]}",
            expected=expected,
        )
    array = checked_dtype(array, "values")
    if is_tensor(array):
        return array
    checked_finite(array, "values")
    view = array.view()
    view.setflags(write=False)
    return view


def _name_of(dtype: Any) -> str:
    try:
        name = str(dtype)[len("torch.") :] if str(dtype).startswith("torch.") else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in VALUE_DTYPES:
        raise DTypeError(f"dtype {name} is not supported: expected one of {', '.join(VALUE_DTYPES)}", dtype=name)
    return name
