"""How many blocks of a random pattern fall into a cell: tails of the hypergeometric distribution.

A uniform random pattern draws N of the M blocks of W without replacement; a cell that covers K of them holds X of the
N, and P(X = x) = C(K, x) C(M - K, N - x) / C(M, N). Cells are nearly independent, so the fullest of C cells stays
within x with probability of about 1 - C P(X > x).
"""

from __future__ import annotations

from math import lgamma, sqrt
from typing import Tuple

import numpy as np

NO_PROPAGATION = 0.994  # of random patterns at the planned density; the acceptance asks for 0.99


def cell_tail(total: int, drawn: int, cell: int) -> Tuple[np.ndarray, np.ndarray]:
    """(x int64, P(X > x)) around the mean, for a cell of `cell` of the `total` blocks of which `drawn` are stored."""
    least, most = max(0, drawn - (total - cell)), min(drawn, cell)
    mean = drawn * cell / total
    spread = sqrt(max(mean * (1 - cell / total) * (total - drawn) / max(total - 1, 1), 0.0))
    first = max(least, int(mean - 12 * spread - 20))
    last = min(most, int(mean + 14 * spread + 60))
    x = np.arange(first, last + 1, dtype=np.float64)
    ratio = (cell - x[:-1]) * (drawn - x[:-1]) / ((x[:-1] + 1) * (total - cell - drawn + x[:-1] + 1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratio))]) + _log_probability(total, drawn, cell, first)
    above = np.cumsum(np.exp(logs)[::-1])[::-1]
    return x.astype(np.int64), np.minimum(np.append(above[1:], 0.0), 1.0)


def _log_probability(total: int, drawn: int, cell: int, x: int) -> float:
    return _log_choose(cell, x) + _log_choose(total - cell, drawn - x) - _log_choose(total, drawn)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def cell_quantile(total: int, drawn: int, cell: int, cells: int, probability: float) -> int:
    """The least x that all of `cells` cells stay within with at least `probability` (union bound)."""
    if drawn == 0 or cell >= total:
        return min(drawn, cell)
    x, above = cell_tail(total, drawn, cell)
    return int(x[int(np.argmax(above <= (1.0 - probability) / cells))])


def fullest_cell(total: int, drawn: int, cell: int, cells: int) -> int:
    """Median of the number of blocks in the fullest of `cells` cells, taken as independent."""
    return cell_quantile(total, drawn, cell, 1, 0.5 ** (1.0 / cells)) if drawn else 0


def spill_probability(total: int, drawn: int, cell: int, cells: int, capacity: int) -> float:
    """Probability that some of `cells` cells of a random pattern holds more than `capacity` blocks (independent)."""
    if drawn <= capacity or cell <= capacity:
        return 0.0
    x, above = cell_tail(total, drawn, cell)
    if capacity < x[0]:
        return 1.0
    if capacity > x[-1]:
        return 0.0
    tail = float(above[capacity - int(x[0])])
    return 1.0 if tail >= 1.0 else float(-np.expm1(cells * np.log1p(-tail)))


def approximate_quantile(mean: np.ndarray, share: np.ndarray, density: float, probability: np.ndarray) -> np.ndarray:
    """float64: the count that a cell exceeds with `probability` (< 0.5), for a search: normal, corrected for skewness.

    mean: expected blocks of a cell; share: of all blocks that the cell covers. Normal quantile: Abramowitz and Stegun
    26.2.23.
    """
    t = np.sqrt(-2.0 * np.log(probability))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    z = t - top / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    sigma = np.sqrt(np.maximum(mean * (1 - share) * (1 - density), 1e-12))
    skew = (1 - 2 * share) * (1 - 2 * density) / np.maximum(sigma, 1e-6)
    quantile: np.ndarray = mean + sigma * (z + (z * z - 1) / 6 * skew) + 0.5
    return quantile
