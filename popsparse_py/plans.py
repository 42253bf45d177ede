"""The front door of planning: a matrix, a pattern or only a shape goes in, the plan for one target comes out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict, Optional, Tuple, Union

import numpy as np

from popsparse_planner import (
    BlockPattern,
    DensePlan,
    DynamicPlan,
    PlanError,
    PlanOptions,
    StaticPlan,
    Target,
    load_target,
    plan_dense,
    plan_dynamic,
    plan_static,
)
from popsparse_planner.cuda_plan import CudaPlan, plan_cuda

from .backends.cpu import CpuBackend
from .backends.cuda import CudaBackend
from .formats import BlockSparseMatrix
from .tuning import tune

MODES = ("static", "dynamic", "dense", "auto")
Plan = Union[StaticPlan, DynamicPlan, DensePlan]
Operand = Union[BlockSparseMatrix, BlockPattern, Tuple[int, int]]

_CHIP_OF = {"ipu_model": "bow"}  # the chip that a target for products stands for


def plan(
    a_or_shape: Operand,
    n: int,
    *,
    mode: str = "static",
    target: Union[str, Target] = "ipu_model",
    dtype: Optional[str] = None,
    partials_dtype: Optional[str] = None,
    strategy: Optional[str] = None,
    options: Optional[PlanOptions] = None,
    density: Union[float, Fraction, None] = None,
    block_size: int = 16,
    kind: str = "uniform",
    seed: int = 0,
    tuned: bool = False,
    tf32: bool = False,
) -> Any:
    """The StaticPlan, DynamicPlan or DensePlan ("cpu": CpuPlan, "cuda": CudaPlan) of Y (m, n) = W (m, k) X (k, n).

    a_or_shape: W as a BlockSparseMatrix, its BlockPattern or its shape (m, k).

    mode: "static" (W's pattern is known), "dynamic" (any pattern with as many blocks as W has, or of the density that
    is given), "dense", or "auto": static or dense, whichever is predicted to take fewer cycles; the plan's own `mode`
    says which. strategy: None is the default of the mode, "balanced" or "quantile"; "popsparse" the published one.
    target: "ipu_model" (the Bow chip), "bow", "mk2", a TOML file or a Target; "cpu" gives the CpuPlan for this
    computer's processor, "cuda" the CudaPlan for its GPU, or for an H200; these have no mode, strategy or options.
    dtype: "float16" or "float32"; None means that of the matrix, float16 for a pattern or a shape. density, block_size,
    kind, seed: of the random pattern that is planned for where only a shape is given. tuned: on target "cpu" schedules
    are timed for half a second and the fastest is taken, or the one that was found before (see popsparse_py.tuning).
    tf32: on target "cuda" products of float32 may round their operands to TF32, 10 bits behind the point, as dense ones
    of torch do where its own switch is on. The others: see plan_static and plan_dynamic.
    Raises PlanError, PatternError, ShapeError, DTypeError, CapacityError, TargetError; never because something does not
    fit.
    """
    checked_mode(mode)
    if tuned and target != "cpu":
        raise PlanError("tuned=True measures this computer's processor: it is for target='cpu'")
    if tf32 and target != "cuda":
        raise PlanError(f"tf32=True is arithmetic of NVIDIA GPUs: it is for target='cuda', got {target!r}")
    if target in ("cpu", "cuda"):
        pattern = _pattern_of(a_or_shape, density, block_size, kind, seed)
        if target == "cuda":
            return cuda_plan(pattern, n, _dtype_of(a_or_shape, dtype) or "bfloat16", tf32)
        return _host_plan(a_or_shape, pattern, n, dtype, tuned)
    machine = chip(target)
    element = dtype or (a_or_shape.dtype if isinstance(a_or_shape, BlockSparseMatrix) else "float16")
    if mode == "dense":
        m, k = _shape_of(a_or_shape)
        return plan_dense(m, k, n, dtype=element, target=machine)
    search: Dict[str, Any] = {"dtype": element, "partials_dtype": partials_dtype, "target": machine, "options": options}
    if mode == "dynamic":
        m, k = _shape_of(a_or_shape)
        size: Dict[str, Any] = _dynamic_size(a_or_shape, density, block_size)
        return plan_dynamic(m, k, n, **size, strategy=strategy or "quantile", **search)
    pattern = _pattern_of(a_or_shape, density, block_size, kind, seed)
    static = plan_static(pattern, n, strategy=strategy or "balanced", **search)
    if mode == "static":
        return static
    return cheaper(static, plan_dense(*pattern.shape, n, dtype=element, target=machine))


def cuda_plan(pattern: BlockPattern, n: int, dtype: str, tf32: bool = False, *, by_rows: bool = False) -> CudaPlan:
    """The plan for the GPU that is here, or for an H200 where there is none; by_rows: for x (n, k) and y (n, m)."""
    backend = CudaBackend()
    if backend.why_unavailable():
        return plan_cuda(pattern, n, dtype=dtype, by_rows=by_rows, tf32=tf32)
    return backend.plan(pattern, n, dtype, by_rows=by_rows, tf32=tf32)


def cheaper(static: StaticPlan, dense: DensePlan) -> Plan:
    """The plan of fewer predicted cycles among those that fit; the static one if neither fits."""
    if not dense.fits or static.cost is None:
        return static if static.fits or not dense.fits else dense
    return static if static.fits and static.cost.total_cycles <= dense.cost.total_cycles else dense


def checked_mode(mode: str) -> str:
    """`mode`, or PlanError if plans of that mode cannot be made."""
    if mode not in MODES:
        raise PlanError(f"mode {mode!r} is unknown: expected one of {', '.join(MODES)}", mode=mode)
    return mode


def chip(target: Union[str, Target]) -> Target:
    """The chip that is planned for: that of "ipu_model", or whatever load_target reads."""
    return load_target(_CHIP_OF.get(target, target) if isinstance(target, str) else target)


def _dtype_of(operand: Operand, dtype: Optional[str]) -> Optional[str]:
    return dtype or (operand.dtype if isinstance(operand, BlockSparseMatrix) else None)


def _host_plan(operand: Operand, pattern: BlockPattern, n: int, dtype: Optional[str], tuned: bool) -> Any:
    """The plan for this computer's processor."""
    own = _dtype_of(operand, dtype)
    if tuned:
        return tune(_timed_matrix(operand, pattern, own), n)
    return CpuBackend().plan(pattern, n, own or "float32")


