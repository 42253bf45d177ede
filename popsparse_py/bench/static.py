"""Static plans and their execution on the embedded model, at the sizes of the published benchmarks."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from popsparse_planner import BlockPattern, plan_static

from ..formats import BlockSparseMatrix
from ..ops import run
from .child import Outcome
from .measure import Case

_SIDE = 4096
_DENSITY = 1 / 16

CASES = (
    Case("plan 4096 x 4096, b = 16, d = 1/16, n = 1024", "static", "plan_blocks", 2.0),
    Case("plan 4096 x 4096, b = 1, d = 1/16 (1 M nonzeros), n = 1024", "static", "plan_elements", 5.0),
    Case("execute 4096 x 4096, b = 16, d = 1/16, n = 256", "static", "execute_blocks", 10.0, 4 * 10**9),
)


def plan_blocks() -> Outcome:
    """Seconds of one plan with blocks of 16."""
    return _plan(16)


def plan_elements() -> Outcome:
    """Seconds of one plan with single elements."""
    return _plan(1)


def _plan(block_size: int) -> Outcome:
    pattern = BlockPattern.random((_SIDE, _SIDE), density=_DENSITY, block_size=block_size)
    start = perf_counter()
    plan = plan_static(pattern, 1024)
    return Outcome(perf_counter() - start, f"{len(plan.candidates)} candidates")


def execute_blocks() -> Outcome:
    """Seconds from a plan to Y: lowering, building, loading and running."""
    rng = np.random.default_rng(0)
    pattern = BlockPattern.random((_SIDE, _SIDE), density=_DENSITY, block_size=16)
    a = BlockSparseMatrix(pattern, rng.standard_normal((pattern.nnz_blocks, 16, 16)).astype(np.float16))
    x = rng.standard_normal((_SIDE, 256)).astype(np.float16)
    plan = plan_static(pattern, 256)
    start = perf_counter()
    run(plan, a, x)
    first = perf_counter() - start
    start = perf_counter()
    run(plan, a, x)
    return Outcome(first, f"a second call {perf_counter() - start:.2f} s")
