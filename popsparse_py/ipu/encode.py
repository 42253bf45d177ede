"""Between a caller's arrays and the buffers of a program: X, Y and the values of W."""

from __future__ import annotations

from typing import Optional

import numpy as np

from popsparse_planner.errors import FormatError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem
from popsparse_planner.static.merged import Merged


def encode_x(problem: Problem, x: np.ndarray) -> np.ndarray:  # x: (k, n) of problem.dtype
    """X as it lies at home, [kb][n_padded][b] flat; what k and n lack to whole blocks and grains is zero."""
    kb, b = problem.block_grid[1], problem.block_size
    padded = np.zeros((kb * b, problem.n_padded), dtype=problem.dtype)
    padded[: problem.k, : problem.n] = x
    return np.ascontiguousarray(padded.reshape(kb, b, problem.n_padded).transpose(0, 2, 1)).reshape(-1)


def decode_y(problem: Problem, home: np.ndarray, order: Optional[np.ndarray] = None) -> np.ndarray:
    """Y (m, n) from its home [mb][n_padded][b]; order: where in that each 8 bytes of `home` belong, None: in order."""
    mb, b = problem.block_grid[0], problem.block_size
    if order is not None:
        grains = np.empty(len(order), dtype=np.uint64)
        grains[order] = home.view(np.uint64)
        home = grains.view(home.dtype)
    rows = home.reshape(mb, problem.n_padded, b).transpose(0, 2, 1).reshape(mb * b, problem.n_padded)
    return np.ascontiguousarray(rows[: problem.m, : problem.n])


def encode_values(problem: Problem, values: np.ndarray, value_blocks: np.ndarray) -> np.ndarray:
    """The program's `values`, flat: unit i is block value_blocks[i] of `values` (nnz_blocks, b, b), or zeros.

    What `values` hold in the padding of a ragged W does no harm: X is zero there, and such rows are cut.
    Raises FormatError that names the first block with a NaN or infinite value.
    """
    check_finite(values)
    units = np.zeros((len(values) + 1, problem.block_size**2), dtype=problem.dtype)
    units[:-1] = values.reshape(units[:-1].shape)
    encoded: np.ndarray = units[value_blocks].reshape(-1)
    return encoded


def check_finite(values: np.ndarray) -> None:
    """FormatError that names the first block of `values` (nnz_blocks, b, b) with a NaN or infinite value."""
    finite = np.isfinite(values).all(axis=(1, 2))
    if not finite.all():
        block = int(np.argmin(finite))
        raise FormatError(
            f"values of W hold NaN or infinity, first in block {block}: replace them before loading", block=block
        )


def merged_values(pattern: BlockPattern, larger: Merged, values: np.ndarray) -> np.ndarray:
    """(blocks of `larger`, B, B): the values (nnz_blocks, b, b) of `pattern` in its merged blocks, zeros elsewhere."""
    check_finite(values)
    b, ratio = pattern.block_size, larger.pattern.block_size // pattern.block_size
    found = np.zeros((larger.pattern.nnz_blocks, ratio, b, ratio, b), dtype=values.dtype)
    found[larger.holder, pattern.rows % ratio, :, pattern.cols % ratio, :] = values
    return found.reshape(-1, ratio * b, ratio * b)
