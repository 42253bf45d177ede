"""Products of block-sparse matrices: Y (m, n) = W x, on whichever target is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any, Dict, Iterator, Optional, Tuple, Union

import numpy as np

from popsparse_planner.cpu_plan import CpuPlan
from popsparse_planner.cuda_plan import CudaPlan
from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.errors import DTypeError, PlanError, TargetUnavailableError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.plan import StaticPlan
from popsparse_planner.problem import DTYPES, column_grain
from popsparse_planner.search import plan_static

from . import host
from .backends.base import Backend, Kernel, Result, check_x_shape
from .backends.cpu import CpuBackend
from .backends.cuda import CudaBackend
from .backends.cuda_tensors import is_on_device
from .backends.ipu_model import IpuModelBackend
from .dynamic_ops import dynamic_product, sampled_product
from .formats import BlockSparseMatrix, set_product
from .formats.arrays import dtype_name, is_tensor, to_numpy

__all__ = ["Result", "get_num_threads", "linear", "run", "sddmm", "set_num_threads", "spmm", "targets", "use_target"]

AnyPlan = Union[StaticPlan, DynamicPlan, CpuPlan, CudaPlan]

_IN_PLACE = (CpuBackend, CudaBackend)  # take operands as they are, see host.py

KERNELS_KEPT = 4  # compiled products that a matrix keeps, the most recently used

_target: ContextVar[str] = ContextVar("popsparse_target", default="auto")
_threads: ContextVar[int] = ContextVar("popsparse_threads", default=0)


def _backends() -> Dict[str, Any]:
    """Every backend of this installation, in the order in which "auto" asks them; it leaves out "cuda"."""
    return {**_backends_of(_threads.get()), "cuda": CudaBackend()}


@lru_cache(maxsize=64)  # they hold nothing but their settings, and small products are over before new ones are made
def _backends_of(threads: int) -> Dict[str, Any]:
    return {"cpu": CpuBackend(threads), "ipu_model": IpuModelBackend(threads)}


def targets() -> Dict[str, Optional[str]]:
    """Every target by name: None if it can be used here, else why not and what to do."""
    return {name: backend.why_unavailable() for name, backend in _backends().items()}


@contextmanager
def use_target(name: str) -> Iterator[None]:
    """Within the `with` block, target="auto" means `name`; in this thread or task only."""
    _chosen_backend(name)
    token = _target.set(name)
    try:
        yield
    finally:
        _target.reset(token)


def set_num_threads(num_threads: int) -> None:
    """Threads of this computer for products compiled from now on in this thread or task; 0: one per core."""
    if int(num_threads) != num_threads or num_threads < 0:
        raise ValueError(f"num_threads must be a whole number of at least 0, got {num_threads!r}")
    _threads.set(int(num_threads))


def get_num_threads() -> int:
    """What set_num_threads said last; 0: one per core."""
    return _threads.get()


def spmm(
    a: BlockSparseMatrix,
    x: Any,
    *,
    plan: Optional[AnyPlan] = None,
    target: str = "auto",
    out_dtype: Optional[str] = None,
    out: Any = None,
) -> Any:
    """Y (m, n) = a x for x (k, n), or Y (m) for x (k), of a's dtype; a NumPy array, or a torch tensor if x is one.

    No gradient flows through it.
    plan: of a's pattern and x's n; None makes one. The compiled plan and the packed values stay on `a` until its values
    change or `a.invalidate()`. A dynamic plan keeps its compiled kernel itself and loads `a` where that is not loaded;
    planned with grad_input, it serves `b.T` from the buckets of b. out_dtype: of the result; None keeps a's. out: where
    to put it (target "cpu" only). target: one of `targets()`; "auto" is the one that `plan` is for, else what
    `use_target` says, else the GPU on which x lies, else the first that can be used. On that GPU "auto" multiplies by a
    dense copy of W where this is predicted to take less time, and warns (DenseIsFasterWarning). "cpu" multiplies
    float32, float16 and (tensors) bfloat16, sums in float32, and takes x as it lies, any strides. Raises ShapeError,
    DTypeError, PlanError (no plan, or one of another pattern), CapacityError (too many blocks for a dynamic plan),
    TileMemoryError, TargetUnavailableError.
    """
    target = _target_of(plan, target)
    backend, _ = _chosen_backend(target, x)
    if isinstance(backend, _IN_PLACE):
        return host.multiply(backend, a, _array(x), plan, out_dtype, out)
    if out is not None:
        raise PlanError(f"out is for target 'cpu': {backend.name} makes its own results")
    return _product(a, x, plan, target, out_dtype).y


def linear(
    x: Any,
    a: BlockSparseMatrix,
    bias: Any = None,
    *,
    plan: Optional[AnyPlan] = None,
    target: str = "auto",
    activation: str = "none",
) -> Any:
    """Y (..., m) = activation(x a^T + bias) for x (..., k), PyTorch's orientation; bias (m) or None.

    activation: "none", "relu" or "gelu" (the exact one, by erf). On "cpu" one pass does it all. Raises as spmm.
    """
    target = _target_of(plan, target)
    backend, _ = _chosen_backend(target, x)
    x = _array(x)
    if isinstance(backend, _IN_PLACE):
        return host.linear(backend, x, a, bias, plan, activation)
    if activation != "none":
        raise PlanError(f"activation {activation!r} is for target 'cpu': use 'none' on {backend.name}")
    rows = x.reshape(-1, x.shape[-1])
    y = _product(a, rows.T, plan, target, None).y.T.reshape((*x.shape[:-1], a.shape[0]))
    return y if bias is None else y + bias


def sddmm(
    pattern: Union[BlockPattern, BlockSparseMatrix],
    dy: Any,  # (m, n)
    x: Any,  # (k, n)
    *,
    plan: Optional[DynamicPlan] = None,
    target: str = "auto",
    out: Any = None,
) -> Any:
    """values (nnz_blocks, b, b) of dy x^T at the blocks of the pattern: the gradient of W's values in Y = W X.

    A NumPy array, or a torch tensor if x is one; what lies beyond a ragged shape is 0. plan: a dynamic one with
    grad_weight, of the pattern's shape and x's n (target "ipu_model"); None makes one where it is needed. out: where to
    put the values (target "cpu" only).
    Raises ShapeError, DTypeError, PlanError, CapacityError, TileMemoryError, TargetUnavailableError.
    """
    backend, _ = _chosen_backend(_target_of(plan, target), x)
    if isinstance(backend, _IN_PLACE):
        return host.sampled(backend, pattern, _array(dy), _array(x), out)
    if out is not None:
        raise PlanError(f"out is for target 'cpu': {backend.name} makes its own results")
    blocks = pattern.pattern if isinstance(pattern, BlockSparseMatrix) else pattern
    values = sampled_product(blocks, _as_numpy(dy), _as_numpy(x), plan, backend, _threads.get()).y
    return _like(x, np.ascontiguousarray(values))


def run(plan: AnyPlan, a: BlockSparseMatrix, x: Any, *, target: Optional[str] = None) -> Result:
    """Result(y, trace) of Y = a x by `plan`: like spmm, with what is known about the run.

    target: None is the one that the plan is for.
    """
    target = _target_of(plan, "auto") if target is None else target
    backend, chosen = _chosen_backend(target, x)
    if isinstance(backend, _IN_PLACE):
        y, trace = host.multiply_traced(backend, a, _array(x), plan)
        return Result(y, replace(trace, chosen=chosen))
    return _product(a, x, plan, target, None)


def _product(a: BlockSparseMatrix, x: Any, plan: Any, target: str, out_dtype: Optional[str]) -> Result:
    if out_dtype is not None and out_dtype not in DTYPES:
        raise DTypeError(f"out_dtype {out_dtype!r} is not supported: expected {' or '.join(DTYPES)}", dtype=out_dtype)
    backend, chosen = _chosen_backend(target)
    array = _as_numpy(x)
    is_vector = array.ndim == 1
    matrix = array[:, None] if is_vector else array
    check_x_shape(*a.shape, matrix.shape)
    columns = matrix.shape[1]
    if isinstance(plan, DynamicPlan):
        y, trace = dynamic_product(plan, a, matrix, backend, _threads.get())
    else:
        kernel = _kernel(a, backend, plan, columns)
        y, trace = kernel.run(matrix if plan is not None else _padded(matrix, kernel.plan.problem.n))
    y = y[:, 0] if is_vector else y[:, :columns]
    if out_dtype is not None:
        y = y.astype(out_dtype)
    return Result(_like(x, np.ascontiguousarray(y)), replace(trace, chosen=chosen))


def _target_of(plan: Optional[AnyPlan], target: str) -> str:
    """`target`, or where that is "auto" the target of `plan`; else "auto" stays."""
    if target != "auto" or plan is None:
        return target
    return "cpu" if isinstance(plan, CpuPlan) else "cuda" if isinstance(plan, CudaPlan) else "ipu_model"


def _chosen_backend(target: str, x: Any = None) -> Tuple[Any, str]:
    """The backend that `target` means for x and why; TargetUnavailableError if it is unknown or cannot be used.

    "auto" follows a tensor to its GPU, and may use a dense copy of W there.
    """
    chosen = "asked for"
    backends = _backends()
    if target == "auto":
        target = _target.get()
        chosen = "use_target"
    if x is not None and target in ("auto", "cuda") and is_on_device(x):
        backends["cuda"] = CudaBackend(ordinal=x.device.index or 0, may_use_dense=target == "auto")
        target, chosen = "cuda", chosen if target == "cuda" else "auto: x lies there"
    if target == "auto":
        asked = [name for name in backends if name != "cuda"]
        usable = next((name for name in asked if backends[name].why_unavailable() is None), None)
        if usable is None:
            reasons = (f"{name}: {backends[name].why_unavailable()}" for name in asked)
            raise TargetUnavailableError("no target can be used: " + "; ".join(reasons))
        return backends[usable], f"auto: the first available of {', '.join(asked)}"
    if target not in backends:
        raise TargetUnavailableError(f"target {target!r} is unknown here: expected auto, {', '.join(backends)}")
    reason = backends[target].why_unavailable()
    if reason is not None:
        raise TargetUnavailableError(f"target {target!r} cannot be used: {reason}")
    return backends[target], chosen


def _kernel(a: BlockSparseMatrix, backend: Backend, plan: Any, columns: int) -> Kernel:
    """The kernel of `plan`, or of a plan for `columns` columns, with a's values loaded; kept on `a`."""
    if plan is None and a.dtype not in DTYPES:
        raise DTypeError(f'a has dtype {a.dtype}: expected float16 or float32, use a.astype("float16")', dtype=a.dtype)
    n = columns if plan is not None else -(-columns // column_grain(a.dtype)) * column_grain(a.dtype)
    which = ("n", n) if plan is None else ("plan", id(plan))  # a kept kernel keeps its plan alive
    key = (backend.name, _threads.get(), *which)
    kept = a._kernels
    kernel: Optional[Kernel] = kept.pop(key, None)
    if kernel is None:
        kernel = backend.compile(plan or _plan(a, n))
        kernel.load(a)
    kept[key] = kernel
    while len(kept) > KERNELS_KEPT:
        kept.pop(next(iter(kept)), None)
    return kernel


def _plan(a: BlockSparseMatrix, n: int) -> StaticPlan:
    plan = plan_static(a.pattern, n, dtype=a.dtype)
    if plan.partition is None:
        raise PlanError(f"no plan for {a!r} and n = {n}: {plan.reason}")
    return plan


def _padded(x: np.ndarray, n: int) -> np.ndarray:
    """x (k, n) with zero columns up to n."""
    if x.shape[1] == n:
        return x
    wide = np.zeros((x.shape[0], n), dtype=x.dtype)
    wide[:, : x.shape[1]] = x
    return wide


def _array(x: Any) -> Any:
    """x itself if it is a tensor or an array, else an array of it."""
    return x if is_tensor(x) else np.asarray(x)


def _as_numpy(x: Any) -> np.ndarray:
    if is_tensor(x) and dtype_name(x) not in DTYPES:  # NumPy knows fewer types than torch
        raise DTypeError(f"x has dtype {dtype_name(x)}: expected {' or '.join(DTYPES)}, that of W", dtype=dtype_name(x))
    return np.asarray(to_numpy(x))


def _like(x: Any, y: np.ndarray) -> Any:
    """y as x's library and device hold it."""
    return import_module("torch").from_numpy(y).to(x.device) if is_tensor(x) else y


set_product(spmm)
