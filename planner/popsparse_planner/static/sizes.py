"""The balanced search over block sizes: the pattern's own, and larger ones where merging may pay."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem
from ..target import Target
from .balanced import BalancedSearch, Tried
from .merged import larger_sizes, merged, merged_problem

_LEAST_FILL = 1 / 40  # stored share of merged blocks, below which zeros cost more than the matrix unit gains
_MOST_CELLS = 1 << 26  # of a merged block grid
_WORTH_A_SEARCH = 1.1  # closed-form cycles of a block size, over those of the best
_FEW = 4  # exact evaluations of the pattern's own blocks where merging is far better


class _Sized(NamedTuple):
    search: BalancedSearch
    estimate: float


def search_sizes(
    pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions, published: Optional[Partition]
) -> Tuple[Tried, List[Tried]]:
    """(the best candidate, the others from the best on) of the pattern's own and of merged blocks."""
    own = problem.block_size
    sized = _sizes(pattern, problem, target, options)
    bound = _WORTH_A_SEARCH * min(one.estimate for one in sized.values())
    firsts: List[Tried] = []
    others: List[Tried] = []
    for size, one in sized.items():
        if size != own and one.estimate > bound:
            continue
        if one.estimate > bound:
            one.search.budget = min(one.search.budget, _FEW * one.search.work)
        found = one.search.run(published if size == own else None)
        if size != own:
            found = [_named(tried, size) for tried in found]
        firsts.append(found[0])
        others += found[1:]
    firsts.sort(key=lambda tried: tried.rank)
    return firsts[0], sorted(firsts[1:] + others, key=lambda tried: tried.rank)


def cheapest_size(pattern: BlockPattern, problem: Problem, target: Target) -> Tuple[BlockPattern, Problem]:
    """The pattern and the problem, in the block size whose best choice is cheapest in closed form."""
    sized = _sizes(pattern, problem, target, PlanOptions())
    best = min(sized.values(), key=lambda one: one.estimate).search
    return best.pattern, best.problem


def _sizes(pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> Dict[int, _Sized]:
    """A search and the cycles of its best choice in closed form, by block size, the pattern's own first."""
    sized = {problem.block_size: _sized(pattern, problem, target, options)}
    if "merged blocks" in options.without or "own grid" in options.without or not pattern.nnz_blocks:
        return sized
    for size in larger_sizes(problem.block_size):
        if -(-problem.m // size) * -(-problem.k // size) > _MOST_CELLS:
            continue
        larger = merged(pattern, size).pattern
        if pattern.nnz >= _LEAST_FILL * larger.nnz:
            sized[size] = _sized(larger, merged_problem(problem, size), target, options)
    return sized


def _sized(pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> _Sized:
    search = BalancedSearch(pattern, problem, target, options)
    best = search.space.ranked(1)[0]
    return _Sized(search, best.cycles if best.num_bytes <= target.tile_bytes else float("inf"))


def _named(tried: Tried, size: int) -> Tried:
    partition = replace(tried.partition, block_size=size)
    return replace(tried, partition=partition, name=f"{tried.name}, merged to blocks of {size}")
