"""`popsparse run`: a weight is pruned, planned for, executed on the embedded model or the cpu, checked in float64."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

from popsparse_planner import PlanError, StaticPlan

from ..data import DEMO_TENSOR, demo_weight_path
from ..formats import BlockSparseMatrix, load_dense, magnitude_prune
from ..ops import run
from ..plans import checked_mode, plan
from .accuracy import Accuracy, measure_accuracy
from .output import Output
from .plan_view import compared, plan_fields, tables, verdict
from .requests import RunRequest, Source, UsageError, read_density, read_source
from .run_cpu import execute_cpu
from .run_dynamic import execute_dynamic
from .run_view import Run, run_fields, run_tables

_DEMO_DENSITY = Fraction(1, 8)
_DENSE_BLOCK_SIZE = 16


class Weight(NamedTuple):
    """A block-sparse weight and, in words, where it comes from."""

    matrix: BlockSparseMatrix
    origin: str


def execute(request: RunRequest) -> int:
    """Runs and prints; 0, or 1 if the plan does not fit or the error exceeds its bound."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    _check_mode(request)
    with output.progress("reading the weight"):
        weight = _weight(request)
    if request.target == "cpu":
        return execute_cpu(request, weight.matrix, weight.origin, output)
    if request.mode == "dynamic":
        return execute_dynamic(request, weight.matrix, weight.origin, output)
    with output.progress("planning"):
        made = _plan(request, weight.matrix)
    head: Dict[str, Any] = {"schema": "popsparse.cli.run/1", "weight": weight.origin}
    if not made.fits:
        output.show(verdict(made), {**head, "ok": False, "plan": plan_fields(made)}, *tables(made))
        return 1
    with output.progress("executing on the embedded model"):
        done = _run(request, weight, made)
    with output.progress("comparing with float64"):
        accuracy = _accuracy(done)
    fields = {**head, "ok": accuracy.ok, "plan": plan_fields(made), **run_fields(done), "accuracy": accuracy.to_dict()}
    output.show(_verdict(done, accuracy), fields, *run_tables(done, accuracy))
    return 0 if accuracy.ok else 1


def _check_mode(request: RunRequest) -> None:
    mode = checked_mode(request.mode)
    if mode not in ("static", "dynamic"):
        raise PlanError(
            f"mode {mode!r} cannot be executed on the embedded model: expected static or dynamic", mode=mode
        )
    if request.update is not None and mode != "dynamic":
        raise UsageError("--update changes the pattern of a compiled plan: it needs --mode dynamic")


def _weight(request: RunRequest) -> Weight:
    """The weight that is asked for: pruned to the density, or with the blocks that it has where none is given."""
    density = read_density(request.density, request.sparsity)
    if request.demo == (request.weights is not None):
        raise UsageError("name a weight, FILE or FILE:TENSOR, or --demo" + (", not both" if request.demo else ""))
    if request.demo:
        source, density = Source(demo_weight_path(), DEMO_TENSOR), density or _DEMO_DENSITY
    else:
        source = read_source(str(request.weights))
    matrix = _pruned(source, request.block_size, density)
    dtype = request.dtype or ("float16" if matrix.dtype == "float16" else "float32")
    kept = "its own blocks" if density is None else f"pruned to density {density} by the norm of its blocks"
    name = source.path.name if source.tensor is None else f"{source.tensor} of {source.path.name}"
    return Weight(matrix.astype(dtype), f"{name}, {kept}")


def _pruned(source: Source, block_size: Optional[int], density: Optional[Fraction]) -> BlockSparseMatrix:
    if density is None:
        return BlockSparseMatrix.load(source.path, source.tensor, block_size=block_size)
    dense = load_dense(source.path, source.tensor)
    return magnitude_prune(dense, _DENSE_BLOCK_SIZE if block_size is None else block_size, density)


def _plan(request: RunRequest, matrix: BlockSparseMatrix) -> StaticPlan:
    made = plan(matrix, request.n, partials_dtype=request.partials_dtype, strategy=request.strategy)
    assert isinstance(made, StaticPlan)
    return made


def _run(request: RunRequest, weight: Weight, made: StaticPlan) -> Run:
    shape, dtype = (weight.matrix.shape[1], request.n), weight.matrix.dtype
    x = np.random.default_rng(request.seed).standard_normal(shape).astype(dtype)
    y, trace = run(made, weight.matrix, x, target=request.target)
    return Run(weight.origin, weight.matrix, x, y, made, trace)


def _accuracy(done: Run) -> Accuracy:
    blocks_of_a_row = np.diff(done.matrix.crow_indices())
    return measure_accuracy(
        done.matrix.to_dense(),
        done.x,
        done.y,
        dtype=done.plan.problem.dtype,
        partials_dtype=done.plan.problem.partials_dtype,
        num_partials=int(blocks_of_a_row.max(initial=0)),
    )


def _verdict(done: Run, accuracy: Accuracy) -> str:
    """The result in one line."""
    numbers = (
        f"{done.trace['total_cycles']:,.0f} cycles counted, {done.trace['tflops']:.2f} TFLOP/s of nonzeros; "
        f"predicted {compared(done.plan)}"
    )
    if accuracy.ok:
        return f"correct: error {accuracy.max_error:.2e} within its bound {accuracy.bound_there:.2e}; {numbers}"
    return f"WRONG: an error is {accuracy.worst_ratio:.3g} times its bound {accuracy.statement}; {numbers}"
