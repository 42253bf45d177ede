"""Dynamic plans in words: cells, buckets, cost by pass, propagation, memory."""

from __future__ import annotations

from typing import Any, List

from .explain import headline, memory_line, published_line, step_lines, verdict_line

DynamicPlan = Any  # dynamic_plan.DynamicPlan, which calls this module


def explain_dynamic(plan: DynamicPlan) -> str:
    """Lines for a terminal; no prediction is printed for a plan that has none."""
    problem = plan.problem
    lines = [
        headline(plan),
        f"  W: any pattern of up to {plan.capacity_blocks:,} blocks of {problem.block_size} x {problem.block_size}, "
        f"density {plan.density:.4g}",
    ]
    if plan.cost is None:
        return "\n".join([*lines, f"  no plan: {plan.reason}"])
    passes = [
        f"  {name:<19}{one.total_cycles:>12,.0f} cycles" for name, one in plan.pass_costs.items() if name != "forward"
    ]
    steps = [*step_lines(plan, 10), *passes, *published_line(plan, "cycles, all passes", 10)]
    return "\n".join([*lines, verdict_line(plan), *_cells(plan), *steps, memory_line(plan)])


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
