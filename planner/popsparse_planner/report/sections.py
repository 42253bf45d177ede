"""The parts of a report that follow from one plan: what was asked, where the work lies, bytes, cycles, operations."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from ..cost import PARTS, Cost
from ..dense import DensePlan
from ..dynamic.frame import frame_partition
from ..dynamic_plan import DynamicPlan
from ..memory import ALWAYS_LIVE, Memory
from ..partition import Partition
from ..plan import StaticPlan
from ..problem import item_bytes
from ..static.merged import merged, merged_problem
from ..static.work import cut_work
from ..target import Target
from .dynamic_sections import dynamic_bytes, dynamic_tiles
from .facts import Facts, Plan, peak_tflops
from .mask import mask_picture

_TARGET_NUMBERS = ("tiles", "workers", "tile_bytes", "clock_hz", "exchange_bytes_per_cycle")


def target_fields(target: Target) -> Dict[str, Any]:
    """The machine: its numbers and the model's coefficients, with the status of each."""
    fields: Dict[str, Any] = {"name": target.name}
    fields.update({name: getattr(target, name) for name in _TARGET_NUMBERS})
    fields["model"] = {
        name: {"value": value, "unit": fact.unit, "status": fact.status}
        for name, value in target.model.items()
        for fact in (target.facts[f"model.{name}"],)
    }
    return fields


