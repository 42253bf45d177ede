"""The search for the cheapest cut of a dense product, and for the nearest product that fits."""

from __future__ import annotations

from typing import Dict, List, NamedTuple

import numpy as np

from .dense_cost import (
    DenseShape,
    Grids,
    Terms,
    cost_terms,
    grids_by_passes,
    multiply_cycles,
    resident_bytes,
    temporary_bytes,
)
from .target import Target


class Choice(NamedTuple):
    """One candidate: index 0 of each column of `grids` and `terms`."""

    grids: Grids
    terms: Terms
    profiled_cycles: float


def always_bytes(target: Target, shape: DenseShape) -> Dict[str, int]:
    """Bytes by category that every tile holds all the time: its share of W, X and Y, and code."""
    weights, inputs, results = resident_bytes(shape, target.tiles)
    return {"values": weights, "input": inputs, "output": results, "control": int(target.model["code_bytes"])}


def always_total(target: Target, shape: DenseShape) -> int:
    """The sum of `always_bytes`."""
    return sum(always_bytes(target, shape).values())


def search(target: Target, shape: DenseShape, temporary: int) -> List[Choice]:
    """The cheapest cut for each number of passes whose slices and partials take at most `temporary` bytes.

    A number of passes whose multiplying alone is dearer than the best so far is left out.
    """
    chosen: List[Choice] = []
    best = float("inf")
    for grids in grids_by_passes(target, shape):
        grids = grids.take(temporary_bytes(shape, grids).total <= temporary)
        grids = grids.take(multiply_cycles(target, shape, grids) < best)
        if not len(grids.qm):
            continue
        choice = _cheapest(target, shape, grids)
        best = min(best, choice.profiled_cycles)
        chosen.append(choice)
    return chosen


def _cheapest(target: Target, shape: DenseShape, grids: Grids) -> Choice:
    cycles = cost_terms(target, shape, grids).profiled_cycles(target, shape.dtype)
    tiles = grids.qm * grids.qk * grids.qn
    first = np.lexsort((tiles, cycles))[:1]  # of equal ones that with the fewest tiles
    grids = grids.take(first)
    return Choice(grids, cost_terms(target, shape, grids), float(cycles[first[0]]))


def smallest(target: Target, shape: DenseShape) -> Choice:
    """The cut that needs the least memory."""
    *_, grids = grids_by_passes(target, shape)
    first = np.argsort(temporary_bytes(shape, grids).total, kind="stable")[:1]
    grids = grids.take(first)
    terms = cost_terms(target, shape, grids)
    return Choice(grids, terms, float(terms.profiled_cycles(target, shape.dtype)[0]))


def _least_bytes(target: Target, shape: DenseShape) -> int:
    return always_total(target, shape) + int(temporary_bytes(shape, smallest(target, shape).grids).total[0])


def nearest_that_fits(target: Target, shape: DenseShape) -> str:
    """What to change so that a product that does not fit does: the data type, n, or W itself."""
    if shape.dtype == "float32" and _least_bytes(target, shape._replace(dtype="float16")) <= target.tile_bytes:
        return "float16 would fit"
    low, high = 0, shape.n  # n = high does not fit
    while high - low > 1:
        middle = (low + high) // 2
        if _least_bytes(target, shape._replace(n=middle)) <= target.tile_bytes:
            low = middle
        else:
            high = middle
    if low == 0:
        return "no n fits: use a smaller W, or a sparse one"
    return f"n of at most {low:,} columns would fit"
