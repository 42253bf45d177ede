"""Products for target="cpu" and "cuda": operands as they lie, kernels with packed values kept on the matrix."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Optional, Tuple, Union

import numpy as np

from popsparse_planner.cpu_plan import CpuPlan
from popsparse_planner.cuda_plan import CudaPlan
from popsparse_planner.errors import DTypeError, PlanError, ShapeError
from popsparse_planner.pattern import BlockPattern

from .backends.base import Result, check_x_shape
from .backends.cpu import CpuBackend, CpuKernel, checked_out, native_pattern
from .backends.cuda import CudaBackend, CudaKernel
from .backends.cuda_dense import DenseCopy, warn_of_dense
from .backends.host_arrays import HOST_DTYPES, empty_like, host_view
from .formats import BlockSparseMatrix

HostBackend = Union[CpuBackend, CudaBackend]

KERNELS_KEPT = 6  # packed copies of its values that a matrix keeps, the most recently used
_NARROWEST = 16  # columns; products with fewer share a plan
_LOWEST_BY_ROWS = 4  # block size from which rows of samples may have their own plan: lanes of the narrowest vectors


def multiply(
    backend: HostBackend,
    a: BlockSparseMatrix,
    x: Any,  # (k, n) or (k)
    plan: Any,  # CpuPlan or CudaPlan, or None to make one
    out_dtype: Optional[str],
    out: Any,
) -> Any:
    """y (m, n) or (m) = a x."""
    check_out_dtype(out_dtype)
    if len(x.shape) == 1:
        column = kernel_of(backend, a, 1, plan, by_rows=True, x=x).multiply(x[:, None], None, "none", out_dtype)
        return column[:, 0] if out is None else _copied(out, column[:, 0])
    check_x_shape(*a.shape, tuple(x.shape))
    by_rows = x.shape[1] == 1  # a column is a row too
    return kernel_of(backend, a, x.shape[1], plan, by_rows=by_rows, x=x).multiply(x, None, "none", out_dtype, out)


def multiply_traced(backend: HostBackend, a: BlockSparseMatrix, x: Any, plan: Any) -> Result:
    """Result of a x (k, n) by `plan`."""
    check_x_shape(*a.shape, tuple(x.shape))
    kernel = kernel_of(backend, a, x.shape[1], plan)
    assert not isinstance(kernel, DenseCopy)  # only takes the place of plans that nobody asked for
    return kernel.run(x)


def linear(
    backend: HostBackend,
    x: Any,  # (..., k)
    a: BlockSparseMatrix,
    bias: Any,
    plan: Any,  # CpuPlan or CudaPlan, or None to make one
    activation: str,
) -> Any:
    """y (..., m) = activation(x a^T + bias)."""
    if len(x.shape) == 0 or x.shape[-1] != a.shape[1]:
        raise ShapeError(f"x has shape {tuple(x.shape)}: expected (..., {a.shape[1]}), as a is {a.shape}")
    rows = x.reshape(-1, a.shape[1])
    if rows.shape[0] == 0:
        raise ShapeError(f"x has shape {tuple(x.shape)}: expected at least one row")
    y = kernel_of(backend, a, rows.shape[0], plan, by_rows=True, x=x).multiply_rows(rows, bias, activation)
    return y.reshape((*x.shape[:-1], a.shape[0]))


def sampled(
    backend: HostBackend, pattern: Union[BlockPattern, BlockSparseMatrix], dy: Any, x: Any, out: Any = None
) -> Any:
    """values (nnz_blocks, b, b) = dy x^T at the blocks of the pattern, of dy's dtype."""
    places = pattern.pattern if isinstance(pattern, BlockSparseMatrix) else pattern
    if isinstance(backend, CudaBackend):
        return backend.sampled(places, dy, x, out)
    left, right = host_view(dy, "dy"), host_view(x, "x")
    m, k = places.shape
    if (
        left.ndim != 2
        or right.ndim != 2
        or (left.shape[0], right.shape[0]) != (m, k)
        or left.shape[1] != right.shape[1]
    ):
        raise ShapeError(f"dy has shape {left.shape} and x {right.shape}: expected ({m}, n) and ({k}, n)")
    if left.dtype != right.dtype:
        raise DTypeError(f"dy has dtype {left.dtype} and x {right.dtype}: expected the same", dtype=right.dtype.name)
    dtype = "bfloat16" if left.dtype == np.uint16 else left.dtype.name
    shape = (places.nnz_blocks, places.block_size, places.block_size)
    values, memory = empty_like(shape, dtype, dy) if out is None else (out, checked_out(out, shape))
    flops = 2 * places.nnz * left.shape[1]
    threads = max(1, min(backend.threads, flops // 2**20))
    import_module("popsparse_py._core").cpu_sample(_kept_pattern(places), left, right, memory, threads, backend.tier)
    return values


def kernel_of(
    backend: HostBackend,
    a: BlockSparseMatrix,
    n: int,
    plan: Any,
    *,
    transposed: bool = False,
    by_rows: bool = False,
    x: Any = None,
) -> Union[CpuKernel, CudaKernel, DenseCopy]:
    """The kernel of `plan`, or of one for about n columns, with a's values packed; kept on `a`.

    by_rows: it will get rows of samples, as in PyTorch. Values that a tensor was given in place since are packed anew.
    x: what it will be given, whose device a dense copy is made for.
    """
    about = max(_NARROWEST, 1 << (n - 1).bit_length()) if plan is None else id(plan)
    by_rows &= plan is None and (about > 1 if isinstance(backend, CudaBackend) else a.block_size >= _LOWEST_BY_ROWS)
    key = (backend.name, backend.tier, backend.threads, *_place_of(backend), about, transposed, by_rows)
    values = a.values
    version = getattr(values, "_version", 0)
    kept = a._kernels
    kernel, packed = kept.pop(key, (None, None))
    if kernel is None or packed != version:
        if kernel is None:
            made: Any = plan or _plan(backend, a, about, transposed, by_rows)
            kernel = _compiled(backend, made, transposed, x if plan is None else None)
        kernel.load(a)
    kept[key] = (kernel, version)
    while len(kept) > KERNELS_KEPT:
        kept.pop(next(iter(kept)), None)
    return kernel


def _place_of(backend: HostBackend) -> Tuple[int, bool]:
    """Which GPU, and whether a dense copy may be used there."""
    return (backend.ordinal, backend.may_use_dense) if isinstance(backend, CudaBackend) else (0, False)


def _compiled(backend: HostBackend, plan: Any, transposed: bool, x: Any) -> Union[CpuKernel, CudaKernel, DenseCopy]:
    """The kernel of a plan, or where the backend may and the plan says that it is faster, a dense copy for x."""
    if isinstance(backend, CudaBackend) and backend.may_use_dense and x is not None and plan.dense_is_faster:
        warn_of_dense(plan, stacklevel=5)  # the caller of spmm or linear
        return DenseCopy(plan, x)
    return backend.compile(plan, transposed=transposed)


def check_out_dtype(out_dtype: Optional[str]) -> None:
    """DTypeError unless out_dtype is None or a type that results can have."""
    if out_dtype is not None and out_dtype not in HOST_DTYPES:
        expected = ", ".join(HOST_DTYPES)
        raise DTypeError(f"out_dtype {out_dtype!r} is not supported: expected one of {expected}", dtype=out_dtype)


def _plan(
    backend: HostBackend, a: BlockSparseMatrix, n: int, transposed: bool, by_rows: bool
) -> Union[CpuPlan, CudaPlan]:
    return backend.plan(a.pattern, n, a.dtype, transposed=transposed, by_rows=by_rows)


def _kept_pattern(pattern: BlockPattern) -> Any:
    """The native form of a pattern, kept on it: patterns never change."""
    kept = pattern.__dict__.get("_native")
    if kept is None:
        kept = pattern.__dict__["_native"] = native_pattern(pattern)
    return kept


def _copied(out: Any, y: Any) -> Any:
    if tuple(out.shape) != tuple(y.shape):
        raise PlanError(f"out has shape {tuple(out.shape)}: expected {tuple(y.shape)}")
    out[...] = y
    return out
