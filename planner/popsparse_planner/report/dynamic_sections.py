"""What only reports of dynamic plans have: buckets, propagation by model and by simulation, patterns of each kind."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..dynamic.evaluate import bucket_traffic
from ..dynamic.frame import KEPT
from ..dynamic.published_spills import Capacity, place_published
from ..dynamic.simulate import Simulation, simulate, simulate_published
from ..dynamic_plan import DynamicPlan
from ..errors import PlanError
from ..pattern import BlockPattern
from ..pattern_kinds import KINDS
from ..problem import item_bytes

_MOST_BLOCKS = 1 << 18  # of a pattern that is drawn of each kind; larger plans leave that table out
_MOST_PUBLISHED_BLOCKS = 1 << 14  # as _MOST_BLOCKS, where the published placement is made


def dynamic_fields(plan: DynamicPlan) -> Dict[str, Any]:
    """What a bucket holds, every pass, how likely propagation is, and what patterns of each kind would meet."""
    return {
        "capacity_blocks": plan.capacity_blocks,
        "cells": 0 if plan.cost is None else plan.grid.qm * plan.grid.qk,
        "tiles_per_cell": plan.grid.qn,
        "bucket_blocks": _bucket_blocks(plan),
        "bucket_bytes": 0 if plan.cost is None else plan.bucket_bytes,
        "pass_cycles": {name: cost.total_cycles for name, cost in plan.pass_costs.items()},
        "propagation": propagation_fields(plan),
        "kinds": _kinds(plan),
    }


def _bucket_blocks(plan: DynamicPlan) -> int:
    """Blocks that the buckets of a cell hold."""
    if plan.draft is not None:
        return plan.layout.capacity
    return 0 if plan.cost is None or plan.published is None else plan.published.nz_blocks_per_bucket * plan.grid.qn


def _simulation(plan: DynamicPlan) -> Optional[Simulation]:
    if plan.draft is not None:
        return simulate(plan.frame, plan.layout, plan.capacity_blocks)
    if plan.cost is None or plan.published is None:
        return None
    ratio = plan.problem.block_size // plan.published.block_size
    rows, cols = plan.problem.block_grid
    capacity = Capacity.of(plan.published, grad_weight=plan.options.grad_weight)
    return simulate_published((rows * ratio, cols * ratio), plan.capacity_blocks * ratio * ratio, capacity)


def propagation_fields(plan: DynamicPlan) -> Optional[Dict[str, Any]]:
    """How likely a uniform pattern of the planned density is to need propagation, by the model and drawn."""
    found, own = _simulation(plan), plan.draft is not None
    if found is None:
        return None
    return {
        "model_probability": plan.propagation_probability,
        "simulated_probability": found.probability,
        "simulated_patterns": found.patterns,
        "mean_overfull_cells": found.mean_overfull_cells,
        "mean_spilled_blocks": found.mean_spilled_blocks,
        "median_steps": found.median_steps if own else plan.propagation_steps,
        "most_steps": found.most_steps if own else None,
    }


def most_blocks(plan: DynamicPlan) -> int:
    """Capacity up to which patterns of a plan are drawn and placed; above it that takes too long for a report."""
    return _MOST_PUBLISHED_BLOCKS if plan.draft is None else _MOST_BLOCKS


def _kinds(plan: DynamicPlan) -> List[Dict[str, Any]]:
    """One drawn pattern of each kind, as full as the plan allows; none for plans of many blocks."""
    if plan.cost is None or plan.capacity_blocks > most_blocks(plan):
        return []
    return [dict(pattern_fields(plan, kind, plan.options.seed), kind=kind) for kind in KINDS]


def pattern_fields(plan: DynamicPlan, kind: str, seed: int) -> Dict[str, Any]:
    """fits, steps, spilled_blocks, overfull_cells and total_cycles of a pattern that fills the plan's capacity."""
    shape, b = (plan.problem.m, plan.problem.k), plan.problem.block_size
    pattern = BlockPattern.random(shape, density=plan.density, block_size=b, kind=kind, seed=seed)
    return _published_forecast(plan, pattern) if plan.draft is None else _forecast(plan, pattern)


def _forecast(plan: DynamicPlan, pattern: BlockPattern) -> Dict[str, Any]:
    found = plan.explain_pattern(pattern)
    return {
        "fits": found.fits,
        "steps": found.steps,
        "spilled_blocks": found.spilled_blocks,
        "overfull_cells": len(found.overfull_cells),
        "total_cycles": found.total_cycles if found.fits else None,
    }


def _published_forecast(plan: DynamicPlan, pattern: BlockPattern) -> Dict[str, Any]:
    """By the published placement; its overfull tiles stand for overfull cells."""
    assert plan.published is not None
    none: Dict[str, Any] = dict.fromkeys(("steps", "spilled_blocks", "overfull_cells"), 0)
    try:
        placed = place_published(_recut(pattern, plan.published.block_size), Capacity.of(plan.published))
    except PlanError:
        return dict(none, fits=False, total_cycles=None)
    spilled = int(placed.subgroups.blocks[placed.spilled].sum())
    return {
        "fits": placed.unplaced == 0,
        "steps": placed.steps_skip_aware,
        "spilled_blocks": spilled,
        "overfull_cells": placed.tiles_overfull,
        "total_cycles": None,
    }


def _recut(pattern: BlockPattern, block_size: int) -> BlockPattern:
    """The pattern in blocks of the codelets' size."""
    ratio = pattern.block_size // block_size
    if ratio == 1:
        return pattern
    row, col = (np.repeat(index.astype(np.int64) * ratio, ratio * ratio) for index in (pattern.rows, pattern.cols))
    within = np.tile(np.arange(ratio * ratio), pattern.nnz_blocks)
    shape = tuple(side * pattern.block_size for side in pattern.block_grid)
    place = (row + within // ratio, col + within % ratio)
    return BlockPattern.from_indices(*place, shape=(shape[0], shape[1]), block_size=block_size)


def dynamic_tiles(plan: DynamicPlan) -> Tuple[np.ndarray, np.ndarray]:
    """(blocks, multiplying cycles) of each tile, int64: a cell's even share, and the fullest cell's cycles."""
    used = np.arange(plan.target.tiles) < plan.tiles_used
    multiply = sum(step.cycles * step.repeats for step in plan.steps if step.kind == "compute")
    cells = max(plan.grid.qm * plan.grid.qk, 1)
    return np.where(used, round(plan.capacity_blocks / cells), 0), np.where(used, round(multiply), 0)


def dynamic_bytes(plan: DynamicPlan) -> Dict[str, int]:
    """Bytes that all tiles take in for a forward call without propagation, by what they are."""
    if plan.cost is None:
        return {}
    problem, grid = plan.problem, plan.grid
    item, wide = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    rows, depth = -(-problem.m // max(grid.qm, 1)), -(-problem.k // max(grid.qk, 1))
    columns = problem.n_padded if plan.draft is None else plan.frame.num_columns
    if plan.draft is None:
        buckets = plan.tiles_used * plan.bucket_bytes * (grid.qn - 1)
    else:
        buckets = int(bucket_traffic(plan.frame, plan.layout, plan.target.tiles).received.sum())
    moves = grid.qk > 1 or plan.draft is None or plan.draft.reduce_at != KEPT
    return {
        "x_slices": depth * grid.qk * grid.qm * columns * item,
        "value_slices": buckets,
        "partials": moves * rows * grid.qm * grid.qk * columns * (wide if grid.qk > 1 else item),
    }
