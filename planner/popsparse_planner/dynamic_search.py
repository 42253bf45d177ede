"""From a shape and a density to a dynamic plan: the strategies, and what does not fit in words."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from numbers import Real
from typing import Dict, List, Optional, Tuple, Union

from .cost import Cost
from .dense import plan_dense
from .dynamic.evaluate import PassCost
from .dynamic.frame import frame_partition
from .dynamic.popsparse import PublishedDynamicChoice, search_published_dynamic
from .dynamic.published_evaluate import evaluate_published_dynamic
from .dynamic.quantile import Found, QuantileSearch
from .dynamic_plan import DynamicPlan
from .errors import CapacityError, PlanError
from .plan import Candidate, Grid, Shortfall, Step
from .problem import PlanOptions, Problem
from .target import Target, load_target

DYNAMIC_STRATEGIES = ("quantile", "popsparse")


def plan_dynamic(
    m: int,
    k: int,
    n: int,
    *,
    block_size: int,
    density: Union[float, Fraction, None] = None,
    capacity_blocks: Optional[int] = None,
    dtype: str = "float16",
    partials_dtype: Optional[str] = None,
    target: Union[str, Target] = "bow",
    strategy: str = "quantile",
    options: Optional[PlanOptions] = None,
) -> DynamicPlan:
    """The plan of Y (m, n) = W (m, k) X (k, n) for every pattern of W up to a density or a number of blocks.

    density: in (0, 1], planned for ceil(density * all blocks) blocks; capacity_blocks: that number itself; give one.
    dtype: "float16" or "float32", of W, X and Y. partials_dtype: of unreduced sums; default float32, with either
    strategy (the published library's own default, with which it was measured). strategy: "quantile" (default) or
    "popsparse" (the published planner reproduced, to compare with). options.grad_input, options.grad_weight: passes
    planned besides the forward one. Raises PlanError, ShapeError, DTypeError, CapacityError, TargetError for wrong
    arguments, never because something does not fit: then `fits` is False, and `shortfall` or `reason` says why.
    """
    if strategy not in DYNAMIC_STRATEGIES:
        raise PlanError(f"strategy {strategy!r} is unknown: expected one of {', '.join(DYNAMIC_STRATEGIES)}")
    machine = load_target(target)
    problem = Problem(m, k, n, block_size, dtype, partials_dtype or "float32")
    blocks = _capacity(problem, density, capacity_blocks)
    chosen = options or PlanOptions()
    if strategy == "popsparse":
        plan = _popsparse(problem, machine, chosen, blocks)
    else:
        plan = _quantile(problem, machine, chosen, blocks)
    dense = plan_dense(problem.m, problem.k, problem.n, dtype=dtype, target=machine)
    return replace(plan, dense_cost=dense.cost if dense.fits else None, kept={})


def _capacity(problem: Problem, density: Union[float, Fraction, None], capacity_blocks: Optional[int]) -> int:
    """Blocks to plan for; PlanError or CapacityError unless exactly one of the two is given and is possible."""
    mb, kb = problem.block_grid
    if (density is None) == (capacity_blocks is None):
        raise PlanError("give the density of the patterns to plan for, or capacity_blocks, one of the two")
    for name, given in (("density", density), ("capacity_blocks", capacity_blocks)):
        if given is not None and (isinstance(given, bool) or not isinstance(given, Real)):
            raise PlanError(f"{name} must be a number, got {given!r}")
    if density is not None:
        if not 0 < density <= 1:
            raise PlanError(f"density must lie in (0, 1], got {density}", density=density)
        exact = density if isinstance(density, Fraction) else Fraction(float(density)).limit_denominator(10**9)
        return math.ceil(exact * mb * kb)
    assert capacity_blocks is not None
    if not math.isfinite(capacity_blocks) or int(capacity_blocks) != capacity_blocks:
        raise PlanError(f"capacity_blocks must be a whole number, got {capacity_blocks!r}")
    if not 1 <= capacity_blocks <= mb * kb:
        raise CapacityError(
            f"capacity_blocks must lie in [1, {mb * kb:,}] for {mb} x {kb} blocks, got {capacity_blocks:,}",
            capacity_blocks=capacity_blocks,
        )
    return int(capacity_blocks)


def _passes(options: PlanOptions) -> Tuple[str, ...]:
    asked = {"forward": True, "grad_input": options.grad_input, "grad_weight": options.grad_weight}
    return tuple(name for name, wanted in asked.items() if wanted)


def _quantile(problem: Problem, target: Target, options: PlanOptions, blocks: int) -> DynamicPlan:
    found = QuantileSearch(problem, target, options, blocks, _passes(options)).run()
    best = found[0]
    plan = _assembled(problem, target, "quantile", options, blocks, best.passes)
    plan = replace(plan, propagation_probability=best.draft.spill_probability)
    plan = replace(plan, draft=best.draft, candidates=tuple(_candidate(one, one is best) for one in found))
    return replace(plan, reason=best.overflow, shortfall=_shortfall(plan, blocks))


def _popsparse(problem: Problem, target: Target, options: PlanOptions, blocks: int) -> DynamicPlan:
    try:
        choice: Optional[PublishedDynamicChoice] = search_published_dynamic(
            problem.m,
            problem.k,
            problem.n,
            problem.block_size,
            blocks,
            target=target,
            dtype=problem.dtype,
            partials_dtype=problem.partials_dtype,
            options=options,
        )
        reason = "" if choice is None or choice.ok else choice.message
    except PlanError as error:
        choice, reason = None, str(error)
    if choice is None or not choice.ok:
        made = _assembled(problem, target, "popsparse", options, blocks, {})
        return replace(made, reason=f"{reason}; strategy='quantile' searches more partitions", published=choice)
    found = evaluate_published_dynamic(problem, blocks, choice, target, options)
    plan = _assembled(problem, target, "popsparse", options, blocks, {})
    plan = replace(plan, published=choice, pass_costs={"forward": found.cost}, memory=found.memory, steps=found.steps)
    plan = replace(plan, propagation_probability=found.spill_probability, propagation_steps=found.propagation_steps)
    return replace(plan, shortfall=_shortfall(plan, blocks))


def _assembled(
    problem: Problem, target: Target, strategy: str, options: PlanOptions, blocks: int, passes: Dict[str, PassCost]
) -> DynamicPlan:
    """The plan with what follows from its evaluated passes."""
    costs: Dict[str, Cost] = {name: one.cost for name, one in passes.items()}
    memories = [one.memory for one in passes.values()]
    steps = passes["forward"].steps if passes else ()
    return DynamicPlan(
        problem=problem,
        target=target,
        strategy=strategy,
        options=options,
        capacity_blocks=blocks,
        draft=None,
        pass_costs=costs,
        memory=max(memories, key=lambda memory: memory.peak_bytes) if memories else None,
        steps=tuple(Step(s.name, s.kind, s.cycles, s.repeats) for s in steps),
        candidates=(),
    )


def _candidate(found: Found, won: bool) -> Candidate:
    frame = found.draft.frame
    if won:
        verdict = "chosen"
    elif found.overflow:
        verdict = f"does not fit: {found.overflow}"
    elif not found.fits:
        verdict = f"does not fit: a tile needs {found.peak_bytes:,} B"
    else:
        verdict = "slower"
    place = frame_partition(frame, found.draft.reduce_at).place_of_sums
    name = f"{frame.qm} x {frame.qk} cells, {frame.qn} parts of n, {place}"
    grid = Grid(frame.qm, frame.qk, frame.qn)
    return Candidate(name, grid, frame.passes, found.estimated_cycles, found.total_cycles, found.peak_bytes, verdict)


def _shortfall(plan: DynamicPlan, blocks: int) -> Optional[Shortfall]:
    return None if plan.memory is None else Shortfall.of(plan.memory, lambda: _hint(plan, blocks))


def _hint(plan: DynamicPlan, blocks: int) -> str:
    """The nearest change that fits, from how the bytes grow with n and with the capacity."""
    memory = plan.memory
    assert memory is not None
    parts = memory.of_tile(memory.worst_tile)
    over = memory.peak_bytes - memory.capacity_bytes
    for names, what, amount in (
        (("input", "output", "x_slices", "partials", "reduce_inputs", "reduced"), "n", plan.problem.n),
        (("values", "constants", "value_slices"), "capacity_blocks", blocks),
    ):
        growing: List[int] = [parts.get(name, 0) for name in names]
        left = int(amount * (1 - over / sum(growing))) if sum(growing) > over else 0
        if left >= 1:
            return f"{what} of about {left:,} would fit"
    tiles = -(-memory.peak_bytes * plan.target.tiles // memory.capacity_bytes)
    return f"about {tiles:,} tiles would hold it"
