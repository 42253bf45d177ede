"""`popsparse run --mode dynamic`: one compiled plan, then as many other patterns as are asked for."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from popsparse_planner import BlockPattern, DynamicPlan, PlanOptions, plan_dynamic

from ..backends.base import Trace
from ..formats import BlockSparseMatrix
from ..ops import run
from ..plans import chip
from .accuracy import Accuracy, measure_accuracy
from .output import Output, new_table
from .plan_view import plan_fields, tables, verdict
from .requests import RunRequest, UsageError

_SHOWN = 12


class Update(NamedTuple):
    """One pattern on the compiled plan."""

    name: str
    matrix: BlockSparseMatrix
    trace: Trace
    accuracy: Accuracy


def execute_dynamic(request: RunRequest, matrix: BlockSparseMatrix, origin: str, output: Output) -> int:
    """Runs and prints; 0, or 1 if the plan does not fit or an error exceeds its bound."""
    if not matrix.pattern.nnz_blocks:
        raise UsageError("the weight has no blocks: a dynamic plan needs room for at least one")
    with output.progress("planning"):
        plan = _plan(request, matrix)
    head: Dict[str, Any] = {"schema": "popsparse.cli.run/1", "weight": origin}
    if not plan.fits:
        output.show(verdict(plan), {**head, "ok": False, "plan": plan_fields(plan)}, *tables(plan))
        return 1
    with output.progress("executing on the embedded model"):
        updates = _updates(request, plan, matrix)
    ok = all(one.accuracy.ok for one in updates)
    fields = {**head, "ok": ok, "plan": plan_fields(plan), "updates": [_fields(one) for one in updates]}
    output.show(_verdict(updates), fields, Text(f"weight: {origin}"), *tables(plan), _table(updates))
    return 0 if ok else 1


def _plan(request: RunRequest, matrix: BlockSparseMatrix) -> DynamicPlan:
    return plan_dynamic(
        *matrix.shape,
        request.n,
        block_size=matrix.block_size,
        capacity_blocks=matrix.pattern.nnz_blocks,
        dtype=matrix.dtype,
        partials_dtype=request.partials_dtype,
        target=chip(request.target),
        strategy=request.strategy or "quantile",
        options=PlanOptions(seed=request.seed),
    )


def _updates(request: RunRequest, plan: DynamicPlan, matrix: BlockSparseMatrix) -> List[Update]:
    """The weight itself, then `update` random patterns of as many blocks with its values in other places."""
    rng = np.random.default_rng(request.seed)
    x = rng.standard_normal((matrix.shape[1], request.n)).astype(matrix.dtype)
    done = [_update("the weight", plan, matrix, x, request.target)]
    for number in range(1, (request.update or 0) + 1):
        pattern = BlockPattern.random(
            matrix.shape, density=matrix.pattern.density, block_size=matrix.block_size, seed=request.seed + number
        )
        values = np.asarray(matrix.values)[rng.permutation(len(matrix.values))[: pattern.nnz_blocks]]
        other = BlockSparseMatrix(pattern, values)
        done.append(_update(f"pattern {number}", plan, other, x, request.target))
    return done


def _update(name: str, plan: DynamicPlan, matrix: BlockSparseMatrix, x: np.ndarray, target: str) -> Update:
    y, trace = run(plan, matrix, x, target=target)
    parts = plan.grid.qk + int(trace["propagation_steps"])
    dtypes = {"dtype": plan.problem.dtype, "partials_dtype": plan.problem.partials_dtype}
    return Update(name, matrix, trace, measure_accuracy(matrix.to_dense(), x, y, num_partials=parts, **dtypes))


def _fields(one: Update) -> Dict[str, Any]:
    return {
        "name": one.name,
        "nnz_blocks": one.matrix.pattern.nnz_blocks,
        "steps": int(one.trace["propagation_steps"]),
        "spilled_blocks": int(one.trace["spilled_blocks"]),
        "trace": one.trace.to_dict(),
        "accuracy": one.accuracy.to_dict(),
    }


def _table(updates: List[Update]) -> Table:
    table = new_table(f"{len(updates)} patterns on one compiled plan", "pattern")
    for name in ("blocks", "spilled", "steps", "cycles counted", "error / bound"):
        table.add_column(name, justify="right")
    for one in updates[:_SHOWN]:
        table.add_row(
            one.name,
            f"{one.matrix.pattern.nnz_blocks:,}",
            f"{one.trace['spilled_blocks']:,.0f}",
            f"{one.trace['propagation_steps']:.0f}",
            f"{one.trace['total_cycles']:,.0f}",
            f"{one.accuracy.worst_ratio:.3g}",
        )
    if len(updates) > _SHOWN:
        table.add_row(f"and {len(updates) - _SHOWN} more", "", "", "", "", "")
    return table


def _verdict(updates: List[Update]) -> str:
    wrong = [one for one in updates if not one.accuracy.ok]
    cycles = [one.trace["total_cycles"] for one in updates]
    spread = (
        f"{min(cycles):,.0f} to {max(cycles):,.0f} cycles counted, {updates[0].trace['planned_cycles']:,.0f} planned"
    )
    if wrong:
        return f"WRONG: {len(wrong)} of {len(updates)} patterns exceed their bound, {wrong[0].name} first; {spread}"
    travelled = sum(one.trace["propagation_steps"] > 0 for one in updates)
    return f"correct: {len(updates)} patterns on one compiled plan, {travelled} with propagation; {spread}"
