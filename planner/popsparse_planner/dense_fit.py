"""How well the dense baseline agrees with published measurements, and the fit of its coefficients."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from .dense import plan_dense
from .dense_cost import DenseShape, Terms, cost_terms, grids_by_passes, temporary_bytes
from .errors import FormatError, PlanError
from .target import Fact, Target, load_target

DATA_FOLDER = Path(__file__).parent / "data"
FITTED = ("dense_float32_call_cycles", "dense_step_cycles", "dense_slice_cycles_per_byte")
LARGEST_HELD_OUT_RMS = 0.08  # a fit whose held-out folds are worse is refused

_DTYPES = {"FP16": "float16", "FP32": "float32"}
_KEPT_FACTOR = 1.5  # candidates up to so much dearer than the best at the start can win during a fit


class DensePoint(NamedTuple):
    """One measured product: m, k, n, dtype, and its cycles (multiplying and exchange, no sync)."""

    m: int
    k: int
    n: int
    dtype: str
    measured_cycles: float


@dataclass(frozen=True)
class DenseRow:
    """A measured point beside the prediction; error = predicted / measured - 1."""

    m: int
    k: int
    n: int
    dtype: str
    measured_cycles: float
    predicted_cycles: float
    error: float


@dataclass(frozen=True)
class ErrorSummary:
    """Relative errors of some points: root mean square, median and largest size, and the point of the largest."""

    points: int
    rms: float
    median: float
    worst: float
    worst_point: str


@dataclass(frozen=True)
class DenseValidation:
    """Every measured point beside its prediction, and the errors of each data type and of all together."""

    target: str
    rows: Tuple[DenseRow, ...]
    summary: Dict[str, ErrorSummary]

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe content."""
        return asdict(self)


@dataclass(frozen=True)
class DenseFit:
    """Fitted coefficients by name, relative rms error on the points fitted, and on points held out in turn."""

    coefficients: Dict[str, float]
    rms: Dict[str, float]
    held_out_rms: Dict[str, float]


