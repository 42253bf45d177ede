"""The same stored entries in another block size."""

from __future__ import annotations

import math
from typing import Any, Tuple

import numpy as np

from popsparse_planner.errors import FormatError, PatternError
from popsparse_planner.pattern import BlockPattern

from .blocks import Parts, inside, merge, split
from .checks import checked_block_size


def regroup(
    rows: np.ndarray,
    cols: np.ndarray,
    values: Any,  # (z, r, c)
    shape: Tuple[int, int],
    block_size: Any,
) -> Parts:
    """Blocks of r x c as blocks of block_size: split to the common divisor, then merged.

    A new block is stored if a stored entry, zero or not, lies in it; the rest of it is filled with zeros.
    Raises PatternError for a block that lies outside the shape or comes twice.
    """
    b = checked_block_size(block_size)
    r, c = int(values.shape[1]), int(values.shape[2])
    _check_inside(rows, cols, (-(-shape[0] // r), -(-shape[1] // c)))
    common = math.gcd(math.gcd(r, c), b)
    return merge(*inside(*split(rows, cols, values, common), shape), shape, b)


def own_block_size(values: Any) -> int:
    """The side of square blocks (z, b, b); FormatError if they are not square."""
    if values.shape[1] != values.shape[2]:
        raise FormatError(f"blocks of {values.shape[1]} x {values.shape[2]} are not square: give block_size")
    return int(values.shape[1])


def _check_inside(rows: np.ndarray, cols: np.ndarray, grid: Tuple[int, int]) -> None:
    outside = np.flatnonzero((rows < 0) | (rows >= grid[0]) | (cols < 0) | (cols >= grid[1]))
    if len(outside):
        entry = int(outside[0])
        raise PatternError(
            f"entry {entry} at (row {int(rows[entry])}, column {int(cols[entry])}) lies outside a grid of "
            f"{grid[0]} x {grid[1]}",
            entry=entry,
        )


def reblock(pattern: BlockPattern, values: Any, block_size: Any) -> Parts:
    """Pattern and values in blocks of block_size; to_dense() does not change. PatternError if it is not at least 1."""
    return regroup(pattern.rows.astype(np.int64), pattern.cols.astype(np.int64), values, pattern.shape, block_size)
