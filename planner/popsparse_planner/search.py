"""From a pattern and a number of columns to a plan: candidates, the cheapest that fits, and why the others lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import List, Optional, Tuple, Union

import numpy as np

from .cost import Cost
from .dense import plan_dense
from .errors import PlanError
from .partition import Partition
from .pattern import BlockPattern
from .plan import Candidate, Grid, Shortfall, StaticPlan, Step
from .problem import PlanOptions, Problem
from .static.balanced import BalancedSearch, Tried
from .static.evaluate import Evaluation, StaticModel
from .static.merged import blocks_by_run
from .static.nearest import nearest_change
from .static.popsparse import PublishedChoice, search_published
from .static.sizes import search_sizes
from .target import Target, load_target

STATIC_STRATEGIES = ("balanced", "popsparse")


def plan_static(
    pattern: BlockPattern,
    n: int,
    *,
    dtype: str = "float16",
    partials_dtype: Optional[str] = None,
    target: Union[str, Target] = "bow",
    strategy: str = "balanced",
    options: Optional[PlanOptions] = None,
) -> StaticPlan:
    """The plan of Y (m, n) = W (m, k) X (k, n) for a pattern of W that is known now.

    n: columns of X. dtype: "float16" or "float32", of W, X and Y. partials_dtype: of unreduced sums; default float32,
    with strategy "popsparse" the data type (another is a PlanError, as the published library has no other).
    strategy: "balanced" (default) or "popsparse" (the published partitioner reproduced). Raises for wrong arguments,
    never because something does not fit: then `fits` is False, and `shortfall` or `reason` says why.
    """
    if strategy not in STATIC_STRATEGIES:
        raise PlanError(f"strategy {strategy!r} is unknown: expected one of {', '.join(STATIC_STRATEGIES)}")
    machine = load_target(target)
    partials = partials_dtype or (dtype if strategy == "popsparse" else "float32")
    if strategy == "popsparse" and partials != dtype:
        raise PlanError(f"strategy 'popsparse' keeps partials in the data type {dtype}, got partials_dtype {partials}")
    problem = Problem(pattern.shape[0], pattern.shape[1], n, pattern.block_size, dtype, partials)
    chosen = options or PlanOptions()
    if strategy == "popsparse":
        plan = _popsparse(pattern, problem, machine, chosen)
    else:
        plan = _balanced(pattern, problem, machine, chosen)
    dense = plan_dense(problem.m, problem.k, problem.n, dtype=dtype, target=machine)
    return replace(plan, dense_cost=dense.cost if dense.fits else None)


def _published(
    pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions
) -> Tuple[Optional[PublishedChoice], str]:
    """The published partitioner's choice in the data type's partials, or why there is none."""
    try:
        choice = search_published(pattern, replace(problem, partials_dtype=problem.dtype), target, options)
    except PlanError as error:
        return None, str(error)
    return (choice, "") if choice.ok else (None, choice.message)


def published_partition(choice: PublishedChoice) -> Partition:
    """The partition that the published partitioner chose, run as its library runs it."""
    bounds = np.asarray(choice.part_bounds)[None, :]
    return Partition(
        cuts=choice.cuts,
        part_cut=choice.part_cut,
        part_first_tile=choice.part_first_tile,
        n_bounds=bounds,
        values="broadcast" if choice.n_split > 1 else "resident",
        reduce_at="sources",
        qk=max(1, choice.num_bands),
        row_split="consecutive",
    )


def _popsparse(pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> StaticPlan:
    choice, reason = _published(pattern, problem, target, options)
    if choice is None:
        hint = _hint(pattern, problem, target, options, "popsparse", target.tile_bytes)
        return _assemble(pattern, problem, target, "popsparse", options, None, None, [], f"{reason}; {hint}")
    partition = published_partition(choice)
    evaluation = StaticModel(pattern, problem, target).evaluate(partition)
    name = f"{choice.n_split} parts of n, {choice.num_bands} bands of k"
    tried = Tried(name, (1, partition.qk, partition.num_parts), 1, None, partition, evaluation)
    plan = _assemble(pattern, problem, target, "popsparse", options, partition, evaluation, [tried])
    return replace(plan, published_cost=int(choice.total_cycles))


def _balanced(pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> StaticPlan:
    choice, _ = _published(pattern, problem, target, options)
    published = published_partition(choice) if choice is not None else None
    best, others = search_sizes(pattern, problem, target, options, published)
    return _assemble(pattern, problem, target, "balanced", options, best.partition, best.evaluation, [best, *others])


def _assemble(
    pattern: BlockPattern,
    problem: Problem,
    target: Target,
    strategy: str,
    options: PlanOptions,
    partition: Optional[Partition],
    evaluation: Optional[Evaluation],
    tried: List[Tried],
    reason: str = "",
) -> StaticPlan:
    """The plan with everything that follows from its evaluation."""
    none = np.zeros(target.tiles, dtype=np.int64)
    cost: Optional[Cost] = None if evaluation is None else evaluation.cost
    memory = None if evaluation is None else evaluation.memory
    asked = (pattern, problem, target, options, strategy)
    if evaluation is not None and evaluation.memory.fits and evaluation.overflow is not None:
        reason = f"{evaluation.overflow}; {_hint(*asked, evaluation.memory.peak_bytes)}"
    return StaticPlan(
        problem=problem,
        pattern=pattern,
        target=target,
        strategy=strategy,
        options=options,
        partition=partition,
        cost=cost,
        memory=memory,
        steps=() if evaluation is None else tuple(Step(s.name, s.kind, s.cycles, s.repeats) for s in evaluation.steps),
        dot_cycles=none if evaluation is None else np.rint(evaluation.dot_cycles).astype(np.int64),
        tile_blocks=none if partition is None else _tile_blocks(pattern, partition, target.tiles),
        candidates=tuple(_candidate(t, index == 0) for index, t in enumerate(tried)),
        dense_cost=None,
        shortfall=None if memory is None else Shortfall.of(memory, partial(_hint, *asked, memory.peak_bytes)),
        reason=reason,
    )


def _tile_blocks(pattern: BlockPattern, partition: Partition, tiles: int) -> np.ndarray:
    blocks = np.zeros(tiles, dtype=np.int64)
    for part, first in enumerate(partition.part_first_tile):
        runs = partition.cuts[partition.part_cut[part]].num_runs
        blocks[first : first + runs] += np.bincount(blocks_by_run(pattern, partition, part), minlength=runs)
    return blocks


def _candidate(tried: Tried, won: bool) -> Candidate:
    memory, overflow = tried.evaluation.memory, tried.evaluation.overflow
    if not memory.fits:
        verdict = f"does not fit: tile {memory.worst_tile} needs {memory.peak_bytes:,} B"
    elif overflow is not None:
        verdict = f"does not fit: {overflow}"
    else:
        verdict = "chosen" if won else "slower"
    return Candidate(
        name=tried.name,
        grid=Grid(*tried.grid),
        passes=tried.passes,
        estimated_cycles=tried.estimated_cycles,
        total_cycles=tried.evaluation.cost.total_cycles,
        peak_bytes=memory.peak_bytes,
        verdict=verdict,
    )


def _hint(
    pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions, strategy: str, needed_bytes: int
) -> str:
    """The nearest change that fits; the published partitioner is never asked for less, so that is a change too."""
    if strategy == "balanced":
        return nearest_change(pattern, problem, target, options, needed_bytes)
    if BalancedSearch(pattern, problem, target, options).first_fit() is not None:
        return "strategy='balanced' would fit"
    return f"strategy='balanced' does not fit either: {nearest_change(pattern, problem, target, options, needed_bytes)}"
