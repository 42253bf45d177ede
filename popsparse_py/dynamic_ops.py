"""Products by dynamic plans: one compiled kernel for each plan, whatever matrices are multiplied."""

from __future__ import annotations

import threading
from typing import Any, Optional

import numpy as np

from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.dynamic_search import plan_dynamic
from popsparse_planner.errors import DTypeError, PlanError, ShapeError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import DTYPES, PlanOptions, column_grain

from .backends.base import Backend, Result
from .backends.ipu_model_dynamic import DynamicKernel
from .formats import BlockSparseMatrix

_compiling = threading.Lock()


def dynamic_kernel(plan: DynamicPlan, backend: Backend, threads: int) -> DynamicKernel:
    """The compiled kernel of a plan, which the plan keeps; raises as Backend.compile."""
    key = (backend.name, threads)
    with _compiling:
        if key not in plan.kept:
            kernel = backend.compile(plan)
            if not isinstance(kernel, DynamicKernel):
                raise PlanError(f"target {backend.name!r} does not run dynamic plans: use target='ipu_model'")
            plan.kept[key] = kernel
        kept: DynamicKernel = plan.kept[key]
    return kept


def dynamic_product(
    plan: DynamicPlan, a: BlockSparseMatrix, x: np.ndarray, backend: Backend, threads: int
) -> Result:  # x: (columns of a, n)
    """a x: a is loaded if it is not, and its transpose is served from the buckets of the matrix that `a.T` came from.

    Raises PlanError, ShapeError, PatternError, CapacityError, DTypeError; what was loaded before then stays in force.
    """
    kernel = dynamic_kernel(plan, backend, threads)
    origin = a.transpose_of
    shape = (plan.problem.m, plan.problem.k)
    if origin is not None and origin.shape == shape and plan.options.grad_input:
        return kernel.product(origin, x, transposed=True)
    if origin is not None and a.shape != shape and origin.shape == shape:
        raise PlanError(
            f"a is the transpose of a {shape} matrix and the plan has no grad_input pass: plan with "
            "options=PlanOptions(grad_input=True)"
        )
    return kernel.product(a, x)


def sampled_product(
    pattern: BlockPattern,
    dy: np.ndarray,  # (m, n)
    x: np.ndarray,  # (k, n)
    plan: Optional[DynamicPlan],
    backend: Backend,
    threads: int,
) -> Result:
    """dY X^T at the blocks of `pattern`: (nnz_blocks, b, b) and the trace; plan None: one for this pattern is made."""
    if x.dtype.name not in DTYPES or dy.dtype != x.dtype:
        raise DTypeError(f"dy and x must both be float16 or float32, got {dy.dtype} and {x.dtype}", dtype=x.dtype.name)
    m, k = pattern.shape
    if dy.ndim != 2 or x.ndim != 2 or dy.shape[0] != m or x.shape[0] != k or dy.shape[1] != x.shape[1]:
        raise ShapeError(
            f"expected dy ({m}, n) and x ({k}, n) for a pattern of shape {(m, k)}, got {dy.shape}, {x.shape}"
        )
    if not pattern.nnz_blocks:
        raise PlanError("the pattern has no blocks: there is nothing to sample")
    made = plan or _weight_plan(pattern, x)
    columns = made.problem.n
    if plan is None:
        dy, x = (_widened(operand, columns) for operand in (dy, x))
    return dynamic_kernel(made, backend, threads).sampled(pattern, dy, x)


def _weight_plan(pattern: BlockPattern, x: np.ndarray) -> DynamicPlan:
    (m, k), dtype = pattern.shape, x.dtype.name
    n = -(-x.shape[1] // column_grain(dtype)) * column_grain(dtype)
    b, blocks, options = pattern.block_size, pattern.nnz_blocks, PlanOptions(grad_weight=True)
    return plan_dynamic(m, k, n, block_size=b, capacity_blocks=blocks, dtype=dtype, options=options)


def _widened(operand: np.ndarray, columns: int) -> np.ndarray:
    wide: Any = np.zeros((operand.shape[0], columns), dtype=operand.dtype)
    wide[:, : operand.shape[1]] = operand
    return np.asarray(wide)
