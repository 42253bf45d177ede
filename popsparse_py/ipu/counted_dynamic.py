"""Counted cycles of a dynamic program with a pattern: each vertex by its own list, each step as often as it ran."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Tuple

import numpy as np

from popsparse_planner.bucket_cycles import BUCKET_VERTEX_CYCLES
from popsparse_planner.cost import Cost, call_cost, decision_cost, layout_cost
from popsparse_planner.dynamic.buckets import Buckets
from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.target import Target

from .control import all_steps
from .counted import StepCount, counted_second_stage, step_count
from .program import Compute, Exchange, Program, VertexSet


def pattern_cycles(plan: DynamicPlan, buckets: Buckets, one: VertexSet) -> np.ndarray:
    """int64 [vertices]: cycles of the vertices of a set with these buckets; as they are where no bucket is read."""
    name = one.vertex[len("popsparse_py::") :].split("<")[0]
    rule = BUCKET_VERTEX_CYCLES.get(one.vertex)
    if rule is None or name not in _DEPENDS:
        return one.cycles
    columns, cells = plan.frame.columns, one.tile % plan.frame.num_cells
    rows, blocks = buckets.worker_rows[cells], buckets.worker_blocks[cells]
    if name == "DynamicElementDot":
        assert plan.draft is not None
        return rule(columns, plan.draft.n_groups, rows, blocks)
    total_rows, total_blocks = buckets.lists[cells, 0].astype(np.int64), buckets.placement.local[cells]
    if name == "DynamicBlockDot" or name.endswith("Sampled"):
        return rule(columns, total_rows, total_blocks)
    return rule(columns, one.scalars["numOutputs"], total_rows, total_blocks)


_DEPENDS = (
    "DynamicElementDot",
    "DynamicBlockDot",
    "DynamicElementTransposed",
    "DynamicBlockTransposed",
    "DynamicElementSampled",
    "DynamicBlockSampled",
)


def _packet_cycles(plan: DynamicPlan, buckets: Buckets, one: VertexSet) -> float:
    """Mean over the steps of the slowest product of a packet."""
    placement = buckets.placement
    rule = BUCKET_VERTEX_CYCLES[one.vertex]
    largest = np.zeros(max(placement.num_steps, 1), dtype=np.int64)
    np.maximum.at(largest, placement.step, placement.num_blocks)
    extra = (plan.layout.packet_blocks,) if "Sampled" in one.vertex else ()
    return float(np.mean(rule(plan.frame.columns, *extra, largest)))


def _counted_step(plan: DynamicPlan, buckets: Buckets, step: Compute) -> Compute:
    vertices: List[VertexSet] = []
    for one in step.vertices:
        if one.vertex.split("::")[1].startswith(("PacketDot", "PacketSampled")):
            cycles = np.full(len(one.tile), round(_packet_cycles(plan, buckets, one)), dtype=np.int64)
        else:
            cycles = pattern_cycles(plan, buckets, one)
        vertices.append(replace(one, cycles=cycles))
    return replace(step, vertices=tuple(vertices))


def dynamic_counts(
    program: Program, plan: DynamicPlan, buckets: Buckets, executions: Mapping[int, int]
) -> Tuple[Cost, Tuple[Tuple[StepCount, int], ...]]:
    """(cost of a call, every step with how often it ran); executions: by id() of the program's steps.

    Each test of a loop and each switch counts as a decision.
    """
    target = plan.target
    cost = _fixed_cost(program, target)
    counts: List[Tuple[StepCount, int]] = []
    inner: Dict[int, int] = {}
    for step in all_steps(program.steps):
        times = executions[id(step)]
        if isinstance(step, (Exchange, Compute)):
            if times:
                counted = _counted_step(plan, buckets, step) if isinstance(step, Compute) else step
                count = step_count(program, counted, target)
                cost = cost + count.cost * times
                counts.append((count, times))
            continue
        inner[id(step)] = times
        cost = cost + decision_cost(target) * times
    rounds = sum(times for step, times in inner.items())
    loops = sum(executions[id(step)] for step in program.steps if id(step) in inner)
    cost = cost + decision_cost(target) * max(rounds - loops, 0)  # the test after each round
    return cost, tuple(counts)


def _fixed_cost(program: Program, target: Target) -> Cost:
    tensors = [v.bytes_per_tile(program.num_tiles) for v in program.variables.values() if v.role in ("input", "output")]
    names = [v for v in program.variables.values() if v.name == "gradients"]
    gradients = sum((v.bytes_per_tile(program.num_tiles) for v in names), np.zeros(program.num_tiles, dtype=np.int64))
    homes = np.sum(tensors, axis=0) - gradients if program.strided else np.zeros(0)
    cost = call_cost(target) + layout_cost(target, program.block_size, program.column_parts, homes)
    return cost + counted_second_stage(program, target)
