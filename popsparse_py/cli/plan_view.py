"""A plan for a reader: tables for a terminal, and the same numbers as a JSON object."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from popsparse_planner import DensePlan, DynamicPlan, StaticPlan

from ..plans import Plan
from .output import new_table

_CANDIDATES_SHOWN = 6


def headline(plan: Plan) -> str:
    """The product and the machine, one line."""
    m, k, n, dtype = _sizes(plan)
    text = f"({m:,} x {k:,}) W times ({k:,} x {n:,}) X on {plan.target.name}, {dtype}"
    if isinstance(plan, DensePlan):
        return f"dense plan of {text}"
    partials = plan.problem.partials_dtype
    if isinstance(plan, DynamicPlan):
        b = plan.problem.block_size
        return (
            f"dynamic plan ({plan.strategy}) of {text} with {partials} partials\n"
            f"W: any pattern of up to {plan.capacity_blocks:,} blocks of {b} x {b}, density {plan.density:.4g}"
        )
    pattern = plan.pattern
    b = pattern.block_size
    return (
        f"static plan ({plan.strategy}) of {text} with {partials} partials\n"
        f"W: {pattern.nnz_blocks:,} blocks of {b} x {b}, density {pattern.density:.4g}"
    )


def verdict(plan: Plan, static: Optional[StaticPlan] = None) -> str:
    """Whether the plan fits and what it takes, one line; static: the plan that a dense one was preferred to."""
    if not plan.fits:
        return f"does not fit: {plan.shortfall or plan.reason}"
    assert plan.cost is not None
    start = f"fits; {plan.cost.total_cycles:,.0f} cycles = {plan.cost.seconds * 1e6:,.1f} us, {plan.tflops:.2f} TFLOP/s"
    if static is not None:
        if static.cost is None or not static.fits:
            return f"{start}; dense, as the static plan does not fit"
        return f"{start}; dense, as it is {static.cost.total_cycles / plan.cost.total_cycles:.2f}x faster than static"
    if isinstance(plan, DensePlan):
        return f"{start}; dense"
    return f"{start} of nonzeros; {compared(plan)}"


def compared(plan: Union[StaticPlan, DynamicPlan]) -> str:
    """The predicted speed-up over dense in words."""
    speedup = plan.speedup_vs_dense
    if speedup is None:
        return "dense does not fit"
    return f"{speedup:.2f}x faster than dense" if speedup >= 1 else f"{1 / speedup:.2f}x slower than dense"


def tables(plan: Plan) -> List[RenderableType]:
    """Partition, steps, memory of the worst tile and candidates; only the headline for a plan without a partition."""
    views: List[RenderableType] = [Text(headline(plan))]
    if plan.cost is None or plan.memory is None:
        return views
    if isinstance(plan, DynamicPlan):
        views.append(_buckets_line(plan))
    return [*views, partition_line(plan), steps_table(plan), memory_table(plan), candidates_table(plan)]


def _buckets_line(plan: DynamicPlan) -> Text:
    """What a bucket holds, and how likely a random pattern is to need more."""
    size = f"{plan.frame.num_cells:,} of {plan.layout.capacity:,} blocks" if plan.draft is not None else "on every tile"
    return Text(
        f"buckets: {size}, {plan.bucket_bytes:,} B on a tile; a random pattern needs propagation with probability "
        f"{plan.propagation_probability:.2g}"
    )


def partition_line(plan: Plan) -> Text:
    """The parts per axis, the tiles that work and how evenly."""
    grid, passes = plan.grid, _passes(plan)
    axis = "m" if isinstance(plan, DensePlan) else "n"
    again = f", {passes} serial passes over {axis}" if passes > 1 else ""
    return Text(
        f"partition: qm {grid.qm}, qk {grid.qk}, qn {grid.qn}{again}; {plan.tiles_used:,} of {plan.target.tiles:,} "
        f"tiles; imbalance {plan.imbalance:.2f} (slowest tile / mean); bottleneck: {plan.bottleneck}"
    )


def steps_table(plan: Plan) -> Table:
    """Predicted cycles of each step, what is fixed, and the total."""
    assert plan.cost is not None
    table = new_table("predicted cycles", "step", "kind")
    for name in ("cycles", "share"):
        table.add_column(name, justify="right")
    total = plan.cost.total_cycles
    for name, kind, cycles in step_rows(plan):
        table.add_row(name, kind, f"{cycles:,.0f}", f"{cycles / total:.1%}" if total else "")
    table.add_section()
    table.add_row("total", "", f"{total:,.0f}", "")
    return table


def step_rows(plan: Plan) -> List[Tuple[str, str, float]]:
    """(name, kind, cycles) of each step in all serial passes, then what no step accounts for.

    control: launch, control of the steps, and bringing X and Y to and from the order of blocks.
    """
    assert plan.cost is not None
    sums: Dict[Tuple[str, str], float] = {}
    for step in plan.steps:
        sums[step.name, step.kind] = sums.get((step.name, step.kind), 0.0) + step.cycles * step.repeats
    rows = [(name, kind, cycles) for (name, kind), cycles in sums.items() if cycles]
    rest = plan.cost.total_cycles - sum(cycles for _, _, cycles in rows)
    return [*rows, ("control", "fixed", rest - plan.cost.sync_cycles), ("sync", "fixed", plan.cost.sync_cycles)]


def memory_table(plan: Plan) -> Table:
    """Bytes of the worst tile by category against what a tile has."""
    assert plan.memory is not None
    tile, capacity = plan.memory.worst_tile, plan.memory.capacity_bytes
    table = new_table(f"bytes on the worst tile, {tile}", "category")
    table.add_column("bytes", justify="right")
    for name, size in sorted(plan.memory.of_tile(tile).items(), key=lambda item: -item[1]):
        if size:
            table.add_row(name, f"{size:,}")
    table.add_section()
    table.add_row(f"total of {capacity:,}", f"{plan.memory.peak_bytes:,} ({plan.memory.peak_bytes / capacity:.1%})")
    return table


def candidates_table(plan: Plan) -> Table:
    """The best of what the search looked at, and how many there were."""
    tried = [one for one in plan.candidates if one.total_cycles is not None]
    ranked = sorted(tried, key=lambda one: (one.verdict != "chosen", one.total_cycles))
    title = f"candidates: {len(plan.candidates):,} looked at, {len(tried):,} in full"
    table = new_table(title, "candidate", "qm, qk, qn")
    for name in ("passes", "cycles", "bytes"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for one in ranked[:_CANDIDATES_SHOWN]:
        peak = "" if one.peak_bytes is None else f"{one.peak_bytes:,}"
        grid = ", ".join(str(parts) for parts in one.grid)
        table.add_row(one.name, grid, str(one.passes), f"{one.total_cycles:,.0f}", peak, one.verdict)
    if len(ranked) > _CANDIDATES_SHOWN:
        table.add_row(f"and {len(ranked) - _CANDIDATES_SHOWN:,} more", "", "", "", "", "")
    return table


def plan_fields(plan: Plan) -> Dict[str, Any]:
    """JSON-safe numbers of a plan; the plan's own to_json holds every tile."""
    m, k, n, dtype = _sizes(plan)
    fields: Dict[str, Any] = {"mode": plan.mode, "m": m, "k": k, "n": n, "dtype": dtype, "target": plan.target.name}
    if isinstance(plan, StaticPlan):
        pattern = plan.pattern
        fields.update(
            strategy=plan.strategy,
            partials_dtype=plan.problem.partials_dtype,
            block_size=pattern.block_size,
            nnz_blocks=pattern.nnz_blocks,
            density=pattern.density,
            published_cycles=plan.published_cost,
        )
    if isinstance(plan, DynamicPlan):
        fields.update(
            strategy=plan.strategy,
            partials_dtype=plan.problem.partials_dtype,
            block_size=plan.problem.block_size,
            capacity_blocks=plan.capacity_blocks,
            density=plan.density,
            published_cycles=plan.published_cost,
            propagation_probability=plan.propagation_probability,
        )
    fields.update(fits=plan.fits, reason="" if plan.fits else str(plan.shortfall or plan.reason))
    if plan.cost is not None and plan.memory is not None:
        fields.update(_prediction(plan))
    return fields


