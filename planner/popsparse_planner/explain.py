"""Plans in words: what was decided, what it costs, where it stands against dense, and what does not fit.

The lines that static and dynamic plans have in common serve explain_dynamic too.
"""

from __future__ import annotations

from typing import Any, List

StaticPlan = Any  # plan.StaticPlan, which calls this module
SparsePlan = Any  # StaticPlan or DynamicPlan


def explain_static(plan: StaticPlan) -> str:
    """Lines for a terminal; no prediction is printed for a plan that has none."""
    problem, pattern = plan.problem, plan.pattern
    lines = [
        headline(plan),
        f"  W: {pattern.nnz_blocks:,} blocks of {problem.block_size} x {problem.block_size}, "
        f"density {pattern.density:.4g}",
    ]
    if plan.partition is None:
        return "\n".join([*lines, f"  no plan: {plan.reason}"])
    steps = [*step_lines(plan), *published_line(plan, "cycles")]
    return "\n".join([*lines, verdict_line(plan), *_partition(plan), *steps, memory_line(plan)])


def headline(plan: SparsePlan) -> str:
    """The product and the machine."""
    problem = plan.problem
    return (
        f"{plan.mode} {plan.strategy} plan of ({problem.m} x {problem.k}) W times ({problem.k} x {problem.n}) X on "
        f"{plan.target.name}, {problem.dtype} with {problem.partials_dtype} partials"
    )


def verdict_line(plan: SparsePlan) -> str:
    """Whether it fits, and where it stands against dense."""
    if plan.shortfall is not None:
        return f"  does not fit: {plan.shortfall}"
    if plan.reason:
        return f"  does not fit: {plan.reason}"
    speedup = plan.speedup_vs_dense
    if speedup is None:
        return "  fits; dense does not, so there is nothing to compare with"
    word = "faster" if speedup >= 1 else "slower"
    factor = speedup if speedup >= 1 else 1 / max(speedup, 1e-12)
    return f"  fits; predicted {factor:.2f}x {word} than dense; most cycles go to {plan.bottleneck}"


def _partition(plan: StaticPlan) -> List[str]:
    assert plan.partition is not None
    grid, passes = plan.grid, plan.partition.num_passes
    again = f", {passes} serial passes over n" if passes > 1 else ""
    return [
        f"  partition: qm {grid.qm}, qk {grid.qk}, qn {grid.qn}{again}; {plan.tiles_used:,} of {plan.target.tiles:,} "
        f"tiles; imbalance {plan.imbalance:.2f}; values {plan.partition.values}, {plan.partition.place_of_sums}"
    ]


def step_lines(plan: SparsePlan, width: int = 9) -> List[str]:
    """Every step, what is fixed, and the total; width: columns of a step's name."""
    assert plan.cost is not None
    cost = plan.cost
    lines = [
        f"  {step.name:<{width}}{step.kind:<9}{step.cycles * step.repeats:>12,.0f} cycles"
        for step in plan.steps
        if step.cycles
    ]
    fixed = cost.sync_cycles + cost.other_cycles
    lines.append(f"  {'fixed':<{width}}{'control':<9}{fixed:>12,.0f} cycles ({cost.sync_cycles:,.0f} of them sync)")
    rates = f"{plan.tflops:.2f} TFLOP/s of nonzeros, {plan.efficiency:.1%} of peak"
    total = f"{cost.total_cycles:>12,.0f} cycles = {cost.seconds * 1e6:,.1f} us, {rates}"
    lines.append(f"  {'total':<{width + 9}}{total}")
    return lines


def published_line(plan: SparsePlan, unit: str, width: int = 9) -> List[str]:
    """The published planner's own estimate, of a plan that has one; width: as of step_lines."""
    if plan.published_cost is None:
        return []
    return [f"  {'published estimate':<{width + 9}}{plan.published_cost:>12,} {unit}"]


def memory_line(plan: SparsePlan) -> str:
    """Bytes of the fullest tile."""
    assert plan.memory is not None
    tile = plan.memory.worst_tile
    parts = sorted(plan.memory.of_tile(tile).items(), key=lambda item: -item[1])
    listed = ", ".join(f"{name} {size:,}" for name, size in parts if size)
    return f"  memory of tile {tile}: {plan.memory.peak_bytes:,} of {plan.memory.capacity_bytes:,} B ({listed})"
