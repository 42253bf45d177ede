"""How far predictions lie from published measurements: every point, every series, and the range that follows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from .cost import Cost
from .dense import plan_dense
from .dense_fit import load_dense_points
from .dynamic_fit import FITTED as DYNAMIC_COEFFICIENT
from .dynamic_fit import known_rates
from .measured import DYNAMIC_FILE, DynamicPoint, StaticPoint, load_dynamic_points, load_static_points
from .static_fit import known_points
from .target import Target, load_target

SERIES = ("static_cycles", "static_speedup", "dynamic_rates", "dense_float16", "dense_float32")
BOUNDS = {  # relative errors that a series must keep: (rms, median, largest); None: not bounded
    "static_cycles": (0.10, 0.07, 0.25),
    "static_speedup": (None, None, None),
    "dynamic_rates": (0.15, None, None),
    "dense_float16": (0.08, None, None),
    "dense_float32": (0.08, None, None),
}
_COVERED = 90  # percent of the measured points that lie in the predicted range


@dataclass(frozen=True)
class Comparison:
    """One measured number beside the prediction: cycles, a ratio for the speed-up, FLOP/s for dynamic rates.

    b is 0 for dense products. Dynamic rates are those of the best n; n is then that of the prediction.
    """

    series: str
    b: int
    density: float
    m: int
    n: int
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """predicted / measured - 1."""
        return self.predicted / self.measured - 1

    @property
    def name(self) -> str:
        """How a report calls the point."""
        sparse = f"b={self.b} d=1/{round(1 / self.density)} " if self.b else ""
        return f"{sparse}m={self.m} n={self.n}"


@dataclass(frozen=True)
class Errors:
    """Relative errors of some points: root mean square, median and largest size, mean (its sign says which way)."""

    points: int
    rms: float
    median: float
    worst: float
    mean: float


@dataclass(frozen=True)
class Validation:
    """All comparisons on one target.

    series: errors by series; by: by series, then "b", "density", "m" or "n", then the value as text.
    """

    target: str
    comparisons: Tuple[Comparison, ...]
    series: Dict[str, Errors]
    by: Dict[str, Dict[str, Dict[str, Errors]]]

    def of(self, series: str) -> List[Comparison]:
        """The comparisons of one series."""
        return [one for one in self.comparisons if one.series == series]

    def worst(self, series: str, count: int = 5) -> List[Comparison]:
        """The comparisons of a series that are furthest off, worst first."""
        return sorted(self.of(series), key=lambda one: -abs(one.error))[:count]

    def broken_bounds(self) -> List[str]:
        """What does not keep BOUNDS, in words; empty if all is well."""
        broken = []
        for name, errors in self.series.items():
            for what, bound in zip(("rms", "median", "worst"), BOUNDS[name]):
                if bound is not None and getattr(errors, what) > bound:
                    broken.append(f"{name}: {what} error {getattr(errors, what):.1%} exceeds {bound:.0%}")
        return broken

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe content."""
        return {
            "target": self.target,
            "series": {name: asdict(errors) for name, errors in self.series.items()},
            "by": {
                name: {key: {value: asdict(e) for value, e in values.items()} for key, values in groups.items()}
                for name, groups in self.by.items()
            },
            "points": [dict(asdict(one), error=one.error) for one in self.comparisons],
        }


def validate(
    target: Union[str, Target] = "bow",
    *,
    folder: Union[str, Path, None] = None,
    points: Optional[Sequence[StaticPoint]] = None,
    dynamic_points: Optional[Sequence[DynamicPoint]] = None,
) -> Validation:
    """Predictions of the popsparse strategies and of the dense baseline beside every measured point.

    folder: of the measurements (default: those that ship with the package); one without paper_lines.csv has no dynamic
    series. points, dynamic_points: to use instead of its static and dynamic files. Published rates count multiplying
    and exchange, so `profiled_cycles` is compared.
    """
    machine = load_target(target)
    static = load_static_points(folder) if points is None else tuple(points)
    dense = load_dense_points(None if folder is None else Path(folder) / "paper_dense.csv")
    if dynamic_points is None:
        there = folder is None or (Path(folder) / DYNAMIC_FILE).exists()
        dynamic_points = load_dynamic_points(folder) if there else ()
    found = _static(static, machine) + _dynamic(dynamic_points, machine)
    found += [
        Comparison(
            f"dense_{p.dtype}", 0, 1.0, p.m, p.n, p.measured_cycles, _dense_cycles(machine, p.m, p.k, p.n, p.dtype)
        )
        for p in dense
    ]
    ordered = tuple(sorted(found, key=lambda one: (SERIES.index(one.series), one.b, -one.density, one.m, one.n)))
    groups = {name: [one for one in ordered if one.series == name] for name in SERIES}
    groups = {name: group for name, group in groups.items() if group}
    return Validation(
        machine.name,
        ordered,
        {name: _errors(group) for name, group in groups.items()},
        {name: _breakdown(group) for name, group in groups.items()},
    )


