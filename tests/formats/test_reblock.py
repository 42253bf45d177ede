"""reblock: the same numbers in another block size."""

from __future__ import annotations

import numpy as np
import pytest
from formats.strategies import BLOCK_SIZES, assert_same, matrices, random_matrix
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import PatternError
from popsparse_py.formats import BlockSparseMatrix


@given(matrices(), st.sampled_from(BLOCK_SIZES))
def test_reblock_keeps_the_dense_matrix(a: BlockSparseMatrix, b: int) -> None:
    other = a.reblock(b)
    assert (other.block_size, other.shape, other.dtype) == (b, a.shape, a.dtype)
    np.testing.assert_array_equal(other.to_dense(), a.to_dense())


@given(matrices(), st.integers(1, 4))
def test_up_and_down_again_holds_every_stored_block(a: BlockSparseMatrix, factor: int) -> None:
    back = a.reblock(a.block_size * factor).reblock(a.block_size)
    assert (a.pattern - back.pattern).nnz_blocks == 0
    np.testing.assert_array_equal(back.to_dense(), a.to_dense())


@given(matrices())
def test_down_and_up_again_is_the_same_matrix(a: BlockSparseMatrix) -> None:
    assert_same(a.reblock(1).reblock(a.block_size), a)
    assert a.reblock(1).nnz == int(np.count_nonzero(_stored(a)))


def _stored(a: BlockSparseMatrix) -> np.ndarray:
    ones = BlockSparseMatrix(a.pattern, np.ones(a.values.shape))
    return ones.to_dense()


def test_stored_zeros_stay_stored() -> None:
    a = BlockSparseMatrix(random_matrix((8, 8), 4, 1.0).pattern, np.zeros((4, 4, 4)))
    assert a.reblock(2).pattern.nnz_blocks == 16
    assert a.reblock(8).pattern.nnz_blocks == 1


def test_block_size_is_checked() -> None:
    with pytest.raises(PatternError, match="block size must be a whole number of at least 1, got 0"):
        random_matrix((8, 8), 4, 1.0).reblock(0)
