"""Stored blocks as parallel arrays: put them in order, split them, merge them, cut them out of a dense matrix.

Everywhere: rows, cols int64 [z] block coordinates; values (z, r, c), NumPy array or torch tensor; b the block size.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from popsparse_planner.errors import ShapeError
from popsparse_planner.pattern import BlockPattern

from .arrays import permute, put, take, zeros

Parts = Tuple[BlockPattern, Any]  # a pattern and its values (nnz_blocks, b, b) in the pattern's order


def in_order(
    rows: np.ndarray,
    cols: np.ndarray,
    values: Any,  # (z, b, b)
    shape: Tuple[int, int],
    b: int,
) -> Parts:
    """The pattern of the coordinates, and the values in its row-major order.

    Raises PatternError for a coordinate that is out of range or given twice (BlockPattern.from_indices).
    """
    pattern = BlockPattern.from_indices(rows, cols, shape=shape, block_size=b)
    order = np.lexsort((cols, rows))
    if np.array_equal(order, np.arange(len(order))):
        return pattern, values
    return pattern, take(values, order)


def split(
    rows: np.ndarray,
    cols: np.ndarray,
    values: Any,  # (z, r, c)
    b: int,
) -> Tuple[np.ndarray, np.ndarray, Any]:
    """The same entries in blocks of b x b, where b divides r and c; every stored entry stays stored."""
    z, r, c = values.shape
    if r == c == b:
        return rows, cols, values
    down, across = r // b, c // b
    pieces = permute(values.reshape(z, down, b, across, b), (0, 1, 3, 2, 4)).reshape(z * down * across, b, b)
    fine_rows = np.broadcast_to((rows * down)[:, None, None] + np.arange(down)[None, :, None], (z, down, across))
    fine_cols = np.broadcast_to((cols * across)[:, None, None] + np.arange(across)[None, None, :], (z, down, across))
    return fine_rows.reshape(-1), fine_cols.reshape(-1), pieces


def inside(
    rows: np.ndarray,
    cols: np.ndarray,
    values: Any,  # (z, b, b)
    shape: Tuple[int, int],
) -> Tuple[np.ndarray, np.ndarray, Any]:
    """The blocks without those that lie wholly in the padding of a ragged shape."""
    b = values.shape[1]
    keep = (rows * b < shape[0]) & (cols * b < shape[1])
    if keep.all():
        return rows, cols, values
    return rows[keep], cols[keep], take(values, keep)


def merge(
    rows: np.ndarray,
    cols: np.ndarray,
    values: Any,  # (z, s, s)
    shape: Tuple[int, int],
    b: int,
) -> Parts:
    """Blocks of s x s gathered into blocks of b x b, where s divides b; what no small block covers is zero.

    Raises PatternError for a coordinate that is out of range or given twice, before anything is overwritten.
    """
    s = values.shape[1]
    fine, values = in_order(rows, cols, values, shape, s)
    if s == b:
        return fine, values
    factor = b // s
    rows, cols = fine.rows.astype(np.int64), fine.cols.astype(np.int64)
    width = -(-shape[1] // b)
    keys, slots = np.unique(rows // factor * width + cols // factor, return_inverse=True)
    pattern = BlockPattern.from_indices(keys // width, keys % width, shape=shape, block_size=b)
    tiled = zeros((len(keys), factor, factor, s, s), values)
    put(tiled, (slots.reshape(-1), rows % factor, cols % factor), values)
    return pattern, permute(tiled, (0, 1, 3, 2, 4)).reshape(len(keys), b, b)


def transposed(pattern: BlockPattern, values: Any) -> Parts:
    """Pattern and values of the transpose, in row-major order of the new pattern."""
    order = np.lexsort((pattern.rows, pattern.cols))
    return pattern.transpose(), take(permute(values, (0, 2, 1)), order)


def grid_view(w: Any, b: int) -> Any:
    """A dense w (m, k) as (mb, kb, b, b), padded with zeros where m or k is ragged."""
    m, k = w.shape
    mb, kb = -(-m // b), -(-k // b)
    if (mb * b, kb * b) != (m, k):
        padded = zeros((mb * b, kb * b), w)
        padded[:m, :k] = w
        w = padded
    return permute(w.reshape(mb, b, kb, b), (0, 2, 1, 3))


def cut_out(w: Any, pattern: BlockPattern) -> Any:
    """The values (nnz_blocks, b, b) that the dense w (m, k) has in the pattern's blocks."""
    return take(grid_view(w, pattern.block_size), pattern.rows, pattern.cols)


def to_dense(pattern: BlockPattern, values: Any) -> Any:
    """The dense (m, k) matrix, in the library of `values`; padding is cut off, dropped blocks are exactly 0."""
    b = pattern.block_size
    (m, k), (mb, kb) = pattern.shape, pattern.block_grid
    grid = zeros((mb, kb, b, b), values)
    put(grid, (pattern.rows, pattern.cols), values)
    return permute(grid, (0, 2, 1, 3)).reshape(mb * b, kb * b)[:m, :k]


def entries(pattern: BlockPattern, values: Any) -> Tuple[np.ndarray, np.ndarray, Any]:
    """rows, cols, values (all [nnz]) of every stored entry inside the shape, sorted by row, then column."""
    rows, cols = pattern.rows.astype(np.int64), pattern.cols.astype(np.int64)
    rows, cols, ones = inside(*split(rows, cols, values, 1), pattern.shape)
    order = np.lexsort((cols, rows))
    return rows[order], cols[order], take(ones.reshape(-1), order)


def check_whole_blocks(pattern: BlockPattern, whose: str) -> None:
    """ShapeError if the block size does not divide the shape, which the foreign format `whose` cannot express."""
    (m, k), b = pattern.shape, pattern.block_size
    if m % b or k % b:
        raise ShapeError(f"{whose} needs a shape that its blocks divide, got {pattern.shape} in blocks of {b}: use csr")
