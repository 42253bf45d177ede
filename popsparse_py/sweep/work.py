"""One point planned: what a worker process does."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any, Dict

from popsparse_planner import PopsparseError
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
            cycles_range=cycle_range(made.cost, made.target, block_size),
            profiled_tflops=useful * made.cost.clock_hz / made.cost.profiled_cycles / 1e12,
            speedup_vs_dense=made.speedup_vs_dense,
            bottleneck=made.bottleneck,
            tiles_used=made.tiles_used,
            peak_bytes=None if made.memory is None else made.memory.peak_bytes,
        )
    result: Dict[str, Any] = tidy(fields)
    return result
