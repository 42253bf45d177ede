"""`popsparse plan`: a pattern, drawn or from a file, to a plan with its predicted cycles and bytes."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Tuple

from rich.text import Text

from popsparse_planner import BlockPattern, DensePlan, StaticPlan, Target, plan_static
from popsparse_planner.cuda_plan import CudaPlan

from ..plans import Plan, cheaper, checked_mode, chip, cuda_plan, plan
from .output import Output
from .plan_view import plan_fields, tables, verdict
from .requests import PlanRequest, UsageError, read_density


def execute(request: PlanRequest) -> int:
    """Plans and prints; 0, or 1 if the plan does not fit."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    checked_mode(request.mode)
    if request.target == "cuda":
        return _show_cuda(request, output)
    with output.progress("planning"):
        static, chosen = asked_plans(request)
    beaten = static if static is not chosen else None
    fields: Dict[str, Any] = {"schema": "popsparse.cli.plan/1", "asked": request.mode, **plan_fields(chosen)}
    if beaten is not None:
        fields["static"] = plan_fields(beaten)
    output.show(verdict(chosen, beaten), fields, *tables(chosen))
    return 0 if chosen.fits else 1


def _show_cuda(request: PlanRequest, output: Output) -> int:
    """A plan for a GPU has bytes and seconds, no tiles; 0, or 1 if its operands do not fit."""
    with output.progress("planning"):
        made = asked_cuda_plan(request)
    fields = {"schema": "popsparse.cli.plan/1", "asked": "cuda", **json.loads(made.to_json())}
    dense = "dense is faster" if made.dense_is_faster else f"{made.speedup_vs_dense:.2f}x the dense product"
    output.show(f"{made.cost.total_seconds * 1e6:,.1f} us predicted, {dense}", fields, Text(made.explain()))
    return 0 if made.fits else 1


def asked_cuda_plan(request: PlanRequest) -> CudaPlan:
    """The plan for the GPU that is here, or for an H200."""
    if request.mode not in ("auto", "static"):
        raise UsageError(f"--mode {request.mode} is of a chip's plan: with --target cuda a plan is static")
    return cuda_plan(_pattern(request), request.n, request.dtype)


def asked_plans(request: PlanRequest) -> Tuple[Optional[StaticPlan], Plan]:
    """The static plan, None in mode dense, and the plan that the mode asks for."""
    target = chip(request.target)
    if request.mode == "dense":
        shape = _pattern(request).shape if request.mask is not None else _shape(request)
        return None, plan(shape, request.n, mode="dense", dtype=request.dtype, target=target)
    if request.mode == "dynamic":
        return None, _dynamic(request, target)
    static = plan_static(
        _pattern(request),
        request.n,
        dtype=request.dtype,
        partials_dtype=request.partials_dtype,
        target=target,
        strategy=request.strategy or "balanced",
    )
    if request.mode == "static":
        return static, static
    dense = plan(static.pattern, request.n, mode="dense", dtype=request.dtype, target=target)
    assert isinstance(dense, DensePlan)
    return static, cheaper(static, dense)


def _dynamic(request: PlanRequest, target: Target) -> Plan:
    """A plan for any pattern of the density, or with as many blocks as the mask."""
    operand: Any = _pattern(request) if request.mask is not None else _shape(request)
    density = read_density(request.density, request.sparsity)
    if density is None and request.mask is None:
        raise UsageError("a density is needed: -d 1/16 or --sparsity 0.9 (or a pattern: --mask FILE)")
    return plan(
        operand,
        request.n,
        mode="dynamic",
        target=target,
        dtype=request.dtype,
        partials_dtype=request.partials_dtype,
        strategy=request.strategy,
        density=density,
        block_size=request.block_size,
    )


def _pattern(request: PlanRequest) -> BlockPattern:
    density = read_density(request.density, request.sparsity)
    if request.mask is not None:
        if density is not None or request.m is not None or request.k is not None:
            raise UsageError("--mask brings its own shape, block size and density: leave -m, -k, -d and --sparsity out")
        return BlockPattern.load(request.mask)
    shape = _shape(request)
    if density is None:
        raise UsageError("a density is needed: -d 1/16 or --sparsity 0.9 (or a pattern: --mask FILE)")
    return BlockPattern.random(
        shape, density=density, block_size=request.block_size, kind=request.pattern_kind, seed=request.seed
    )


def _shape(request: PlanRequest) -> Tuple[int, int]:
    if request.m is None or request.k is None:
        raise UsageError("-m and -k are needed (or a pattern: --mask FILE)")
    return request.m, request.k
