"""What plans of all modes have in common for a report, and numbers made fit for JSON."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Union

import numpy as np

from ..dense import DensePlan
from ..dynamic_plan import DynamicPlan
from ..pattern import BlockPattern
from ..plan import StaticPlan
from ..problem import Problem
from ..target import Target

Plan = Union[StaticPlan, DynamicPlan, DensePlan]
DENSE_BLOCK_SIZE = 16  # of the sparse products that a dense one is compared with

_DIGITS = 10  # significant ones: what NumPy releases agree on


class Facts(NamedTuple):
    """A plan's question.

    problem: of a dense plan the sparse one of the same size. pattern: None of a dense plan, and of a dynamic one, whose
    patterns come later. nnz_blocks: stored blocks, of a dynamic plan those that it has room for; None of a dense one.
    """

    problem: Problem
    pattern: Optional[BlockPattern]
    strategy: str
    options: Dict[str, Any]
    passes: int
    nnz_blocks: Optional[int]

    @property
    def density(self) -> float:
        """Stored blocks over all; 1 for a dense plan."""
        rows, cols = self.problem.block_grid
        return 1.0 if self.nnz_blocks is None else self.nnz_blocks / (rows * cols)


def facts_of(plan: Plan) -> Facts:
    """The facts of a plan."""
    if isinstance(plan, DensePlan):
        problem = Problem(plan.m, plan.k, plan.n, DENSE_BLOCK_SIZE, plan.dtype, "float32")
        return Facts(problem, None, "dense", {}, plan.passes, None)
    options = plan.options.to_dict()
    if isinstance(plan, DynamicPlan):
        passes = int(plan.cost is not None) if plan.draft is None else plan.frame.passes
        return Facts(plan.problem, None, plan.strategy, options, passes, plan.capacity_blocks)
    passes = 0 if plan.partition is None else plan.partition.num_passes
    return Facts(plan.problem, plan.pattern, plan.strategy, options, passes, plan.pattern.nnz_blocks)


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
