"""The fit of the cost model's coefficients to measured static products, cross-validated, refused if it does not hold.

What is fitted is little: bytes, work lists and counted instructions are taken as they are (coefficient 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from .benchmark_pattern import LARGEST_SHUFFLE, benchmark_pattern, shuffled_positions
from .cost import Cost, call_cost, compute_cost, exchange_cost, exchange_cycles, layout_cost, second_stage_cost
from .errors import PlanError
from .measured import StaticPoint, load_static_points
from .partition import Partition
from .pattern import BlockPattern
from .problem import Problem
from .search import published_partition
from .static.evaluate import Evaluation, StaticModel, StepCost
from .static.popsparse import search_published
from .static.traffic import Traffic
from .target import Fact, Target, load_target

_START = {  # where every search starts, so that a fold's fit knows nothing of the points held out
    "call_cycles": 200.0,
    "column_part_cycles": 50.0,
    "layout_cycles_per_byte": 1.0,
    "exchange_fragment_cycles": 1.0,
    "second_stage_cycles_per_byte": 1.0,
}
FITTED = tuple(_START)
_WORTH_A_STEP = 0.9995  # a search goes on while a step brings the error below this share of what it was
LARGEST_HELD_OUT_RMS = 0.11  # a fit whose held-out folds are worse is refused


@dataclass(frozen=True)
class StaticFit:
    """Fitted coefficients by name, relative rms error on the points fitted, and on points held out in turn."""

    coefficients: Dict[str, float]
    rms: float
    held_out_rms: float


class KnownPoint:
    """A measured point with the published program's partition, costed but for the fitted coefficients."""

    def __init__(self, point: StaticPoint, pattern: BlockPattern, target: Target) -> None:
        self.point = point
        problem = Problem(point.m, point.m, point.n, point.b, "float16", "float16")
        choice = search_published(pattern, problem, target)
        if not choice.ok:
            raise PlanError(f"the published planner refuses {point.name}: {choice.message}")
        partition = published_partition(choice)
        model = _Recording(pattern, problem, target)
        evaluation = model.evaluate(partition)
        self.traffic: Tuple[Traffic, ...] = tuple(model.traffic)
        self.compute = [(s.kind, s.cycles) for s in evaluation.steps if s.kind != "exchange"]
        self.homes = model.home_bytes()
        self.sums = model.sums(partition, evaluation)
        self.column_parts = partition.column_parts

    def cost(self, target: Target) -> Cost:
        """What `StaticModel` says with the coefficients of `target`; only those of FITTED may differ."""
        cost = call_cost(target) + layout_cost(target, self.point.b, self.column_parts, self.homes)
        cost = cost + second_stage_cost(target, *self.sums)
        for kind, cycles in self.compute:
            cost = cost + compute_cost(target, cycles, kind=kind)
        for step in self.traffic:
            fields = (step.received, step.local, step.sent, step.fragments, step.passing)
            cost = cost + exchange_cost(target, exchange_cycles(target, *fields))
        return cost

    def error(self, target: Target) -> float:
        """Predicted / measured - 1."""
        assert self.point.cycles is not None
        return self.cost(target).profiled_cycles / self.point.cycles - 1


class _Recording(StaticModel):
    """A model that keeps what its exchange steps move."""

    def __init__(self, pattern: BlockPattern, problem: Problem, target: Target) -> None:
        super().__init__(pattern, problem, target)
        self.traffic: List[Traffic] = []

    def _exchange(self, steps: List[StepCost], name: str, step: Traffic) -> None:
        before = len(steps)
        super()._exchange(steps, name, step)
        self.traffic += [step] * (len(steps) - before)

    def home_bytes(self) -> np.ndarray:
        """float64 [tiles] of X and Y."""
        tiles = self.target.tiles
        return (np.diff(self.x_home.bounds(tiles)) + np.diff(self.y_home.bounds(tiles))) * float(self.item)

    def sums(self, partition: Partition, evaluation: Evaluation) -> Tuple[np.ndarray, np.ndarray]:
        """(bytes of partials, sources) of every row of every part."""
        sources = np.stack([evaluation.works[cut].row_sources for cut in partition.part_cut])
        width = partition.part_columns * self.problem.block_size * float(self.partial_item)
        return sources * width[:, None], sources


