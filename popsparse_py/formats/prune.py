"""Which blocks of a dense weight to keep: those of the largest norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from popsparse_planner.errors import PatternError
from popsparse_planner.pattern import BlockPattern

from .arrays import to_numpy
from .blocks import Parts, cut_out, grid_view
from .checks import checked_block_size, checked_density, checked_matrix

CRITERIA = ("l2", "l1", "linf")
_CHUNK_ELEMENTS = 1 << 22  # 32 MiB of float64: norms are formed by stripes of block rows, so memory stays bounded


def block_norms(w: np.ndarray, b: int, criterion: str = "l2") -> np.ndarray:
    """float64 (mb, kb): the norm of each b x b block of the dense w (m, k), up to one factor common to all blocks.

    The factor is the largest magnitude in w, so that squares neither overflow nor vanish.
    Raises PatternError for an unknown criterion.
    """
    if criterion not in CRITERIA:
        raise PatternError(f"criterion {criterion!r} is unknown: expected one of {', '.join(CRITERIA)}")
    largest = float(np.abs(w).max())
    scale = largest if largest > 0 else 1.0
    mb, kb = -(-w.shape[0] // b), -(-w.shape[1] // b)
    norms = np.empty((mb, kb))
    step = max(1, _CHUNK_ELEMENTS // (b * b * kb))
    for first in range(0, mb, step):
        stripe = np.abs(grid_view(w[first * b : (first + step) * b], b)).astype(np.float64) / scale
        if criterion == "l2":
            norms[first : first + step] = np.sqrt(np.einsum("rcij,rcij->rc", stripe, stripe))
        elif criterion == "l1":
            norms[first : first + step] = stripe.sum(axis=(2, 3))
        else:
            norms[first : first + step] = stripe.max(axis=(2, 3))
    return norms


def largest_blocks(w: np.ndarray, b: int, density: Any, criterion: str = "l2") -> BlockPattern:
    """The round(density*mb*kb) blocks of w (m, k) with the largest norms; of equal norms, the first in row-major order.

    density: in (0, 1], else PatternError.
    """
    norms = block_norms(w, b, criterion)
    kept = _largest(norms.reshape(-1), round(checked_density(density) * norms.size))
    return BlockPattern.from_indices(kept // norms.shape[1], kept % norms.shape[1], shape=w.shape, block_size=b)


def _largest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Rising places of the `count` largest numbers; of equal ones, the first. Linear time."""
    if count == 0:
        return np.arange(0)
    least = np.partition(numbers, len(numbers) - count)[len(numbers) - count]
    above = numbers > least
    ties = np.flatnonzero(numbers == least)[: count - np.count_nonzero(above)]
    above[ties] = True
    return np.flatnonzero(above)


def nonzero_blocks(w: np.ndarray, b: int) -> BlockPattern:
    """The blocks of w (m, k) that hold a nonzero."""
    rows, cols = np.nonzero(grid_view(w != 0, b).any(axis=(2, 3)))
    return BlockPattern.from_indices(rows, cols, shape=w.shape, block_size=b)


def from_dense(
    w: Any,  # (m, k)
    block_size: Any,
    density: Any,
    criterion: str = "l2",
    pad: bool = True,
    what: str = "w",
) -> Parts:
    """Pattern and values of a dense w: its largest blocks, or with density None every block that holds a nonzero.

    pad: whether m and k may be ragged; PatternError if they are and it is False. what: the name of w in messages.
    Other errors: checks.checked_matrix.
    """
    b = checked_block_size(block_size)
    w = checked_matrix(w, what)
    m, k = w.shape
    if not pad and (m % b or k % b):
        raise PatternError(f"block size {b} does not divide ({m}, {k}): pad=True pads with zeros, logically")
    plain = to_numpy(w)
    pattern = nonzero_blocks(plain, b) if density is None else largest_blocks(plain, b, density, criterion)
    return pattern, cut_out(w, pattern)