def _static(points: Sequence[StaticPoint], target: Target) -> List[Comparison]:
    found = []
    for known in known_points(points, target):
        point, cycles = known.point, known.cost(target).profiled_cycles
        where = (point.b, point.density, point.m, point.n)
        if point.cycles is not None:
            found.append(Comparison("static_cycles", *where, point.cycles, cycles))
        if point.speedup is not None:
            dense = _dense_cycles(target, point.m, point.m, point.n, "float16")
            found.append(Comparison("static_speedup", *where, point.speedup, dense / cycles))
    return found


def _dynamic(points: Sequence[DynamicPoint], target: Target) -> List[Comparison]:
    found = []
    for known in known_rates(points, target):
        point, (n, flops) = known.point, known.best(target.model[DYNAMIC_COEFFICIENT])
        found.append(Comparison("dynamic_rates", point.b, point.density, point.m, n, point.flops, flops))
    return found


def _dense_cycles(target: Target, m: int, k: int, n: int, dtype: str) -> float:
    return plan_dense(m, k, n, dtype=dtype, target=target).cost.profiled_cycles


def _errors(group: Sequence[Comparison]) -> Errors:
    errors = np.array([one.error for one in group])
    sizes = np.abs(errors)
    rms = float(np.sqrt(np.mean(np.square(errors))))
    return Errors(len(group), rms, float(np.median(sizes)), float(sizes.max()), float(errors.mean()))


def _breakdown(group: Sequence[Comparison]) -> Dict[str, Dict[str, Errors]]:
    keys: Dict[str, Callable[[Comparison], float]] = {
        "b": lambda one: one.b,
        "density": lambda one: one.density,
        "m": lambda one: one.m,
        "n": lambda one: one.n,
    }
    result: Dict[str, Dict[str, Errors]] = {}
    for name, key in keys.items():
        values = sorted({key(one) for one in group})
        if len(values) > 1:
            result[name] = {f"{value:g}": _errors([one for one in group if key(one) == value]) for value in values}
    return result


def covering_errors(validation: Validation) -> Dict[str, float]:
    """The error that nine of ten points keep: by coefficient name, static_error_b1 and so on."""
    found = {}
    for b in (1, 4, 8, 16):
        group = [abs(one.error) for one in validation.of("static_cycles") if one.b == b]
        if group:
            found[f"static_error_b{b}"] = float(np.percentile(group, _COVERED))
    others = {"dynamic_error": ("dynamic_rates",), "dense_error": ("dense_float16", "dense_float32")}
    for coefficient, names in others.items():
        group = [abs(one.error) for name in names for one in validation.of(name)]
        if group:
            found[coefficient] = float(np.percentile(group, _COVERED))
    return found


def error_name(mode: str, block_size: Optional[int]) -> str:
    """The coefficient with the error that nine of ten measured products of a mode keep; static: by block size."""
    return f"static_error_b{block_size}" if mode == "static" else f"{mode}_error"


def predicted_range(cost: Cost, target: Target, block_size: Optional[int], mode: str = "static") -> Tuple[float, float]:
    """(fewest, most) total cycles that nine of ten measurements would show; block_size None: a dense product.

    From the errors of uniform float16 patterns with m = k; for other products it is an extrapolation.
    """
    error = target.model[error_name("dense" if block_size is None else mode, block_size)]
    return cost.total_cycles / (1 + error), cost.total_cycles / (1 - error)
