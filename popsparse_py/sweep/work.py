"""One point planned: what a worker process does."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any, Dict

from popsparse_planner import DynamicPlan, PlanOptions, PopsparseError
from popsparse_planner.report.dynamic_sections import most_blocks, pattern_fields, propagation_fields
from popsparse_planner.report.facts import tidy
from popsparse_planner.report.uncertainty import cycle_range

from ..plans import plan
from .points import Point


def plan_point(identity: str, point: Point) -> Dict[str, Any]:
    """The line of one point: its id and fields, then the prediction, or the error that its product raises."""
    fields: Dict[str, Any] = {"id": identity, **asdict(point)}
    try:
        made = plan(
            (point.m, point.k),
            point.n,
            mode=point.mode,
            target=point.target,
            dtype=point.dtype,
            partials_dtype=point.partials_dtype or None,
            strategy=point.strategy,
            density=Fraction(point.density),
            block_size=point.block_size,
            kind=point.kind,
            seed=point.seed,
            options=PlanOptions(grad_input=point.grad_input),
        )
    except PopsparseError as error:
        return {**fields, "fits": False, "error": str(error)}
    fields.update(fits=made.fits, error="" if made.fits else str(made.shortfall or made.reason))
    if made.cost is not None and made.fits:
        block_size = None if made.mode == "dense" else point.block_size
        useful = 2.0 * point.m * point.k * point.n * float(Fraction(point.density))
        fields.update(
            planned_mode=made.mode,
            total_cycles=made.cost.total_cycles,
            profiled_cycles=made.cost.profiled_cycles,
            cycles_range=cycle_range(made.cost, made.target, block_size, made.mode),
            profiled_tflops=useful * made.cost.clock_hz / made.cost.profiled_cycles / 1e12,
            speedup_vs_dense=made.speedup_vs_dense,
            bottleneck=made.bottleneck,
            tiles_used=made.tiles_used,
            peak_bytes=None if made.memory is None else made.memory.peak_bytes,
        )
        if isinstance(made, DynamicPlan):
            fields.update(_dynamic_fields(made, point))
    result: Dict[str, Any] = tidy(fields)
    return result


def _dynamic_fields(plan: DynamicPlan, point: Point) -> Dict[str, Any]:
    """Buckets, the probability of propagation by model and by simulation, and what the point's own pattern meets."""
    fields: Dict[str, Any] = {"bucket_bytes": plan.bucket_bytes}
    found = propagation_fields(plan)
    if found is not None:
        fields.update((name, found[name]) for name in ("model_probability", "simulated_probability"))
    if plan.capacity_blocks <= most_blocks(plan):
        meets = pattern_fields(plan, point.kind, point.seed)
        fields.update((name, meets[name]) for name in ("steps", "spilled_blocks", "overfull_cells"))
    return fields
