"""Many plans in little time: a few partitions evaluated, or the closed form for large patterns."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any, List, NamedTuple, Set, Tuple

import numpy as np

from ..dynamic.quantile import QuantileSearch
from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem, column_grain
from ..static.choices import Choice, ChoiceSpace
from ..static.evaluate import StaticModel
from ..static.sizes import cheapest_size
from ..target import Target

_EVALUATIONS = 3  # for each number of serial passes, of partitions that differ in their parts of n
_PASSES = (1, 2, 4, 8, 16)
_MOST_BLOCKS = 60_000  # of a pattern that a grid cell draws and evaluates; above it the closed form is close


class Quick(NamedTuple):
    """Predicted total cycles; method: "search" (the best of a few partitions) or "closed form"."""

    total_cycles: float
    fits: bool
    method: str


class _Uniform(NamedTuple):
    """A uniform pattern as far as the closed form looks at it: rows holds the longest row only."""

    block_grid: Tuple[int, int]
    density: float
    rows: np.ndarray


def quick_search(pattern: BlockPattern, problem: Problem, target: Target) -> Quick:
    """The best of a few partitions: from as good as a full search to some 15% dearer; in serial passes if it must."""
    pattern, problem = cheapest_size(pattern, problem, target)
    space, model = ChoiceSpace(pattern, problem, target), StaticModel(pattern, problem, target)
    best = Quick(float("inf"), False, "search")
    for passes in _PASSES:
        if passes > problem.n_padded // column_grain(problem.dtype):
            break
        partitions = [space.partition(choice) for choice in _distinct(space, passes, target)]
        tried = [_evaluated(model, partition) for partition in partitions]
        if tried:  # the best once more, its sums made where the partials are
            first = min(range(len(tried)), key=lambda i: _rank(tried[i]))
            tried.append(_evaluated(model, replace(partitions[first], reduce_at="sources")))
        best = min([best, *tried], key=_rank)
        if best.fits:
            break
    return best


def _evaluated(model: StaticModel, partition: Partition) -> Quick:
    found = model.evaluate(partition, exact=False)
    return Quick(found.cost.total_cycles, found.fits, "search")


def _rank(one: Quick) -> Tuple[bool, float]:
    return not one.fits, one.total_cycles


def _distinct(space: ChoiceSpace, passes: int, target: Target) -> List[Choice]:
    """The cheapest choices of the closed form that differ in their parts of n; none where nothing can fit."""
    seen: Set[int] = set()
    found: List[Choice] = []
    for one in space.ranked(passes):
        if one.num_bytes <= target.tile_bytes and one.choice.parts not in seen:
            seen.add(one.choice.parts)
            found.append(one.choice)
        if len(found) == _EVALUATIONS:
            break
    return found


def quick_uniform(problem: Problem, density: float, target: Target) -> Quick:
    """The same for a uniform pattern of `density`; a large one by the closed form, some percent cheaper than a plan."""
    mb, kb = problem.block_grid
    shape, b = (problem.m, problem.k), problem.block_size
    if density * mb * kb <= _MOST_BLOCKS:
        return quick_search(BlockPattern.random(shape, density=density, block_size=b), problem, target)
    mean = density * kb
    longest = int(min(kb, mean + np.sqrt(2 * np.log(mb + 1) * mean * (1 - density))))
    stand_in: Any = _Uniform((mb, kb), density, np.zeros(longest, dtype=np.int64))
    for passes in _PASSES:
        best = ChoiceSpace(stand_in, problem, target).ranked(passes)[0]
        if best.num_bytes <= target.tile_bytes:
            return Quick(best.cycles, True, "closed form")
    return Quick(float("inf"), False, "closed form")


def quick_dynamic(problem: Problem, density: float, target: Target) -> Quick:
    """The cheapest dynamic plan of a forward product for patterns of `density`."""
    mb, kb = problem.block_grid
    found = QuantileSearch(problem, target, PlanOptions(), ceil(density * mb * kb), ("forward",)).run()[0]
    return Quick(found.total_cycles, found.fits, "search")
