"""The interface of a backend, what is known about a run, and the checks of operands that all backends share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from popsparse_planner.errors import DTypeError, PlanError, ShapeError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem

from ..formats import BlockSparseMatrix
from ..formats.arrays import to_numpy

PROVENANCES = ("estimated", "counted", "timed")


@dataclass(frozen=True)
class Number:
    """A number with its unit.

    provenance: "estimated" by the planner, "counted" from the program that ran, or "timed" by this computer's clock.
    """

    value: float
    unit: str
    provenance: str

    def __post_init__(self) -> None:
        if self.provenance not in PROVENANCES:
            raise ValueError(f"provenance {self.provenance!r}, expected one of {', '.join(PROVENANCES)}")

    def __str__(self) -> str:
        return f"{self.value:,.6g} {self.unit} ({self.provenance})"


@dataclass(frozen=True)
class StepTrace:
    """One step of the program: cycles of its slowest tile (counted), copies or vertices, bytes moved between tiles."""

    name: str
    kind: str
    cycles: float
    slowest_tile: int
    rows: int
    moved_bytes: int


@dataclass(frozen=True)
class Trace:
    """One run. target: where it ran; chosen: why there ("asked for", or what "auto" found); numbers by name; steps."""

    target: str
    chosen: str
    numbers: Mapping[str, Number]
    steps: Tuple[StepTrace, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.numbers[name].value

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe content."""
        return {
            "target": self.target,
            "chosen": self.chosen,
            "numbers": {name: vars(number) for name, number in self.numbers.items()},
            "steps": [vars(step) for step in self.steps],
        }

    def __str__(self) -> str:
        lines = [f"{self.target} ({self.chosen})"]
        lines += [f"  {name:<24}{number}" for name, number in self.numbers.items()]
        lines += [
            f"  {s.name:<14}{s.kind:<10}{s.cycles:>12,.0f} cycles on tile {s.slowest_tile}, {s.rows:,} rows"
            for s in self.steps
        ]
        return "\n".join(lines)


class Result(NamedTuple):
    """y (m, n) of a product, and the trace of the run that made it."""

    y: Any
    trace: Trace


class Kernel(Protocol):
    """A compiled plan. One call at a time runs in it; it may be shared by threads."""

    plan: Any  # StaticPlan or DynamicPlan

    def load(self, w: BlockSparseMatrix) -> None:
        """Put W in place; PlanError for another pattern than a static plan's, CapacityError where W has no room."""

    def run(self, x: Any) -> Result:
        """Y (m, n) = W x, x (k, n) of the plan's dtype."""


class Backend(Protocol):
    """A place where plans run; name: how `target=` calls it."""

    name: str

    def why_unavailable(self) -> Optional[str]:
        """Why it cannot be used here and what to do; None if it can."""

    def compile(self, plan: Any) -> Kernel:
        """The kernel of a plan that fits; TileMemoryError or PlanError with the reason otherwise."""


def checked_x(problem: Problem, x: Any) -> np.ndarray:
    """`x` as a NumPy array (k, n) of the plan's dtype; ShapeError, DTypeError with what came and what is expected."""
    array = np.asarray(x)
    check_x_shape(problem.m, problem.k, array.shape)
    if array.shape[1] != problem.n:
        raise ShapeError(
            f"x has {array.shape[1]} columns but the plan is for n = {problem.n}: plan again for n = {array.shape[1]}",
            expected=(problem.k, problem.n),
        )
    if array.dtype.name != problem.dtype:
        raise DTypeError(
            f"x has dtype {array.dtype}, but W and the plan have {problem.dtype}: "
            f'use x.astype("{problem.dtype}") or a matrix of another dtype',
            dtype=array.dtype.name,
        )
    return array


def check_x_shape(m: int, k: int, shape: Tuple[int, ...]) -> None:
    """ShapeError unless `shape` is (k, n) with n > 0; the message knows the usual mistakes."""
    if len(shape) != 2:
        raise ShapeError(f"x has shape {shape}: expected a matrix of shape ({k}, n)")
    if shape[0] != k:
        hint = " Did you mean A.T @ x?" if shape[0] == m else " Did you mean A @ x.T?" if shape[1] == k else ""
        raise ShapeError(
            f"x has {shape[0]} rows but A is ({m}, {k}): expected x of shape ({k}, n).{hint}", rows=shape[0]
        )
    if shape[1] < 1:
        raise ShapeError(f"x has no columns: expected x of shape ({k}, n) with n of at least 1")


def check_same_pattern(planned: BlockPattern, given: BlockPattern) -> None:
    """PlanError that names the first difference unless both have the same shape, block size and blocks."""
    if planned == given:
        return
    if planned.shape != given.shape or planned.block_size != given.block_size:
        raise PlanError(
            f"W is {given.shape} in blocks of {given.block_size}, the plan is for {planned.shape} in blocks of "
            f"{planned.block_size}"
        )
    kb = planned.block_grid[1]
    ours, theirs = (p.rows.astype(np.int64) * kb + p.cols for p in (planned, given))
    cell = int(np.setxor1d(ours, theirs, assume_unique=True)[0])
    held = "the plan has and W has not" if np.isin(cell, ours) else "W has and the plan has not"
    raise PlanError(
        f"W has {given.nnz_blocks:,} blocks and the plan {planned.nnz_blocks:,}; the first that {held}: "
        f"({cell // kb}, {cell % kb}). A static plan is for one pattern: plan again",
        row=cell // kb,
        col=cell % kb,
    )


def checked_values(problem: Problem, w: BlockSparseMatrix) -> np.ndarray:
    """W's values as a NumPy array; DTypeError unless they have the plan's dtype."""
    if w.dtype != problem.dtype:
        raise DTypeError(
            f'W has dtype {w.dtype}, the plan is for {problem.dtype}: use a.astype("{problem.dtype}")', dtype=w.dtype
        )
    return np.asarray(to_numpy(w.values))
