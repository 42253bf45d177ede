"""Dynamic plans in words: cells, buckets, cost by pass, propagation, memory."""

from __future__ import annotations

from typing import Any, List

DynamicPlan = Any  # dynamic_plan.DynamicPlan, which calls this module


def explain_dynamic(plan: DynamicPlan) -> str:
    """Lines for a terminal; no prediction is printed for a plan that has none."""
    problem = plan.problem
    lines = [
        f"dynamic {plan.strategy} plan of ({problem.m} x {problem.k}) W times ({problem.k} x {problem.n}) X on "
        f"{plan.target.name}, {problem.dtype} with {problem.partials_dtype} partials",
        f"  W: any pattern of up to {plan.capacity_blocks:,} blocks of {problem.block_size} x {problem.block_size}, "
        f"density {plan.density:.4g}",
    ]
    if plan.cost is None:
        return "\n".join([*lines, f"  no plan: {plan.reason}"])
    return "\n".join(lines + _verdict(plan) + _cells(plan) + _steps(plan) + _memory(plan))


def _verdict(plan: DynamicPlan) -> List[str]:
    if plan.shortfall is not None:
        return [f"  does not fit: {plan.shortfall}"]
    if plan.reason:
        return [f"  does not fit: {plan.reason}"]
    speedup = plan.speedup_vs_dense
    if speedup is None:
        return ["  fits; dense does not, so there is nothing to compare with"]
    word = "faster" if speedup >= 1 else "slower"
    factor = speedup if speedup >= 1 else 1 / max(speedup, 1e-12)
    return [f"  fits; predicted {factor:.2f}x {word} than dense; most cycles go to {plan.bottleneck}"]


def _cells(plan: DynamicPlan) -> List[str]:
    grid, chance = plan.grid, plan.propagation_probability
    passes = 1 if plan.draft is None else plan.frame.passes
    again = f", {passes} serial passes over n" if passes > 1 else ""
    partition = (
        f"  partition: qm {grid.qm}, qk {grid.qk}, qn {grid.qn}{again}; {plan.tiles_used:,} of {plan.target.tiles:,} "
        f"tiles; imbalance {plan.imbalance:.2f}"
    )
    if plan.draft is None:
        buckets = f"  buckets: {plan.published.nz_blocks_per_bucket:,} blocks"
    else:
        buckets = f"  buckets: {plan.layout.capacity:,} blocks for each of {plan.frame.num_cells:,} cells"
    steps = f", the median one {plan.propagation_steps} steps" if plan.propagation_steps else ""
    random = f"a random pattern needs propagation with probability {chance:.2g}{steps}"
    return [partition, f"{buckets}, {plan.bucket_bytes:,} B a tile; {random}"]


def _steps(plan: DynamicPlan) -> List[str]:
    cost = plan.cost
    lines = [
        f"  {step.name:<10}{step.kind:<9}{step.cycles * step.repeats:>12,.0f} cycles"
        for step in plan.steps
        if step.cycles
    ]
    fixed = cost.sync_cycles + cost.other_cycles
    lines.append(f"  {'fixed':<10}{'control':<9}{fixed:>12,.0f} cycles ({cost.sync_cycles:,.0f} of them sync)")
    lines.append(
        f"  {'total':<19}{cost.total_cycles:>12,.0f} cycles = {cost.seconds * 1e6:,.1f} us, {plan.tflops:.2f} TFLOP/s "
        f"of nonzeros, {plan.efficiency:.1%} of peak"
    )
    for name, one in plan.pass_costs.items():
        if name != "forward":
            lines.append(f"  {name:<19}{one.total_cycles:>12,.0f} cycles")
    if plan.published_cost is not None:
        lines.append(f"  {'published estimate':<19}{plan.published_cost:>12,} cycles, all passes")
    return lines


def _memory(plan: DynamicPlan) -> List[str]:
    tile = plan.memory.worst_tile
    parts = sorted(plan.memory.of_tile(tile).items(), key=lambda item: -item[1])
    listed = ", ".join(f"{name} {size:,}" for name, size in parts if size)
    return [f"  memory of tile {tile}: {plan.memory.peak_bytes:,} of {plan.memory.capacity_bytes:,} B ({listed})"]
