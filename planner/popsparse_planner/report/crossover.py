"""Where sparse starts to win: predicted speed-up over dense for a grid of densities and block sizes."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from typing import Any, Dict, List, Optional

from ..dense import plan_dense
from ..problem import BLOCK_SIZES, Problem
from .facts import Plan, facts_of
from .quick import Quick, quick_dynamic, quick_uniform

DENSITIES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_SAME_DENSITY = 0.02  # relative difference


def crossover(plan: Plan) -> Dict[str, Any]:
    """Speed-up over dense of uniform patterns of the plan's m, k, n and data types, and the density of break-even.

    Of a dynamic plan: of dynamic plans for those densities; else of static ones.

    break_even: by block size, the largest density at which sparse is as fast as dense, interpolated; None where it is
    nowhere on the grid, 1 where it wins everywhere. No cells where dense does not fit.
    """
    facts = facts_of(plan)
    dense = plan_dense(facts.problem.m, facts.problem.k, facts.problem.n, dtype=facts.problem.dtype, target=plan.target)
    cells: List[Dict[str, Any]] = []
    for b in BLOCK_SIZES if dense.fits else ():
        problem = replace(facts.problem, block_size=b)
        rows, cols = problem.block_grid
        most = float("inf")  # a pattern is no dearer than one that has its blocks and more
        for density in DENSITIES[::-1]:
            if round(density * rows * cols) >= 1:
                quick = _no_dearer_than(plan, b, density, _quick(plan, problem, density))
                most = min(most, quick.total_cycles) if quick.fits else most
                cells.append(_cell(b, density, quick._replace(total_cycles=most), dense.cost.total_cycles))
    return {
        "dense_cycles": dense.cost.total_cycles if dense.fits else None,
        "densities": list(DENSITIES),
        "block_sizes": list(BLOCK_SIZES),
        "cells": cells,
        "break_even": {str(b): break_even([c for c in cells if c["block_size"] == b]) for b in BLOCK_SIZES},
    }


def _quick(plan: Plan, problem: Problem, density: float) -> Quick:
    """A product of the plan's mode: a dense plan is compared with static ones."""
    make = quick_dynamic if plan.mode == "dynamic" else quick_uniform
    return make(problem, density, plan.target)


def _no_dearer_than(plan: Plan, block_size: int, density: float, quick: Quick) -> Quick:
    """`quick`, or the plan itself where it is the cell's product and the cheaper one."""
    if plan.mode == "dense" or plan.cost is None or not plan.fits:
        return quick
    facts = facts_of(plan)
    if facts.problem.block_size != block_size or abs(facts.density / density - 1) > _SAME_DENSITY:
        return quick
    own = Quick(plan.cost.total_cycles, True, "plan")
    return own if not quick.fits or own.total_cycles < quick.total_cycles else quick


def _cell(block_size: int, density: float, quick: Quick, dense_cycles: float) -> Dict[str, Any]:
    return {
        "block_size": block_size,
        "density": density,
        "total_cycles": quick.total_cycles if quick.fits else None,
        "speedup_vs_dense": dense_cycles / quick.total_cycles if quick.fits else None,
        "fits": quick.fits,
        "method": quick.method,
    }


def break_even(cells: List[Dict[str, Any]]) -> Optional[float]:
    """Largest density with a speed-up of 1, between the cells that straddle it (straight on log-log axes)."""
    known = sorted(((c["density"], c["speedup_vs_dense"]) for c in cells if c["fits"]), reverse=True)
    if not known:
        return None
    if known[0][1] >= 1:
        return 1.0 if known[0][0] >= DENSITIES[-1] else float(known[0][0])
    for (high, below), (low, above) in zip(known, known[1:]):
        if below < 1 <= above:
            share = log(above) / (log(above) - log(below))
            return exp(log(low) + share * (log(high) - log(low)))
    return None
