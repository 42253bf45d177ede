"""`popsparse report`: a plan explained on the terminal, as a page, as JSON and as a trace; executed if asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Tuple, Union

import numpy as np

from popsparse_planner import BlockPattern, DensePlan, DynamicPlan, PlanError, StaticPlan
from popsparse_planner.cuda_plan import CudaPlan

from ..formats import BlockSparseMatrix
from ..ops import run
from ..plans import Plan, checked_mode
from .accuracy import measure_accuracy
from .output import Output
from .plan_command import asked_cuda_plan, asked_plans
from .requests import ReportRequest, UsageError


def execute(request: ReportRequest) -> int:
    """Plans, reports and writes; 0, or 1 if the plan does not fit or a run's error exceeds its bound."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    checked_mode(request.mode)
    if request.target == "cuda" and (request.run or request.trace):
        raise UsageError("--run and --trace are of a chip's plan: a plan for a GPU has bounds, and no timeline")
    with output.progress("planning"):
        chosen = asked_cuda_plan(request) if request.target == "cuda" else asked_plans(request)[1]
    with output.progress("planning what it is compared with"):
        report = chosen.report()
    ok = chosen.fits
    if request.run and ok and not isinstance(chosen, CudaPlan):
        with output.progress("executing on the embedded model"):
            counted, ok = _run(chosen, request.seed)
        report = report.with_run(counted)
    _write(report, replace(request, json=None) if request.as_json else request, output)
    if request.as_json:
        print(report.to_json())
    elif request.quiet:
        print(" ".join(report.fields["verdict"]["sentences"]))
    else:
        report.show(output.console)
    return 0 if ok else 1


def _write(report: Any, request: ReportRequest, output: Output) -> None:
    files = (
        (request.html, report.to_html),
        (request.json, report.to_json),
        (request.trace, report.export_chrome_trace),
    )
    for path, write in files:
        if path is not None:
            write(path)
            output.note(f"wrote {path}")


def _run(plan: Plan, seed: int) -> Tuple[Dict[str, Any], bool]:
    """What a run with random values counted, and whether its result is right."""
    if isinstance(plan, DensePlan):
        raise PlanError("only a sparse plan can be executed on the embedded model: use --mode static with --run")
    problem, pattern = plan.problem, _pattern(plan, seed)
    rng, b = np.random.default_rng(seed), pattern.block_size
    values = rng.standard_normal((pattern.nnz_blocks, b, b)).astype(problem.dtype)
    matrix = BlockSparseMatrix(pattern, values)
    x = rng.standard_normal((problem.k, problem.n)).astype(problem.dtype)
    y, trace = run(plan, matrix, x)
    partials = int(np.diff(matrix.crow_indices()).max(initial=0))
    if isinstance(plan, DynamicPlan):
        partials = plan.grid.qk + int(trace["propagation_steps"])
    accuracy = measure_accuracy(
        matrix.to_dense(),
        x,
        y,
        dtype=problem.dtype,
        partials_dtype=problem.partials_dtype,
        num_partials=partials,
    )
    return {**trace.to_dict(), "accuracy": {"max_error": accuracy.max_error, "ok": accuracy.ok}}, accuracy.ok


def _pattern(plan: Union[StaticPlan, DynamicPlan], seed: int) -> BlockPattern:
    """The pattern to run with: that of a static plan, a random one that fills a dynamic plan's capacity."""
    if isinstance(plan, StaticPlan):
        return plan.pattern
    problem = plan.problem
    return BlockPattern.random((problem.m, problem.k), density=plan.density, block_size=problem.block_size, seed=seed)
