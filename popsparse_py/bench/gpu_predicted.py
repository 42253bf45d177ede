"""A report as a GPU would give it, with the seconds that plans for an H200 predict: for the README until one ran."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict

from popsparse_planner.cuda_dynamic_plan import plan_cuda_dynamic
from popsparse_planner.cuda_plan import plan_cuda
from popsparse_planner.pattern import BlockPattern

from .gpu_goals import DENSITIES, SPEEDUPS

Row = Dict[str, Any]
_SIZE, _LARGE = 4096, 16384
_SIXTEENTH = Fraction(1, 16)


def report() -> Dict[str, Any]:
    """Stages of python -m popsparse_py.bench gpu that plans can say something of."""
    grid = [(b, density) for b in SPEEDUPS for density in DENSITIES]
    few = [(b, density, n) for b in (16, 64) for density in (Fraction(1, 4), _SIXTEENTH) for n in (1, 16)]
    plain = [(b, density) for b in (8, 16) for density in (Fraction(1, 4), _SIXTEENTH)]
    kinds = [(b, kind) for b in (4, 16, 64) for kind in ("uniform", "power_law")]
    return {
        "timing": [_row(b, density) for b, density in [*grid, (16, Fraction(1, 2))]],
        "dynamic": [_dynamic_row(16, density) for density in (Fraction(7, 20), *DENSITIES)],
        "decode": [_row(b, density, size=_LARGE, n=n) for b, density, n in few],
        "skew": [_row(b, _SIXTEENTH, kind=kind) for b, kind in kinds],
        "float32": [_row(b, density, dtype="float32") for b, density in plain],
    }


def _row(
    b: int, density: Fraction, *, size: int = _SIZE, n: int = _SIZE, kind: str = "uniform", dtype: str = "bfloat16"
) -> Row:
    pattern = BlockPattern.random((size, size), density=density, block_size=b, seed=0, kind=kind)
    plan = plan_cuda(pattern, n, dtype=dtype)
    seconds = {"popsparse": plan.cost.total_seconds, "dense": plan.dense_seconds}
    return {"block_size": b, "density": str(density), "n": n, "kind": kind, "dtype": dtype, "seconds": seconds}


def _dynamic_row(b: int, density: Fraction) -> Row:
    row = _row(b, density)
    slots = round(density * (_SIZE // b) ** 2)
    plan = plan_cuda_dynamic((_SIZE, _SIZE), b, slots, _SIZE)
    row["seconds"] = {**row["seconds"], "static": row["seconds"]["popsparse"], "popsparse": plan.total_seconds}
    return row