def load_dense_points(path: Union[str, Path, None] = None, *, clock_hz: float = 1.85e9) -> Tuple[DensePoint, ...]:
    """The IPU rows of paper_dense.csv (the shipped one by default) as cycles at the clock of the measured chip.

    Raises FormatError for a file without its columns. Source and columns: data/README.md.
    """
    file = DATA_FOLDER / "paper_dense.csv" if path is None else Path(path)
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if row["device"] == "IPU"]
        return tuple(_point(row, clock_hz) for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise FormatError(f"cannot read dense measurements from {file}: {error!r}") from error


def _point(row: Dict[str, str], clock_hz: float) -> DensePoint:
    m, n = int(row["m"]), int(row["n"])
    return DensePoint(m, m, n, _DTYPES[row["type"]], 2 * m * m * n / float(row["flops"]) * clock_hz)


def validate_dense(
    target: Union[str, Target] = "bow", *, points: Optional[Sequence[DensePoint]] = None
) -> DenseValidation:
    """Predicted profiled cycles of each measured point (the shipped ones by default), with the errors.

    summary: by "float16", "float32" (where there are points) and "all".
    """
    machine = load_target(target)
    rows = tuple(_row(machine, point) for point in (load_dense_points() if points is None else points))
    if not rows:
        raise PlanError("there is nothing to validate with: no measured points were given")
    groups = {dtype: [row for row in rows if row.dtype == dtype] for dtype in _DTYPES.values()}
    summary = {name: _summary(group) for name, group in {**groups, "all": list(rows)}.items() if group}
    return DenseValidation(machine.name, rows, summary)


def _row(target: Target, point: DensePoint) -> DenseRow:
    plan = plan_dense(point.m, point.k, point.n, dtype=point.dtype, target=target)
    predicted = plan.cost.profiled_cycles
    return DenseRow(*point, predicted_cycles=predicted, error=predicted / point.measured_cycles - 1)


def _summary(rows: Sequence[DenseRow]) -> ErrorSummary:
    errors = np.array([row.error for row in rows])
    worst = rows[int(np.argmax(np.abs(errors)))]
    name = f"{worst.dtype} m={worst.m} k={worst.k} n={worst.n}"
    return ErrorSummary(len(rows), _rms(errors), float(np.median(np.abs(errors))), abs(worst.error), name)


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def fit_dense(
    target: Union[str, Target] = "bow",
    *,
    points: Optional[Sequence[DensePoint]] = None,
    folds: int = 6,
    seed: int = 0,
    largest_held_out_rms: float = LARGEST_HELD_OUT_RMS,
) -> DenseFit:
    """The FITTED coefficients that give the smallest rms of log(predicted / measured), cross-validated.

    The points are dealt to `folds` at random (seed); each fold is predicted by a fit to the others. Raises PlanError
    if the held-out rms error of all points together exceeds `largest_held_out_rms`, or for fewer points than folds.
    """
    machine = load_target(target)
    points = load_dense_points() if points is None else tuple(points)
    if not 2 <= folds <= len(points):
        raise PlanError(f"{len(points)} points cannot be dealt to {folds} folds: expected 2 to {len(points)} folds")
    known = [_Known(machine, point) for point in points]
    held_out = np.zeros(len(points))
    order = np.random.RandomState(seed).permutation(len(points))
    for fold in range(folds):
        left_out = set(order[fold::folds].tolist())
        fitted = _fitted(machine, [item for i, item in enumerate(known) if i not in left_out])
        for i in left_out:
            held_out[i] = known[i].error(fitted)
    fitted = _fitted(machine, known)
    errors = np.array([item.error(fitted) for item in known])
    held_out_rms = _by_dtype(points, held_out)
    rms = held_out_rms["all"]
    if rms > largest_held_out_rms:
        raise PlanError(f"fit refused: held-out points are off by {rms:.1%} rms, more than {largest_held_out_rms:.1%}")
    return DenseFit({name: fitted.model[name] for name in FITTED}, _by_dtype(points, errors), held_out_rms)


def _by_dtype(points: Sequence[DensePoint], errors: np.ndarray) -> Dict[str, float]:
    dtypes = np.array([point.dtype for point in points])
    result = {dtype: _rms(errors[dtypes == dtype]) for dtype in _DTYPES.values() if np.any(dtypes == dtype)}
    result["all"] = _rms(errors)
    return result


class _Known:
    """The candidates of one measured point that a fit can make the cheapest, costed but for the coefficients."""

    def __init__(self, target: Target, point: DensePoint) -> None:
        self.point = point
        shape = DenseShape(*point[:4])
        share = int(target.tile_bytes * target.model["dense_temporary_share"])
        kept: List[Terms] = []
        for grids in grids_by_passes(target, shape):
            grids = grids.take(temporary_bytes(shape, grids).total <= share)
            kept.append(cost_terms(target, shape, grids))
        terms = Terms(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in kept))))
        cycles = terms.profiled_cycles(target, point.dtype)
        close = cycles <= _KEPT_FACTOR * cycles.min()
        self.terms = Terms(*(column[close] for column in vars(terms).values()))

    def error(self, target: Target) -> float:
        """Predicted / measured - 1 with the coefficients of `target`."""
        return float(self.terms.profiled_cycles(target, self.point.dtype).min()) / self.point.measured_cycles - 1


def _fitted(target: Target, known: Sequence[_Known]) -> Target:
    """`target` with the coefficients of a coordinate search: each is scaled up and down by ever smaller factors."""
    best, best_loss, factor = target, _loss(target, known), 1.2
    while factor > 1.002:
        improved = False
        for name in FITTED:
            for scale in (factor, 1 / factor):
                trial = _scaled(best, name, scale)
                loss = _loss(trial, known)
                if loss < best_loss:
                    best, best_loss, improved = trial, loss, True
                    break
        if not improved:
            factor = factor**0.5
    return best


def _scaled(target: Target, name: str, scale: float) -> Target:
    old = target.facts[f"model.{name}"]
    return target.replace(model={name: Fact(old.value * scale, old.unit, old.source, "fitted")})


def _loss(target: Target, known: Sequence[_Known]) -> float:
    return _rms(np.log1p(np.array([item.error(target) for item in known])))
