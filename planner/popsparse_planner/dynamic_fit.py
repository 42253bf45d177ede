"""Measured dynamic rates beside the published scheme under the cost model, and the fit of its one coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np

from .dynamic.popsparse import search_published_dynamic
from .dynamic.published_evaluate import evaluate_published_dynamic
from .errors import PlanError
from .measured import DynamicPoint, load_dynamic_points
from .problem import PlanOptions, Problem
from .target import Fact, Target, load_target

FITTED = "dynamic_partials_cycles_per_byte"
COLUMNS = (4, 16, 64, 256, 1024, 2048, 4096, 8192)  # n among which a rate is the best: measured ones name none
AS_MEASURED = PlanOptions(grad_input=True)  # the measured product plans grad-input and runs forward
LARGEST_HELD_OUT_RMS = 0.15  # a fit whose held-out points are worse is refused
_TRIED = np.arange(0.0, 2.0, 0.005)  # values of the coefficient


@dataclass(frozen=True)
class DynamicFit:
    """The fitted coefficient by name, relative rms error of the rates fitted, and of rates held out in turn."""

    coefficients: Dict[str, float]
    rms: float
    held_out_rms: float


class KnownRate:
    """A measured rate with the published scheme's plans, one for each n that fits, costed but for FITTED.

    columns: n of each plan; cycles, bytes: profiled cycles without the fitted part, and what FITTED multiplies.
    """

    def __init__(self, point: DynamicPoint, target: Target) -> None:
        self.point, self.clock_hz = point, target.clock_hz
        problems = [Problem(point.m, point.m, n, point.b, "float16", "float32") for n in COLUMNS]
        found = [(problem.n, *known) for problem in problems for known in [_costed(problem, point, target)] if known]
        if not found:
            raise PlanError(f"the published planner has no plan that fits for {point.name}, n in {COLUMNS}")
        self.columns, self.cycles, self.bytes = (np.array(column) for column in zip(*found))

    def rates(self, coefficient: float) -> np.ndarray:
        """FLOP/s of nonzeros with each of `columns`, float64."""
        flops = 2 * self.point.density * float(self.point.m) ** 2 * self.columns
        found: np.ndarray = flops * self.clock_hz / (self.cycles + coefficient * self.bytes)
        return found

    def best(self, coefficient: float) -> Tuple[int, float]:
        """(n, FLOP/s) of the best rate."""
        rates = self.rates(coefficient)
        return int(self.columns[rates.argmax()]), float(rates.max())

    def error(self, coefficient: float) -> float:
        """Predicted / measured - 1."""
        return self.best(coefficient)[1] / self.point.flops - 1


def _costed(problem: Problem, point: DynamicPoint, target: Target) -> Optional[Tuple[float, float]]:
    """(cycles without the fitted part, bytes that it multiplies); None where there is no plan that fits."""
    mb, kb = problem.block_grid
    blocks = round(point.density * mb * kb)
    sizes = (problem.m, problem.k, problem.n, problem.block_size, blocks)
    choice = search_published_dynamic(*sizes, target=target, partials_dtype="float32", options=AS_MEASURED)
    if not choice.ok:
        return None
    none, one = (
        evaluate_published_dynamic(problem, blocks, choice, _with(target, value), AS_MEASURED) for value in (0.0, 1.0)
    )
    cycles = none.cost.profiled_cycles
    return (cycles, one.cost.profiled_cycles - cycles) if none.memory.fits else None


def _with(target: Target, coefficient: float) -> Target:
    old = target.facts[f"model.{FITTED}"]
    return target.replace(model={FITTED: Fact(coefficient, old.unit, old.source, "fitted")})


def known_rates(points: Iterable[DynamicPoint], target: Target) -> List[KnownRate]:
    """Each point with its plans: about a second a point."""
    return [KnownRate(point, target) for point in points]


def fit_dynamic(
    target: Union[str, Target] = "bow",
    *,
    points: Optional[Sequence[DynamicPoint]] = None,
    known: Optional[Sequence[KnownRate]] = None,
    folds: int = 8,
    seed: int = 0,
    largest_held_out_rms: float = LARGEST_HELD_OUT_RMS,
) -> DynamicFit:
    """The coefficient FITTED with the least rms of predicted / measured - 1 over all points, cross-validated.

    As `fit_static`: each of `folds` folds is predicted by a fit to the others (8 folds of the 8 shipped points leave
    each out in turn). Raises PlanError if the held-out rms exceeds `largest_held_out_rms`, or for fewer points than
    folds. known: the points costed already, as `known_rates` returns them.
    """
    if known is None:
        known = known_rates(load_dynamic_points() if points is None else points, load_target(target))
    if not 2 <= folds <= len(known):
        raise PlanError(f"{len(known)} points cannot be dealt to {folds} folds: expected 2 to {len(known)} folds")
    errors = np.array([[one.error(value) for one in known] for value in _TRIED])  # [values, points]
    order = np.random.RandomState(seed).permutation(len(known))
    held_out = np.zeros(len(known))
    for fold in range(folds):
        left_out = order[fold::folds]
        held_out[left_out] = errors[_least(np.delete(errors, left_out, axis=1)), left_out]
    rms = _rms(held_out)
    if rms > largest_held_out_rms:
        raise PlanError(f"fit refused: held-out points are off by {rms:.1%} rms, more than {largest_held_out_rms:.1%}")
    best = _least(errors)
    return DynamicFit({FITTED: round(float(_TRIED[best]), 4)}, _rms(errors[best]), rms)


def _least(errors: np.ndarray) -> int:
    """Index of the value of the coefficient with the least rms error."""
    return int(np.square(errors).sum(axis=1).argmin())


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))
