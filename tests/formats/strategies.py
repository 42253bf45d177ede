"""Random block-sparse matrices for the tests of formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from popsparse_planner.pattern import BlockPattern
from popsparse_py.formats import BlockSparseMatrix

BLOCK_SIZES = (1, 2, 3, 4, 8, 16)
DTYPES = ("float16", "float32", "float64")


def pattern_of(mask: np.ndarray, b: int, shape: tuple) -> BlockPattern:
    """The pattern of a boolean block mask."""
    rows, cols = np.nonzero(mask)
    return BlockPattern.from_indices(rows, cols, shape=shape, block_size=b)


def random_matrix(shape: tuple, b: int, density: float, dtype: str = "float32", seed: int = 0) -> BlockSparseMatrix:
    """Each block is stored with probability `density`; the padding of a ragged shape holds numbers too."""
    rng = np.random.default_rng(seed)
    mask = rng.random((-(-shape[0] // b), -(-shape[1] // b))) < density
    pattern = pattern_of(mask, b, shape)
    return BlockSparseMatrix(pattern, rng.standard_normal((pattern.nnz_blocks, b, b)).astype(dtype))


def dense_of(a: BlockSparseMatrix) -> np.ndarray:
    """The dense matrix block by block, as the definition says, in plain Python."""
    b, (m, k) = a.block_size, a.shape
    w = np.zeros((m, k), dtype=a.dtype)
    for row, col, block in zip(a.pattern.rows.tolist(), a.pattern.cols.tolist(), np.asarray(a.values)):
        part = w[row * b : (row + 1) * b, col * b : (col + 1) * b]
        part[...] = block[: part.shape[0], : part.shape[1]]
    return w


@st.composite
def matrices(draw: Any, whole: bool = False, dtypes: tuple = DTYPES) -> BlockSparseMatrix:
    """Empty to full, one block to many, ragged unless `whole`."""
    b = draw(st.sampled_from(BLOCK_SIZES))
    if whole:
        shape = (b * draw(st.integers(1, 5)), b * draw(st.integers(1, 5)))
    else:
        shape = (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return random_matrix(shape, b, density, draw(st.sampled_from(dtypes)), draw(st.integers(0, 2**16)))


def assert_same(a: BlockSparseMatrix, b: BlockSparseMatrix) -> None:
    """Same pattern, same dtype, same numbers inside the shape."""
    assert a.pattern == b.pattern
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(dense_of(a), dense_of(b))
