"""The default static planner: every tile's real work under the project's model, searched in two rounds.

Round one ranks (parts of n, bands of k, kind of cut, serial passes) by the closed form of estimate.py. Round two builds
the best of them on the real pattern, evaluates every tile exactly, and goes on from the best to their neighbours while
its budget lasts. The published partitioner's choice is always among the candidates.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Dict, List, Optional, Set, Tuple

import numpy as np

from ..layout import x_layout, y_layout
from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem, column_grain, item_bytes
from ..target import Target
from .choices import Choice, ChoiceSpace, Ranked
from .cuts import WHOLE_ROWS
from .evaluate import Evaluation, StaticModel
from .tile_memory import FEW_SAMPLES

_BUDGET = 5_000_000  # nonzeros that the exact evaluations of a search may touch, with these as fixed work:
_EVALUATION_WORK, _PART_WORK = 25_000, 500  # of one evaluation, and of each part of n in it
_EVALUATIONS = (12, 60)  # fewest, of a search whose pattern is large, and most
_MORE_EVALUATIONS = 8  # for each number of serial passes that is tried besides one
_MOST_PASSES = 4096
_WORTH_A_TRY = 1.01  # closed-form cycles of more passes, over those of fewer
_MOST_SMALLEST = 5  # choices of one number of passes that are asked whether they fit
_NEARLY = 1.1  # closed-form bytes of what may yet fit, over a tile's


@dataclass(frozen=True)
class Tried:
    """A candidate with its exact evaluation; estimated_cycles: of the closed form, None where it was not asked."""

    name: str
    grid: Tuple[int, int, int]
    passes: int
    estimated_cycles: Optional[float]
    partition: Partition
    evaluation: Evaluation

    @cached_property
    def rank(self) -> Tuple[bool, float]:
        """Order of preference: what fits first, then fewer cycles; among what does not fit, fewer bytes."""
        fits = self.evaluation.fits
        return (not fits, self.evaluation.cost.total_cycles if fits else float(self.evaluation.memory.peak_bytes))


class BalancedSearch:
    """One search; `run` returns everything it tried, the winner first. It never depends on time or on chance."""

    def __init__(self, pattern: BlockPattern, problem: Problem, target: Target, options: PlanOptions) -> None:
        self.pattern, self.problem, self.target, self.options = pattern, problem, target, options
        self.space = ChoiceSpace(pattern, problem, target, options)
        self.model = StaticModel(pattern, problem, target)
        self.tried: Dict[Choice, Tried] = {}
        self.seen: Set[Choice] = set()
        self.built: Set[bytes] = set()
        self.estimates: Dict[Choice, float] = {}
        self.work = pattern.nnz_blocks + _EVALUATION_WORK
        fewest, most = _EVALUATIONS
        self.budget = min(max(_BUDGET, fewest * self.work), most * self.work)
        self.left = self.budget

    def run(self, published: Optional[Partition] = None) -> List[Tried]:
        """All candidates, best first; `published`: the published partitioner's choice, if it has one.

        Rows that stay where they are summed fill tiles less evenly than a linear Y, and pairs of tiles hold more of X:
        where memory is short, both are searched.
        """
        found = self._run(published)
        ample = found[0].evaluation.fits and found[0].passes == 1
        if self.space.homes == "parts" and not ample and self._homes_fit():
            found = sorted([*found, *self._with_linear_homes()._run(None)], key=lambda tried: tried.rank)
        return found

    def _with_linear_homes(self) -> BalancedSearch:
        options = replace(self.options, without=(*self.options.without, "homes by parts", "paired tiles"))
        return BalancedSearch(self.pattern, self.problem, self.target, options)

    def _run(self, published: Optional[Partition]) -> List[Tried]:
        baseline = [] if published is None else self._published(published)
        if baseline and "own grid" in self.options.without:
            return self._settled([], baseline)
        ranked = self.space.ranked(1)
        if not self._homes_fit():  # nothing can fit: one candidate shows by how much
            self._evaluate(ranked[0].choice)
        elif ranked[0].num_bytes <= self.target.tile_bytes:
            self._explore(ranked, self.budget)
            if any(tried.evaluation.fits for tried in [*self.tried.values(), *baseline]):
                self._try_cheaper_passes(ranked)
            else:
                self._add_passes(2)
        else:
            self._add_passes(1)
        return self._settled([*self.tried.values()], baseline)

    def _settled(self, shortcut: List[Tried], exact: List[Tried]) -> List[Tried]:
        """Both lists in order of preference, after the best of them has been evaluated without shortcuts."""
        shortcut = sorted(shortcut, key=lambda tried: tried.rank)
        exact = sorted(exact, key=lambda tried: tried.rank)
        while shortcut and (not exact or shortcut[0].rank < exact[0].rank):
            exact = sorted([*exact, self._exact(shortcut.pop(0))], key=lambda tried: tried.rank)
        return [exact[0], *sorted(exact[1:] + shortcut, key=lambda tried: tried.rank)]

    def _homes_fit(self) -> bool:
        """Whether X, Y and code leave room on the fullest tile; where they do not, no partition can help."""
        elements = (
            x_layout(self.problem, self.target.tiles).per_tile + y_layout(self.problem, self.target.tiles).per_tile
        )
        return elements * item_bytes(self.problem.dtype) + self.target.model["code_bytes"] < self.target.tile_bytes

    def _exact(self, tried: Tried) -> Tried:
        """A candidate evaluated without shortcuts (for b = 1, and for many passes)."""
        if self.problem.block_size > 1 and tried.passes <= FEW_SAMPLES:
            return tried
        return replace(tried, evaluation=self.model.evaluate(tried.partition))

    def _seeds(self, ranked: List[Ranked], count: int) -> List[Choice]:
        """About `count` choices: of every kind of cut the cheapest ones that differ in their parts of n."""
        self.estimates.update((one.choice, one.cycles) for one in ranked)
        best: Dict[str, Dict[int, Choice]] = {kind: {} for kind in self.space.kinds}
        for one in ranked:
            best[one.choice.cut].setdefault(one.choice.parts, one.choice)
        each = max(1, count // len(self.space.kinds))
        return [choice for same in zip(*(list(of.values())[:each] for of in best.values())) for choice in same]

    def _explore(self, ranked: List[Ranked], budget: int) -> None:
        """Evaluate the cheapest of `ranked`, then neighbours of the best candidate not left yet, within `budget`."""
        self.left = budget
        for choice in self._seeds(ranked, int(budget / self.work / 3)):
            if self.left > budget / 2:
                self._evaluate(choice)
        left: Set[Choice] = set()
        while self.left > 0 and len(left) < len(self.tried):
            best = min((c for c in self.tried if c not in left), key=lambda c: self.tried[c].rank)
            left.add(best)
            for neighbour in self.space.neighbours(best):
                self._evaluate(neighbour)

    def first_fit(self) -> Optional[Tried]:
        """Something that fits, found by its closed-form bytes and not by its speed; None where nothing does."""
        if self._homes_fit():
            self._fewest_passes(1)
        found = next((tried for tried in self.tried.values() if tried.evaluation.fits), None)
        if found is None and self.space.homes == "parts" and self._homes_fit():
            return self._with_linear_homes().first_fit()
        return found

    def _fewest_passes(self, passes: int) -> Optional[int]:
        """The first of `passes`, twice as many, ... serial passes over n with which the smallest choices fit."""
        most = self._most_passes()
        numbers = {min(passes << step, most) for step in range(most.bit_length())} if passes <= most else set()
        ranked = {number: self.space.ranked(number) for number in sorted(numbers)}
        smallest = {number: min(one.num_bytes for one in choices) for number, choices in ranked.items()}
        likely = [number for number, size in smallest.items() if size <= _NEARLY * self.target.tile_bytes]
        for number in likely or sorted(smallest, key=lambda number: smallest[number])[:1]:
            if self._one_fits(ranked[number]):
                return number
        return None

    def _one_fits(self, ranked: List[Ranked]) -> bool:
        """Whether one of the few choices that are smallest by closed form, with and without sums, fits."""
        self.left = _MORE_EVALUATIONS * self.work
        count = min(max(2, _BUDGET // (20 * self.work)), _MOST_SMALLEST)
        ranked = sorted(ranked, key=lambda one: one.num_bytes)
        whole = [one for one in ranked if one.choice.bands == 1 and one.choice.cut in WHOLE_ROWS]
        before = set(self.tried)
        for one in ranked[:count] + whole[:1]:
            self._evaluate(one.choice)
        return any(tried.evaluation.fits for choice, tried in self.tried.items() if choice not in before)

    def _try_cheaper_passes(self, ranked: List[Ranked]) -> None:
        """Serial passes although one fits, where the closed form finds twice as many hardly dearer."""
        passes, most = 2, self._most_passes()
        while passes <= most:
            more = self.space.ranked(passes)
            if more[0].num_bytes > self.target.tile_bytes or more[0].cycles > _WORTH_A_TRY * ranked[0].cycles:
                return
            self._explore(more, _MORE_EVALUATIONS * self.work)
            ranked, passes = more, 2 * passes

    def _add_passes(self, passes: int) -> None:
        """The fewest serial passes over n that fit, from `passes` on: doubled until something does, then between."""
        high = self._fewest_passes(passes)
        if high is None:
            return
        low = high // 2
        for _ in range(2):
            middle = (low + high) // 2
            if middle > low:
                self._explore(self.space.ranked(middle), _MORE_EVALUATIONS * self.work)
                fits = any(tried.passes == middle and tried.evaluation.fits for tried in self.tried.values())
                low, high = (low, middle) if fits else (middle, high)
        self._explore(self.space.ranked(high), self.budget)

    def _most_passes(self) -> int:
        most = self.options.max_serial_passes
        grains = self.problem.n_padded // column_grain(self.problem.dtype)
        return min(_MOST_PASSES, grains if most is None else min(most, grains))

    def _best(self) -> Tried:
        return min(self.tried.values(), key=lambda tried: tried.rank)

    def _evaluate(self, choice: Choice) -> None:
        """Build and evaluate `choice` with sums at home, and at the sources where that may be better."""
        if choice in self.seen or self.left <= 0:
            return
        self.seen.add(choice)
        partition = self.space.partition(choice)
        content = _content(partition)
        if content in self.built:
            return
        self.left -= self.work + _PART_WORK * choice.parts
        self.built.add(content)
        if self._sums_matter(self._add(choice, partition).evaluation):
            self._add(replace(choice, reduce_at="sources"), replace(partition, reduce_at="sources"))
        self.model.forget()

    def _sums_matter(self, at_home: Evaluation) -> bool:
        """Whether another place for the sums could make this the best candidate."""
        sums = sum(step.cycles * step.repeats for step in at_home.steps if step.name in ("partials", "reduce"))
        if self.space.homes == "parts" or "place of sums" in self.options.without:
            return False
        shared = any(step.name == "reduce" for step in at_home.steps)
        best = self._best().evaluation
        return shared and not (best.fits and best.cost.total_cycles < at_home.cost.total_cycles - sums)

    def _add(self, choice: Choice, partition: Partition) -> Tried:
        evaluation = replace(self.model.evaluate(partition, exact=False), works=())
        grid = (partition.qm, partition.qk, partition.num_parts)
        estimate = self.estimates.get(replace(choice, reduce_at="home"))
        name = f"{choice.name}, {partition.place_of_sums}"
        self.tried[choice] = Tried(name, grid, partition.num_passes, estimate, partition, evaluation)
        return self.tried[choice]

    def _published(self, published: Partition) -> List[Tried]:
        """The published partitioner's choice as it is, and with its values kept where they are used."""
        tried, grid = [], (published.qm, published.qk, published.num_parts)
        without = self.options.without
        values = published.values if "resident values" in without else "resident"
        split = "consecutive" if "worker split" in without or values == "broadcast" else "balanced"
        places = ("sources",) if "place of sums" in without else ("home", "sources")
        kept = [replace(published, values=values, row_split=split, reduce_at=place) for place in places]
        if self.space.homes == "parts":
            odd = np.any(published.part_first_tile % 2) or any(cut.num_runs % 2 for cut in published.cuts)
            paired = self.space.paired and not odd
            kept.append(replace(kept[-1], homes="parts", paired=paired))
        for partition in (published, *kept):
            name = f"as the published partitioner, values {partition.values}, {partition.place_of_sums}"
            tried.append(Tried(name, grid, 1, None, partition, self.model.evaluate(partition)))
        return tried


def _content(partition: Partition) -> bytes:
    """What two partitions share that differ in name only (an even cut may be one of rows, too)."""
    cut, text = partition.cuts[0], hashlib.sha256()
    for array in (cut.block_order, cut.run_offsets, partition.n_bounds):
        text.update(array.tobytes())
    return text.digest()
