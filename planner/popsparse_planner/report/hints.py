"""One change that would help most: each possible one is tried by a short search, the best then planned in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Union

from ..dense import DensePlan
from ..dynamic_plan import DynamicPlan
from ..dynamic_search import plan_dynamic
from ..pattern import BlockPattern
from ..plan import StaticPlan
from ..problem import BLOCK_SIZES, PlanOptions, Problem, column_grain
from ..search import plan_static
from .facts import Facts, Plan, fraction_words
from .quick import Quick, quick_dynamic, quick_search

_WORTH = 1.03  # gain below which a change is not worth a sentence
_MOST_BLOCKS = 200_000  # of a pattern that is planned again only for a hint
_OWN = {"static": "balanced", "dynamic": "quantile"}  # the strategy that a change is planned with
_Sparse = Union[StaticPlan, DynamicPlan]


class Change(NamedTuple):
    """A plan to try. kind: which input changes; words: how; scale: work of the changed product over the old one's.

    pattern: of a static product; None of a dynamic one, which is planned for `density`.
    """

    kind: str
    words: str
    problem: Problem
    pattern: Optional[BlockPattern]
    density: float
    scale: float = 1.0


def hint(plan: Plan, facts: Facts) -> Dict[str, Any]:
    """{"best": the change that helps most, planned in full, or None; "tried": all of them with their quick gains}.

    gain: old time over new time for the same number of columns of Y; of a plan that does not fit None, and the first
    change that makes it fit is the best.
    """
    if isinstance(plan, DensePlan):
        return {"best": None, "tried": []}
    tried: List[Dict[str, Any]] = []
    found: List[Change] = []
    for change in _fitting(plan, facts) if not plan.fits else _faster(plan, facts):
        if change.pattern is not None and change.pattern.nnz_blocks > _MOST_BLOCKS:
            continue
        quick = _quick(plan, change)
        gain = _gain(plan, quick.total_cycles, change) if plan.fits and quick.fits else None
        tried.append({"kind": change.kind, "change": change.words, "fits": quick.fits, "quick_gain": gain})
        found.append(change)
        if quick.fits and not plan.fits:
            break
    return {"best": _best(plan, tried, found), "tried": tried}


def _quick(plan: _Sparse, change: Change) -> Quick:
    if change.pattern is None:
        return quick_dynamic(change.problem, change.density, plan.target)
    return quick_search(change.pattern, change.problem, plan.target)


def _in_full(plan: _Sparse, change: Change) -> _Sparse:
    """The plan of a changed product, forward only."""
    problem = change.problem
    types: Dict[str, Any] = {"dtype": problem.dtype, "partials_dtype": problem.partials_dtype}
    types.update(target=plan.target, options=PlanOptions())
    if change.pattern is not None:
        return plan_static(change.pattern, problem.n, **types)
    sizes = (problem.m, problem.k, problem.n)
    return plan_dynamic(*sizes, block_size=problem.block_size, density=change.density, **types)


def _best(plan: _Sparse, tried: List[Dict[str, Any]], found: List[Change]) -> Optional[Dict[str, Any]]:
    ranked = [i for i, one in enumerate(tried) if one["fits"]]
    ranked.sort(key=lambda i: -(tried[i]["quick_gain"] or 0.0))
    if not ranked:
        return None
    change = found[ranked[0]]
    made = _in_full(plan, change)
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


def _gain(plan: _Sparse, cycles: float, change: Change) -> float:
    assert plan.cost is not None
    return plan.cost.total_cycles * change.scale / cycles


def _faster(plan: _Sparse, facts: Facts) -> Iterator[Change]:
    """Changes that a user of a plan that fits could make; those that keep the product first."""
    problem, pattern, density = facts.problem, facts.pattern, facts.density
    yield from _types(plan, facts)
    for b in [size for size in BLOCK_SIZES if size > problem.block_size][:1]:
        words = f"blocks of {b} x {b} at the same density"
        yield from _uniform(facts, "block_size", words, replace(problem, block_size=b), density)
    yield Change("n", f"n = {2 * problem.n:,}", replace(problem, n=2 * problem.n), pattern, density, 2.0)
    if plan.speedup_vs_dense is not None and plan.speedup_vs_dense < 1:
        yield from _uniform(facts, "density", "density {density}", problem, density / 2)


def _fitting(plan: _Sparse, facts: Facts) -> Iterator[Change]:
    """Changes that may make a plan fit, the smallest first."""
    yield from _types(plan, facts)
    problem = facts.problem
    grain, n = column_grain(problem.dtype), problem.n
    for _ in range(4):
        n = n // 2 // grain * grain
        if n:
            yield Change("n", f"n = {n:,}", replace(problem, n=n), facts.pattern, facts.density)


def _types(plan: _Sparse, facts: Facts) -> Iterator[Change]:
    """Another strategy and other data types, for the same product."""
    problem, same = facts.problem, (facts.pattern, facts.density)
    own = _OWN[plan.mode]
    if plan.strategy != own:
        yield Change("strategy", f"strategy {own}", problem, *same)
    if (problem.dtype, problem.partials_dtype) == ("float16", "float32"):
        yield Change("partials_dtype", "float16 partials", replace(problem, partials_dtype="float16"), *same)
    if problem.dtype == "float32":
        yield Change("dtype", "float16 data", replace(problem, dtype="float16"), *same)


def _uniform(facts: Facts, kind: str, words: str, problem: Problem, density: float) -> Iterator[Change]:
    """The product with a uniform pattern of another density or block size, if that has blocks."""
    rows, cols = problem.block_grid
    blocks = round(density * rows * cols)
    if blocks < 1:
        return
    shape, most = (problem.m, problem.k), min(density, 1.0)
    pattern = None
    if facts.pattern is not None:
        pattern = BlockPattern.random(shape, density=most, block_size=problem.block_size)
    yield Change(kind, words.format(density=fraction_words(blocks / (rows * cols))), problem, pattern, most)