def known_points(points: Iterable[StaticPoint], target: Target) -> List[KnownPoint]:
    """Each point on the pattern that was measured."""
    known: List[KnownPoint] = []
    side, order = 0, np.zeros(0, dtype=np.int64)
    for point in sorted(points, key=lambda p: (p.m // p.b, p.b, p.density)):
        if point.m // point.b != side:
            side, pattern_of = point.m // point.b, None
            order = shuffled_positions(side**2) if side**2 <= LARGEST_SHUFFLE else np.zeros(0, dtype=np.int64)
        key = (point.b, point.density)
        if pattern_of != key:
            pattern = benchmark_pattern(point.m, point.b, point.density, order if len(order) else None)
            pattern_of = key
        known.append(KnownPoint(point, pattern, target))
    return known


def fit_static(
    target: Union[str, Target] = "bow",
    *,
    points: Optional[Sequence[StaticPoint]] = None,
    known: Optional[Sequence[KnownPoint]] = None,
    folds: int = 8,
    seed: int = 0,
    largest_held_out_rms: float = LARGEST_HELD_OUT_RMS,
) -> StaticFit:
    """The FITTED coefficients that bring predicted / measured - 1 down over all points with cycles, cross-validated.

    The points are dealt to `folds` at random (seed); each fold is predicted by a fit to the others. Raises PlanError
    if the held-out rms error exceeds `largest_held_out_rms`, or for fewer points than folds. known: the points costed
    already, as `known_points` returns them.
    """
    machine = load_target(target)
    if known is None:
        chosen = [p for p in (load_static_points() if points is None else points) if p.cycles is not None]
        known = known_points(chosen, machine)
    if not 2 <= folds <= len(known):
        raise PlanError(f"{len(known)} points cannot be dealt to {folds} folds: expected 2 to {len(known)} folds")
    held_out = np.zeros(len(known))
    order = np.random.RandomState(seed).permutation(len(known))
    whole = _fitted(machine, known)
    for fold in range(folds):
        left_out = set(order[fold::folds].tolist())
        fitted = _fitted(machine, [item for i, item in enumerate(known) if i not in left_out])
        for i in left_out:
            held_out[i] = known[i].error(fitted)
    rms = _rms(held_out)
    if rms > largest_held_out_rms:
        raise PlanError(f"fit refused: held-out points are off by {rms:.1%} rms, more than {largest_held_out_rms:.1%}")
    errors = np.array([item.error(whole) for item in known])
    return StaticFit({name: float(whole.model[name]) for name in FITTED}, _rms(errors), rms)


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _loss(target: Target, known: Sequence[KnownPoint]) -> float:
    """Cubic mean of the sizes of the errors: near the rms, but it minds the worst cells more."""
    return float(np.cbrt(np.mean(np.abs([item.error(target) for item in known]) ** 3)))


def _fitted(target: Target, known: Sequence[KnownPoint]) -> Target:
    """`target` with the coefficients of a coordinate search: each is scaled up and down by ever smaller factors."""
    best = target.replace(model={name: _fact(target, name, value) for name, value in _START.items()})
    best_loss, factor = _loss(best, known), 1.3
    while factor > 1.004:
        improved = False
        for name in FITTED:
            for scale in (factor, 1 / factor):
                trial = best.replace(model={name: _fact(best, name, best.model[name] * scale)})
                loss = _loss(trial, known)
                if loss < best_loss * _WORTH_A_STEP:
                    best, best_loss, improved = trial, loss, True
                    break
        if not improved:
            factor = factor**0.5
    return best


def _fact(target: Target, name: str, value: float) -> Fact:
    """A coefficient of the model with another value."""
    old = target.facts[f"model.{name}"]
    return Fact(value, old.unit, old.source, "fitted")
