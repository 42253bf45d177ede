"""Arithmetic on columns of intervals."""

from __future__ import annotations

from typing import Tuple

import numpy as np


def offsets_of(counts: np.ndarray) -> np.ndarray:
    """int64 [items + 1]: where each item starts when they follow each other, then the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def expand(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... (counts[0] of them), then the same from starts[1], and so on; int64."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total, dtype=np.int64)


def split(start: np.ndarray, length: np.ndarray, step: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intervals [start, start + length), length > 0, cut at the multiples of `step`.

    Returns int64 (index of the interval, begin, length) of each piece, in order.
    """
    first = start // step
    pieces = (start + length - 1) // step - first + 1
    index = np.repeat(np.arange(len(start), dtype=np.int64), pieces)
    if len(index) == len(start):
        return index, start, length
    cell = expand(first, pieces)
    begin = np.maximum(start[index], cell * step)
    return index, begin, np.minimum((start + length)[index], (cell + 1) * step) - begin
