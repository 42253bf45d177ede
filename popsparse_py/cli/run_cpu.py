"""`popsparse run --target cpu`: a pruned weight multiplied on this computer's processor, timed, checked in float64."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from popsparse_planner.cpu_plan import CpuPlan

from ..backends.base import Trace
from ..formats import BlockSparseMatrix
from ..ops import run
from ..plans import plan
from .accuracy import Accuracy, measure_accuracy
from .output import Output
from .requests import RunRequest, UsageError

_CALLS = 20  # timed ones, after the first


class CpuRun(NamedTuple):
    """A product on this processor: seconds of the first call, which packs W, and of the others."""

    matrix: BlockSparseMatrix
    x: np.ndarray
    y: np.ndarray
    plan: CpuPlan
    trace: Trace
    first_seconds: float
    seconds: List[float]


def execute_cpu(request: RunRequest, matrix: BlockSparseMatrix, origin: str, output: Output) -> int:
    """Runs and prints; 0, or 1 if the error exceeds its bound."""
    _check(request)
    with output.progress("planning"):
        made: CpuPlan = plan(matrix, request.n, target="cpu")
    with output.progress("multiplying"):
        done = _run(request, matrix, made)
    with output.progress("comparing with float64"):
        accuracy = _accuracy(done)
    fields = {"schema": "popsparse.cli.run/1", "weight": origin, "ok": accuracy.ok, "executed_on": "cpu"}
    fields.update(plan=made.to_dict(), **_fields(done), accuracy=accuracy.to_dict())
    views: List[RenderableType] = [Text(f"weight: {origin}\n{made.explain()}"), _facts(done, accuracy)]
    output.show(_verdict(done, accuracy), fields, *views)
    return 0 if accuracy.ok else 1


def _check(request: RunRequest) -> None:
    """UsageError for options that only chips have."""
    given: Dict[str, Optional[object]] = {"--strategy": request.strategy, "--partials-dtype": request.partials_dtype}
    given["--update"] = request.update
    unsuitable = [name for name, value in given.items() if value is not None]
    if request.mode != "static":
        unsuitable.append(f"--mode {request.mode}")
    if unsuitable:
        raise UsageError(
            f"{', '.join(unsuitable)}: target cpu has one kind of plan, good for any pattern of as many blocks, and "
            "sums in float32; leave it out"
        )


def _run(request: RunRequest, matrix: BlockSparseMatrix, made: CpuPlan) -> CpuRun:
    shape = (matrix.shape[1], request.n)
    x = np.random.default_rng(request.seed).standard_normal(shape).astype(matrix.dtype)
    y, trace = run(made, matrix, x, target="cpu")
    first = trace["seconds"]
    traces = [run(made, matrix, x, target="cpu").trace for _ in range(_CALLS)]
    return CpuRun(matrix, x, y, made, trace, first, [trace["seconds"] for trace in traces])


def _accuracy(done: CpuRun) -> Accuracy:
    dense = done.matrix.to_dense()
    return measure_accuracy(dense, done.x, done.y, dtype=done.plan.dtype, partials_dtype="float32", num_partials=1)


def _fields(done: CpuRun) -> Dict[str, Any]:
    """JSON-safe times."""
    return {
        "threads": int(done.trace["threads"]),
        "first_seconds": done.first_seconds,
        "median_seconds": median(done.seconds),
        "min_seconds": min(done.seconds),
        "gflops_median": done.plan.flops / median(done.seconds) / 1e9,
        "planned_seconds": done.plan.cost.total_seconds,
    }


def _facts(done: CpuRun, accuracy: Accuracy) -> Table:
    fields, table = _fields(done), Table.grid(padding=(0, 2))
    times = f"median {fields['median_seconds'] * 1e6:,.1f} us, fastest {fields['min_seconds'] * 1e6:,.1f} us"
    table.add_row("time", f"{times} of {_CALLS} calls by the clock, {fields['threads']} threads")
    table.add_row("first call", f"{fields['first_seconds'] * 1e6:,.1f} us")
    table.add_row(
        "rate", f"{fields['gflops_median']:.1f} GFLOP/s of nonzeros, {done.plan.gflops:.1f} planned on one thread"
    )
    table.add_row("error", f"{accuracy.max_error:.3e} at {accuracy.at}, bound there {accuracy.bound_there:.3e}")
    table.add_row("bound", f"{accuracy.statement}, elementwise; largest error / bound {accuracy.worst_ratio:.3f}")
    return table


def _verdict(done: CpuRun, accuracy: Accuracy) -> str:
    """The result in one line."""
    fields = _fields(done)
    numbers = f"{fields['median_seconds'] * 1e6:,.1f} us a call, {fields['gflops_median']:.1f} GFLOP/s of nonzeros"
    if accuracy.ok:
        return f"correct: error {accuracy.max_error:.2e} within its bound {accuracy.bound_there:.2e}; {numbers}"
    return f"WRONG: an error is {accuracy.worst_ratio:.3g} times its bound {accuracy.statement}; {numbers}"