def _timed_matrix(operand: Operand, pattern: BlockPattern, dtype: Optional[str]) -> BlockSparseMatrix:
    """The operand itself if it is a matrix of dtype, or one with its pattern."""
    if isinstance(operand, BlockSparseMatrix) and dtype in (None, operand.dtype):
        return operand
    shape = (pattern.nnz_blocks, pattern.block_size, pattern.block_size)
    return BlockSparseMatrix(pattern, np.ones(shape, np.float32)).astype(dtype or "float32")


def _shape_of(operand: Operand) -> Tuple[int, int]:
    if isinstance(operand, (BlockSparseMatrix, BlockPattern)):
        return operand.shape
    if isinstance(operand, (tuple, list)) and len(operand) == 2:
        return operand[0], operand[1]
    raise PlanError(
        f"expected a BlockSparseMatrix, a BlockPattern or a shape (m, k) to plan for, got {type(operand).__name__}"
    )


def _dynamic_size(operand: Operand, density: Union[float, Fraction, None], block_size: int) -> Dict[str, Any]:
    """block_size, and density or capacity_blocks, of a dynamic plan: the operand's own where it has a pattern."""
    if isinstance(operand, (BlockSparseMatrix, BlockPattern)):
        pattern = operand if isinstance(operand, BlockPattern) else operand.pattern
        if density is None:
            return {"block_size": pattern.block_size, "capacity_blocks": max(pattern.nnz_blocks, 1)}
        return {"block_size": pattern.block_size, "density": density}
    if density is None:
        raise PlanError("a shape alone has no pattern: give the density=1/16 (and block_size=...) to plan for")
    return {"block_size": block_size, "density": density}


def _pattern_of(
    operand: Operand, density: Union[float, Fraction, None], block_size: int, kind: str, seed: int
) -> BlockPattern:
    """The operand's own pattern, or a random one for a shape."""
    shape = _shape_of(operand)
    if isinstance(operand, (BlockSparseMatrix, BlockPattern)):
        if density is not None:
            raise PlanError(f"density {density} belongs to a shape (m, k): a {type(operand).__name__} has its own")
        return operand if isinstance(operand, BlockPattern) else operand.pattern
    if density is None:
        raise PlanError(
            "a shape alone has no pattern: give density=1/16 (and block_size=...), a BlockPattern, or mode='dense'"
        )
    return BlockPattern.random(shape, density=density, block_size=block_size, kind=kind, seed=seed)