def problem_fields(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """Sizes, data types and pattern of the product."""
    problem, blocks, dense = facts.problem, facts.nnz_blocks, isinstance(plan, DensePlan)
    return {
        "mode": plan.mode,
        "strategy": facts.strategy,
        "m": problem.m,
        "k": problem.k,
        "n": problem.n,
        "n_padded": problem.n_padded,
        "dtype": problem.dtype,
        "partials_dtype": problem.dtype if dense else problem.partials_dtype,
        "block_size": None if blocks is None else problem.block_size,
        "block_grid": None if blocks is None else list(problem.block_grid),
        "nnz_blocks": blocks,
        "nnz": problem.m * problem.k if blocks is None else blocks * problem.block_size**2,
        "density": facts.density,
    }


def provenance_fields(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """What a report rests on: digests of the inputs, and how many numbers of the machine are of which status."""
    statuses = Counter(fact.status for fact in plan.target.facts.values())
    pattern = facts.pattern
    return {
        "numbers": "predicted by the planner; nothing here was measured on an IPU by this project",
        "pattern_sha256": None if pattern is None else _digest(pattern.rows.tobytes() + pattern.cols.tobytes()),
        "target_sha256": _digest(json.dumps(plan.target.to_dict(), sort_keys=True).encode()),
        "target_numbers": dict(sorted(statuses.items())),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def partition_fields(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """The decision: parts per axis, tiles, balance, and a picture of the pattern coloured by tile."""
    partition, own = _partition_of(plan), isinstance(plan, StaticPlan)
    return {
        "grid": plan.grid._asdict(),
        "passes": facts.passes,
        "passes_over": "m" if isinstance(plan, DensePlan) else "n",
        "tiles_used": plan.tiles_used,
        "imbalance": plan.imbalance,
        "values": None if partition is None or not own else partition.values,  # dynamic ones lie in buckets
        "reduce_at": None if partition is None else partition.reduce_at,
        "homes": None if partition is None else partition.homes,
        "mask": None if facts.pattern is None else mask_picture(facts.pattern, partition),
    }


def _partition_of(plan: Plan) -> Optional[Partition]:
    """The partition of a sparse plan that this project can execute."""
    if isinstance(plan, DynamicPlan):
        return None if plan.draft is None else frame_partition(plan.frame, plan.draft.reduce_at)
    return plan.partition if isinstance(plan, StaticPlan) else None


def tile_fields(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """One number a tile, columnar: multiplying cycles of a call, stored blocks and nonzeros, peak and lasting bytes.

    Of a dynamic plan: an even share of the blocks, and the cycles of the fullest cell that it reckons with.
    """
    tiles = plan.target.tiles
    blocks, cycles = np.zeros(tiles, dtype=np.int64), np.zeros(tiles, dtype=np.int64)
    nonzeros = blocks
    if isinstance(plan, StaticPlan):
        blocks, cycles = plan.tile_blocks, plan.dot_cycles
        nonzeros = blocks * plan.pattern.block_size**2
    elif isinstance(plan, DynamicPlan):
        blocks, cycles = dynamic_tiles(plan)
        nonzeros = blocks * plan.problem.block_size**2
    else:
        used = np.arange(tiles) < plan.tiles_used
        multiply = sum(step.cycles * step.repeats for step in plan.steps if step.kind == "compute")
        cycles = np.where(used, round(multiply), 0)
        nonzeros = np.where(used, plan.m * plan.k * plan.grid.qn // plan.tiles_used, 0)
    memory: Optional[Memory] = plan.memory
    none = np.zeros(tiles, dtype=np.int64)
    always = none if memory is None else sum(memory.always_live.values(), np.int64(0))
    return {
        "cycles": cycles,
        "blocks": blocks,
        "nonzeros": nonzeros,
        "bytes": none if memory is None else memory.per_tile,
        "always_live_bytes": np.broadcast_to(always, (tiles,)),
    }


def memory_fields(memory: Optional[Memory]) -> Dict[str, Any]:
    """Bytes by category: on the fullest tile at its fullest moment, the most of any tile, and over the chip.

    The words are PopVision's. The model places variables without gaps, so including and excluding gaps are one number.
    """
    if memory is None:
        return {"capacity_bytes": None, "peak_bytes": None, "worst_tile": None, "fits": False, "categories": []}
    tile = memory.worst_tile
    worst = memory.of_tile(tile)
    most: Dict[str, np.ndarray] = dict(memory.always_live)
    for parts in memory.moments.values():
        for name, column in parts.items():
            most[name] = np.maximum(most[name], column) if name in most else column
    categories: List[Dict[str, Any]] = [
        {
            "category": name,
            "live": "always live" if name in ALWAYS_LIVE else "not always live",
            "worst_tile_bytes": worst.get(name, 0),
            "max_bytes": column.max(),
            "total_bytes": column.sum(),
        }
        for name, column in most.items()
    ]
    return {
        "capacity_bytes": memory.capacity_bytes,
        "peak_bytes": memory.peak_bytes,
        "worst_tile": tile,
        "fits": memory.fits,
        "gaps": "not modelled: variables lie without gaps",
        "categories": categories,
    }


def cycle_fields(plan: Plan) -> Dict[str, Any]:
    """The cost by part, the dense product's beside it, and the published planner's own estimate."""
    dense: Optional[Cost] = plan.cost if isinstance(plan, DensePlan) else plan.dense_cost
    return {
        "cost": None if plan.cost is None else plan.cost.to_dict(),
        "dense_cost": None if dense is None else dense.to_dict(),
        "published_estimate_cycles": getattr(plan, "published_cost", None),
        "parts": [part[: -len("_cycles")] for part in PARTS],
    }


def flop_fields(plan: Plan, facts: Facts, tiles: Mapping[str, Any]) -> Dict[str, Any]:
    """Operations and the roofs over them.

    roofline: intensity_flops_per_byte (useful operations per byte that tiles receive), tflops reached, and three roofs
    in TFLOP/s: matrix_peak of the chip, codelet (this work's multiplying, spread evenly), exchange at this intensity.
    """
    peak = peak_tflops(plan.target, facts.problem.dtype)
    moved = _received_bytes(plan, facts)
    total, clock = sum(moved.values()), plan.target.clock_hz
    bandwidth = plan.target.tiles * plan.target.exchange_bytes_per_cycle * clock / 1e12  # TB/s
    even = float(np.asarray(tiles["cycles"], dtype=np.float64).mean())
    return {
        "useful_flops": plan.flops,
        "tflops": plan.tflops,
        "efficiency": plan.efficiency,
        "dense_tflops": _dense_tflops(plan, facts),
        "received_bytes": moved,
        "roofline": {
            "intensity_flops_per_byte": plan.flops / total if total else None,
            "matrix_peak_tflops": peak,
            "codelet_tflops": plan.flops * clock / even / 1e12 if even else None,
            "exchange_tbytes_per_second": bandwidth,
            "exchange_tflops": plan.flops / total * bandwidth if total else None,
        },
    }


def _dense_tflops(plan: Plan, facts: Facts) -> Optional[float]:
    """Rate of the dense product, all of its operations counted."""
    cost = plan.cost if isinstance(plan, DensePlan) else plan.dense_cost
    problem = facts.problem
    return None if cost is None else 2 * problem.m * problem.k * problem.n / cost.seconds / 1e12


def _received_bytes(plan: Plan, facts: Facts) -> Dict[str, int]:
    """Bytes that all tiles take in for one call, by what they are; a tile's own bytes count where they are copied."""
    if isinstance(plan, DensePlan):
        times = {"x_slices": 1, "value_slices": plan.passes, "partials": plan.passes}
        return {name: size * times[name] * plan.tiles_used for name, size in plan.temporary_bytes.items()}
    if isinstance(plan, DynamicPlan):
        return dynamic_bytes(plan)
    if plan.partition is None:
        return {}
    return _static_bytes(plan, plan.partition)


def _static_bytes(plan: StaticPlan, partition: Partition) -> Dict[str, int]:
    problem, item = merged_problem(plan.problem, partition.block_size), item_bytes(plan.problem.dtype)
    pattern = merged(plan.pattern, partition.block_size).pattern
    works = [cut_work(pattern, cut, paired=partition.paired) for cut in partition.cuts]
    x_slices = values = partials = 0
    for part, columns in enumerate(np.diff(partition.n_bounds, axis=1).sum(axis=0)):
        work = works[partition.part_cut[part]]
        width = int(columns) * problem.block_size
        x_slices += int(work.num_cols.sum()) * width * item
        shared = work.entry_sources > 1
        partials += int(shared.sum()) * width * item_bytes(problem.partials_dtype)
        partials += int((~shared).sum()) * width * item if partition.homes == "linear" else 0
        if partition.values == "broadcast":
            values += pattern.nnz * item * partition.num_passes
    return {"x_slices": x_slices, "value_slices": values, "partials": partials}


def candidate_fields(plan: Plan) -> List[Dict[str, Any]]:
    """What the search looked at, the chosen one first, then by cycles, each with the reason why it was not taken."""
    total = None if plan.cost is None else plan.cost.total_cycles
    if isinstance(plan, DynamicPlan):  # whose candidates are ranked by all planned passes
        total = sum(cost.total_cycles for cost in plan.pass_costs.values())
    rows = []
    for one in plan.candidates:
        reason = one.verdict
        if one.verdict in ("slower", "dearer") and total and one.total_cycles is not None:
            reason = f"{one.total_cycles / total - 1:+.1%} cycles"
        rows.append(dict(vars(one), grid=one.grid._asdict(), reason=reason))
    return sorted(rows, key=lambda r: (r["verdict"] != "chosen", r["total_cycles"] is None, r["total_cycles"] or 0))