def _prediction(plan: Plan) -> Dict[str, Any]:
    assert plan.cost is not None and plan.memory is not None
    tile = plan.memory.worst_tile
    return {
        "grid": plan.grid._asdict(),
        "passes": _passes(plan),
        "tiles_used": plan.tiles_used,
        "imbalance": plan.imbalance,
        "cost": plan.cost.to_dict(),
        "steps": [{"name": name, "kind": kind, "cycles": cycles} for name, kind, cycles in step_rows(plan)],
        "flops": plan.flops,
        "tflops": plan.tflops,
        "efficiency": plan.efficiency,
        "bottleneck": plan.bottleneck,
        "speedup_vs_dense": plan.speedup_vs_dense,
        "memory": {
            "worst_tile": tile,
            "peak_bytes": plan.memory.peak_bytes,
            "capacity_bytes": plan.memory.capacity_bytes,
            "categories": plan.memory.of_tile(tile),
        },
        "candidates": [dict(vars(one), grid=one.grid._asdict()) for one in plan.candidates],
    }


def _sizes(plan: Plan) -> Tuple[int, int, int, str]:
    of = plan if isinstance(plan, DensePlan) else plan.problem
    return of.m, of.k, of.n, of.dtype


def _passes(plan: Plan) -> int:
    if isinstance(plan, DensePlan):
        return plan.passes
    if isinstance(plan, DynamicPlan):
        return 1 if plan.draft is None else plan.frame.passes
    return 1 if plan.partition is None else plan.partition.num_passes
