"""The patterns on which the published static partitioner was run for tests/data/popsparse_static_plans.csv.

u is the next 32-bit output of mt19937(1) divided by 2^32, one per cell of the block grid in row-major order.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from popsparse_planner.pattern import BlockPattern

_CELLS_AT_ONCE = 1 << 16


def draw(kind: str, m: int, k: int, block: int, density: float) -> BlockPattern:
    """The pattern of kind "uniform", "rowskew", "colskew" or "banded" for an (m, k) matrix of whole blocks."""
    mb, kb = m // block, k // block
    if kind == "uniform":
        rows, cols = np.divmod(_selected(_uniform_numbers(mb * kb), round(density * mb * kb)), kb)
    else:
        rows, cols = np.nonzero(_banded(mb, kb, density) if kind == "banded" else _skewed(kind, mb, kb, density))
    return BlockPattern.from_indices(rows, cols, shape=(m, k), block_size=block)


def _uniform_numbers(count: int) -> np.ndarray:
    """float64 [count] in [0, 1)."""
    raw = np.random.RandomState(1)._bit_generator.random_raw(count)
    return np.asarray(raw, dtype=np.float64) * 2.0**-32


def _selected(u: np.ndarray, count: int) -> np.ndarray:
    """Cells kept by selection sampling: cell i is kept if u[i] * (cells - i) < number still to keep.

    That number only falls, so cells that fail against its value at the start of a chunk fail for good, and
    only the others are visited one by one.
    """
    bars = u * np.arange(len(u), 0, -1, dtype=np.float64)
    kept = []
    left = count
    for start in range(0, len(u), _CELLS_AT_ONCE):
        chunk = bars[start : start + _CELLS_AT_ONCE]
        candidates = np.flatnonzero(chunk < left)
        for cell, bar in zip((candidates + start).tolist(), chunk[candidates].tolist()):
            if bar < left:
                kept.append(cell)
                left -= 1
    return np.array(kept, dtype=np.int64)


def _skewed(kind: str, mb: int, kb: int, density: float) -> np.ndarray:
    """Boolean (mb, kb): present with probability 2 d (1 - r / mb) ("rowskew") or 2 d (1 - c / kb) ("colskew")."""
    u = _uniform_numbers(mb * kb).reshape(mb, kb)
    if kind == "rowskew":
        return u < (2 * density * (1 - np.arange(mb) / mb))[:, None]
    if kind == "colskew":
        return u < 2 * density * (1 - np.arange(kb) / kb)
    raise ValueError(f"unknown published kind {kind!r}")


def _banded(mb: int, kb: int, density: float) -> np.ndarray:
    """Boolean (mb, kb): a band of width max(1, d kb) around the diagonal, cut at the borders."""
    first, end = _band_edges(mb, kb, density)
    columns = np.arange(kb)
    return (columns >= first[:, None]) & (columns < end[:, None])


def _band_edges(mb: int, kb: int, density: float) -> Tuple[np.ndarray, np.ndarray]:
    width = max(1, int(density * kb))
    first = np.arange(mb) * kb // mb - width // 2
    return first, first + width
