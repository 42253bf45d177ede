"""scipy.sparse to and from BlockSparseMatrix."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from formats.strategies import BLOCK_SIZES, assert_same, dense_of, matrices, random_matrix
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_py.formats import BlockSparseMatrix

sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
WIDE = ("float32", "float64")


@given(matrices(whole=True, dtypes=WIDE))
def test_bsr_round_trip(a: BlockSparseMatrix) -> None:
    s = a.to_scipy("bsr")
    assert (s.format, s.shape, s.blocksize, s.dtype.name) == ("bsr", a.shape, (a.block_size,) * 2, a.dtype)
    np.testing.assert_array_equal(s.toarray(), dense_of(a))
    assert_same(BlockSparseMatrix.from_scipy(s), a)


@given(matrices(dtypes=WIDE), st.sampled_from(["csr", "coo", "csc"]))
def test_element_formats_round_trip(a: BlockSparseMatrix, layout: str) -> None:
    s = a.to_scipy("csr").tocsc() if layout == "csc" else a.to_scipy(layout)
    assert (s.format, s.shape, s.dtype.name) == (layout, a.shape, a.dtype)
    np.testing.assert_array_equal(s.toarray(), dense_of(a))
    assert_same(BlockSparseMatrix.from_scipy(s, a.block_size), a)
    assert BlockSparseMatrix.from_scipy(s).block_size == 1


@given(matrices(dtypes=WIDE), st.sampled_from(BLOCK_SIZES))
def test_any_block_size_holds_the_same_matrix(a: BlockSparseMatrix, b: int) -> None:
    s = a.to_scipy("csr")
    np.testing.assert_array_equal(BlockSparseMatrix.from_scipy(s, b).to_dense(), dense_of(a))


def test_blocks_that_are_not_square_need_a_block_size() -> None:
    w = np.kron([[1.0, 0.0], [1.0, 1.0]], np.arange(1.0, 9.0).reshape(2, 4))
    s = sparse.bsr_matrix(w, blocksize=(2, 4))
    for b in (1, 2, 3, 4, 8):
        np.testing.assert_array_equal(BlockSparseMatrix.from_scipy(s, b).to_dense(), w)
    with pytest.raises(FormatError, match="blocks of 2 x 4 are not square: give block_size"):
        BlockSparseMatrix.from_scipy(s)


def test_unsorted_blocks_and_both_families_are_taken() -> None:
    data = np.arange(12.0).reshape(3, 2, 2)
    parts = (data, [1, 0, 1], [0, 2, 3])
    for kind in (sparse.bsr_matrix, sparse.bsr_array):
        s = kind(parts, shape=(4, 4))
        np.testing.assert_array_equal(BlockSparseMatrix.from_scipy(s).to_dense(), s.toarray())


def test_float16_is_widened() -> None:
    a = random_matrix((8, 8), 4, 0.5, "float16")
    for layout in ("bsr", "csr", "coo"):
        s = a.to_scipy(layout)
        assert s.dtype == np.float32
        np.testing.assert_array_equal(s.toarray(), a.to_dense())


def test_stored_zeros_keep_their_block() -> None:
    s = sparse.csr_matrix(([0.0], ([5], [6])), shape=(8, 8))
    assert BlockSparseMatrix.from_scipy(s, 4).pattern.to_mask().tolist() == [[False, False], [False, True]]
    assert BlockSparseMatrix.from_scipy(s, 4).to_scipy("csr").nnz == 16


def test_duplicate_entries_are_refused() -> None:
    s = sparse.coo_matrix(([1.0, 2.0, 3.0], ([1, 0, 1], [2, 0, 2])), shape=(4, 4))
    for b in (1, 4):
        with pytest.raises(PatternError, match=r"block 2 repeats block 0 at \(row 1, column 2\)"):
            BlockSparseMatrix.from_scipy(s, b)
    s.sum_duplicates()
    assert BlockSparseMatrix.from_scipy(s).nnz == 2


def test_entries_outside_the_shape_are_refused() -> None:
    s = sparse.coo_matrix(([1.0], ([1], [2])), shape=(5, 4))
    s.col[0] = 4
    with pytest.raises(PatternError, match=r"entry 0 at \(row 1, column 4\) lies outside a grid of 5 x 4"):
        BlockSparseMatrix.from_scipy(s, 2)


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_dtype_is_checked(dtype: str) -> None:
    with pytest.raises(DTypeError, match=f"a has dtype {dtype}: expected float16, float32 or float64"):
        BlockSparseMatrix.from_scipy(sparse.eye(4, format="csr").astype(dtype))


def test_nan_is_refused() -> None:
    s = sparse.csr_matrix(([1.0, np.nan], ([0, 1], [0, 1])), shape=(4, 4))
    with pytest.raises(FormatError, match="a holds 1 value that is NaN or infinite, the first at"):
        BlockSparseMatrix.from_scipy(s)


def test_other_things_are_refused() -> None:
    with pytest.raises(FormatError, match="expected a scipy sparse matrix in format bsr, csr, csc or coo, got ndarray"):
        BlockSparseMatrix.from_scipy(np.eye(4))
    with pytest.raises(FormatError, match=r"got format dia: try a.tocsr\(\)"):
        BlockSparseMatrix.from_scipy(sparse.eye(4, format="dia"))
    with pytest.raises(ShapeError, match="a must be a matrix of at least 1 x 1, got shape"):
        BlockSparseMatrix.from_scipy(sparse.csr_matrix((0, 4)))
    with pytest.raises(FormatError, match="layout 'lil' is unknown: expected one of bsr, csr, coo"):
        random_matrix((4, 4), 4, 1.0).to_scipy("lil")


def test_bsr_cannot_be_ragged() -> None:
    message = r"scipy's bsr needs a shape that its blocks divide, got \(6, 8\) in blocks of 4: use csr"
    with pytest.raises(ShapeError, match=message):
        random_matrix((6, 8), 4, 1.0).to_scipy("bsr")


def test_a_missing_scipy_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"to_scipy needs scipy \(.*\): pip install scipy"):
        random_matrix((4, 4), 4, 1.0).to_scipy()
