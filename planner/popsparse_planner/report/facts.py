"""What static and dense plans have in common for a report, and numbers made fit for JSON."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Union

import numpy as np

from ..dense import DensePlan
from ..pattern import BlockPattern
from ..plan import StaticPlan
from ..problem import Problem
from ..target import Target

Plan = Union[StaticPlan, DensePlan]
DENSE_BLOCK_SIZE = 16  # of the sparse products that a dense one is compared with

_DIGITS = 10  # significant ones: what NumPy releases agree on


class Facts(NamedTuple):
    """A plan's question. problem: of a dense plan the sparse one of the same size; pattern None: every block."""

    problem: Problem
    pattern: Optional[BlockPattern]
    strategy: str
    options: Dict[str, Any]
    passes: int


def facts_of(plan: Plan) -> Facts:
    """The facts of a static or dense plan."""
    if isinstance(plan, DensePlan):
        partials = "float32"
        problem = Problem(plan.m, plan.k, plan.n, DENSE_BLOCK_SIZE, plan.dtype, partials)
        return Facts(problem, None, "dense", {}, plan.passes)
    passes = 0 if plan.partition is None else plan.partition.num_passes
    return Facts(plan.problem, plan.pattern, plan.strategy, plan.options.to_dict(), passes)


def peak_tflops(target: Target, dtype: str) -> float:
    """The chip's matrix peak in 1e12 operations per second."""
    return 2 * target.amp_macs_per_cycle[dtype] * target.tiles * target.clock_hz / 1e12


def tidy(value: Any) -> Any:
    """A JSON-safe copy: NumPy numbers as Python's, floats to 10 significant digits (the same with every NumPy)."""
    if isinstance(value, dict):
        return {str(name): tidy(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return tidy(value.tolist())
    if isinstance(value, np.generic):
        return tidy(value.item())
    if isinstance(value, float):
        short = float(f"{value:.{_DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    return value


def fraction_words(density: float) -> str:
    """1/16 for 0.0625, else the number."""
    inverse = round(1 / density)
    return f"1/{inverse}" if abs(density * inverse - 1) < 1e-3 and inverse > 1 else f"{density:.4g}"
