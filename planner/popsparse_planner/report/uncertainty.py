"""How far a prediction may be off: ranges from published measurements, and those of this product."""

from __future__ import annotations

from math import sqrt
from typing import Any, Dict, List, Optional, Tuple

from ..cost import Cost
from ..measured import load_static_points
from ..target import Target
from ..validation import error_name, predicted_range
from .facts import Plan, facts_of

_SAME_DENSITY = 0.02  # relative difference below which a measured product counts as the planned one


def cycle_range(
    cost: Cost, target: Target, block_size: Optional[int], mode: str = "static"
) -> Optional[Tuple[float, float]]:
    """(fewest, most) cycles, or None for a target whose model has never been compared with measurements."""
    try:
        return predicted_range(cost, target, None if mode == "dense" else block_size, mode)
    except KeyError:
        return None


def speedup_range(plan: Plan) -> Optional[Tuple[float, float]]:
    """(least, most) speed-up over dense: the relative errors of both predictions, taken as independent."""
    dense, speedup = getattr(plan, "dense_cost", None), plan.speedup_vs_dense
    if plan.cost is None or dense is None or speedup is None:
        return None
    ours = cycle_range(plan.cost, plan.target, facts_of(plan).problem.block_size, plan.mode)
    theirs = cycle_range(dense, plan.target, None)
    if ours is None or theirs is None:
        return None
    low = sqrt((ours[1] / plan.cost.total_cycles - 1) ** 2 + (dense.total_cycles / theirs[0] - 1) ** 2)
    high = sqrt((plan.cost.total_cycles / ours[0] - 1) ** 2 + (theirs[1] / dense.total_cycles - 1) ** 2)
    return speedup / (1 + low), speedup * (1 + high)


def validation(plan: Plan) -> Dict[str, Any]:
    """The report's section: the relative error that nine of ten measured products keep, and this product's own."""
    facts = facts_of(plan)
    b = facts.problem.block_size
    error = plan.target.model.get(error_name(plan.mode, b))
    what = {"dense": "dense FP16 and FP32", "static": f"static FP16, b = {b}", "dynamic": "dynamic FP16"}[plan.mode]
    return {
        "relative_error": error,
        "covers": "nine of ten measured products",
        "source": "" if error is None else f"published measurements of Graphcore's library on a Bow: {what}",
        "beyond_measurements": [] if error is None else _extrapolations(plan),
        "published": _published(plan),
        "counted": None,
    }


def _extrapolations(plan: Plan) -> List[str]:
    """In what respects the plan is no measured product."""
    facts = facts_of(plan)
    problem, found = facts.problem, []
    if plan.target.name != "bow":
        found.append(f"target {plan.target.name}; measured products ran on bow")
    if problem.m != problem.k:
        found.append("m and k differ; measured products are square")
    if plan.mode == "dense":
        return found
    if facts.strategy != "popsparse":
        found.append(f"strategy {facts.strategy}; measured plans are those of popsparse")
    partials = "float32" if plan.mode == "dynamic" else "float16"
    if (problem.dtype, problem.partials_dtype) != ("float16", partials):
        words = f"{problem.dtype} with {problem.partials_dtype} partials"
        known = "float16 throughout" if partials == "float16" else "float16 with float32 partials"
        found.append(f"{words}; measured products are {known}")
    if plan.mode == "dynamic" and facts.options["grad_input"] is False:
        found.append("no grad-input pass; measured plans have one")
    return found


def _published(plan: Plan) -> Optional[Dict[str, Any]]:
    """What Graphcore measured for a product of this size, block size and density; None if it is not in the data."""
    facts = facts_of(plan)
    problem, pattern = facts.problem, facts.pattern
    if pattern is None or plan.target.name != "bow" or problem.dtype != "float16" or problem.m != problem.k:
        return None
    for point in load_static_points():
        same = (point.b, point.m, point.n) == (problem.block_size, problem.m, problem.n)
        if same and abs(pattern.density / point.density - 1) < _SAME_DENSITY:
            return {"profiled_cycles": point.cycles, "speedup_vs_dense": point.speedup, "of": "popsparse strategy"}
    return None
