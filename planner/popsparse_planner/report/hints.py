"""One change that would help most: each possible one is tried by a short search, the best then planned in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ..pattern import BlockPattern
from ..plan import StaticPlan
from ..problem import BLOCK_SIZES, PlanOptions, Problem, column_grain
from ..search import plan_static
from .facts import Facts, Plan, fraction_words
from .quick import quick_search

_WORTH = 1.03  # gain below which a change is not worth a sentence
_MOST_BLOCKS = 200_000  # of a pattern that is planned again only for a hint


class Change(NamedTuple):
    """A plan to try. kind: which input changes; words: how; scale: work of the changed product over the old one's."""

    kind: str
    words: str
    problem: Problem
    pattern: BlockPattern
    strategy: str = "balanced"
    scale: float = 1.0


def hint(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """{"best": the change that helps most, planned in full, or None; "tried": all of them with their quick gains}.

    gain: old time over new time for the same number of columns of Y; of a plan that does not fit None, and the first
    change that makes it fit is the best.
    """
    if not isinstance(plan, StaticPlan) or facts.pattern is None:
        return {"best": None, "tried": []}
    tried: List[Dict[str, Any]] = []
    found: List[Change] = []
    for change in _fitting(plan) if not plan.fits else _faster(plan):
        if change.pattern.nnz_blocks > _MOST_BLOCKS:
            continue
        quick = quick_search(change.pattern, change.problem, plan.target)
        gain = _gain(plan, quick.total_cycles, change) if plan.fits and quick.fits else None
        tried.append({"kind": change.kind, "change": change.words, "fits": quick.fits, "quick_gain": gain})
        found.append(change)
        if quick.fits and not plan.fits:
            break
    return {"best": _best(plan, tried, found), "tried": tried}


def _best(plan: StaticPlan, tried: List[Dict[str, Any]], found: List[Change]) -> Optional[Dict[str, Any]]:
    ranked = [i for i, one in enumerate(tried) if one["fits"]]
    ranked.sort(key=lambda i: -(tried[i]["quick_gain"] or 0.0))
    if not ranked:
        return None
    change = found[ranked[0]]
    problem = change.problem
    made = plan_static(
        change.pattern,
        problem.n,
        dtype=problem.dtype,
        partials_dtype=problem.partials_dtype,
        target=plan.target,
        strategy=change.strategy,
        options=PlanOptions(),
    )
    if made.cost is None or not made.fits:
        return None
    gain = _gain(plan, made.cost.total_cycles, change) if plan.fits else None
    if gain is not None and gain < _WORTH:
        return None
    sentence = f"{change.words} would fit" if gain is None else f"{change.words}: {gain:.2f}x as fast"
    if gain is not None and change.kind == "n":
        sentence += " per column"
    return {
        "kind": change.kind,
        "change": change.words,
        "sentence": f"{sentence} (planned: {made.cost.total_cycles:,.0f} cycles)",
        "total_cycles": made.cost.total_cycles,
        "gain": gain,
        "speedup_vs_dense": made.speedup_vs_dense,
    }


def _gain(plan: StaticPlan, cycles: float, change: Change) -> float:
    assert plan.cost is not None
    return plan.cost.total_cycles * change.scale / cycles


def _faster(plan: StaticPlan) -> Iterator[Change]:
    """Changes that a user of a plan that fits could make; those that keep the product first."""
    problem, pattern = plan.problem, plan.pattern
    if plan.strategy != "balanced":
        yield Change("strategy", "strategy balanced", problem, pattern)
    if (problem.dtype, problem.partials_dtype) == ("float16", "float32"):
        yield Change("partials_dtype", "float16 partials", replace(problem, partials_dtype="float16"), pattern)
    if problem.dtype == "float32":
        yield Change("dtype", "float16 data", replace(problem, dtype="float16"), pattern)
    for b in [size for size in BLOCK_SIZES if size > problem.block_size][:1]:
        wide = _uniform(pattern, b, pattern.density)
        if wide is not None:
            words = f"blocks of {b} x {b} at the same density"
            yield Change("block_size", words, replace(problem, block_size=b), wide)
    yield Change("n", f"n = {2 * problem.n:,}", replace(problem, n=2 * problem.n), pattern, scale=2.0)
    if plan.speedup_vs_dense is not None and plan.speedup_vs_dense < 1:
        half = _uniform(pattern, problem.block_size, pattern.density / 2)
        if half is not None:
            yield Change("density", f"density {fraction_words(half.density)}", problem, half)


def _fitting(plan: StaticPlan) -> Iterator[Change]:
    """Changes that may make a plan fit, the smallest first."""
    problem, pattern = plan.problem, plan.pattern
    if plan.strategy != "balanced":
        yield Change("strategy", "strategy balanced", problem, pattern)
    if (problem.dtype, problem.partials_dtype) == ("float16", "float32"):
        yield Change("partials_dtype", "float16 partials", replace(problem, partials_dtype="float16"), pattern)
    if problem.dtype == "float32":
        yield Change("dtype", "float16 data", replace(problem, dtype="float16"), pattern)
    grain, n = column_grain(problem.dtype), problem.n
    for _ in range(4):
        n = n // 2 // grain * grain
        if n:
            yield Change("n", f"n = {n:,}", replace(problem, n=n), pattern)


def _uniform(pattern: BlockPattern, block_size: int, density: float) -> Optional[BlockPattern]:
    rows, cols = (-(-side // block_size) for side in pattern.shape)
    if round(density * rows * cols) < 1:
        return None
    return BlockPattern.random(pattern.shape, density=min(density, 1.0), block_size=block_size)
