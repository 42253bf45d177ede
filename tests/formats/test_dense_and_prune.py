"""from_dense and magnitude_prune: which blocks are kept, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from formats.strategies import BLOCK_SIZES, assert_same, matrices
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_py.formats import BlockSparseMatrix, magnitude_prune, prune
from popsparse_py.formats.prune import block_norms


@given(matrices())
def test_dense_round_trip_keeps_every_number(a: BlockSparseMatrix) -> None:
    back = BlockSparseMatrix.from_dense(a.to_dense(), a.block_size)
    assert_same(back, a)  # normal numbers: no stored block is all zero


@given(matrices(), st.sampled_from(BLOCK_SIZES))
def test_from_dense_stores_exactly_the_blocks_with_a_nonzero(a: BlockSparseMatrix, b: int) -> None:
    w = a.to_dense()
    back = BlockSparseMatrix.from_dense(w, b)
    np.testing.assert_array_equal(back.to_dense(), w)
    assert back.dtype == a.dtype
    assert all(np.any(block) for block in back.values)


def test_from_dense_takes_lists_and_strided_arrays() -> None:
    assert BlockSparseMatrix.from_dense([[1.0, 0.0], [0.0, 0.0]], 1).nnz == 1
    w = np.arange(48.0).reshape(6, 8)
    np.testing.assert_array_equal(BlockSparseMatrix.from_dense(w.T[::2], 2).to_dense(), w.T[::2])
    assert BlockSparseMatrix.from_dense(np.ones((16, 32), ">f8")).values.shape == (2, 16, 16)


@pytest.mark.parametrize("ord", [1, 2, np.inf])
@pytest.mark.parametrize("shape", [(64, 48), (61, 47), (5, 100)])
def test_prune_keeps_the_largest_blocks(shape: tuple, ord: float) -> None:
    w = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    a = magnitude_prune(w, 8, 0.25, ord=ord)
    mb, kb = a.pattern.block_grid
    assert a.pattern.nnz_blocks == round(0.25 * mb * kb)
    norms = np.array(
        [
            [np.linalg.norm(w[r * 8 : r * 8 + 8, c * 8 : c * 8 + 8].astype(float).ravel(), ord) for c in range(kb)]
            for r in range(mb)
        ]
    )
    mask = a.pattern.to_mask()
    assert norms[mask].min() > norms[~mask].max()
    kept = np.kron(mask, np.ones((8, 8), bool))[: shape[0], : shape[1]]
    np.testing.assert_array_equal(a.to_dense(), np.where(kept, w, 0))


@pytest.mark.parametrize(("ord", "criterion"), [(1, "l1"), (2, "l2"), (np.inf, "linf")])
def test_prune_is_from_dense_with_a_density(ord: float, criterion: str) -> None:
    w = np.random.default_rng(4).standard_normal((32, 32))
    expected = BlockSparseMatrix.from_dense(w, 4, density=Fraction(1, 8), criterion=criterion)
    assert_same(magnitude_prune(w, 4, 1 / 8, ord=ord), expected)


def test_equal_norms_are_kept_in_block_order() -> None:
    a = magnitude_prune(np.ones((8, 8)), 4, 0.5)
    assert (a.pattern.rows.tolist(), a.pattern.cols.tolist()) == ([0, 0], [0, 1])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.fractions(0, 1).filter(bool))
def test_the_kept_blocks_are_the_head_of_a_stable_sort(numbers: list, density: Fraction) -> None:
    w = np.array([numbers], dtype=float)
    expected = sorted(sorted(range(len(numbers)), key=lambda i: -numbers[i])[: round(density * len(numbers))])
    assert magnitude_prune(w, 1, density).pattern.cols.tolist() == expected


def test_norms_neither_overflow_nor_vanish() -> None:
    for w in (np.array([[6e4, 5e4]], np.float16), np.array([[1e300, 1e299]]), np.array([[1e-300, 1e-301]])):
        assert magnitude_prune(w, 1, 0.5).pattern.cols.tolist() == [0]
    assert magnitude_prune(np.zeros((4, 4)), 2, 1).nnz == 16  # as many as asked for, zero or not


def test_norms_do_not_depend_on_the_stripes(monkeypatch) -> None:
    w = np.random.default_rng(5).standard_normal((70, 33))
    whole = block_norms(w, 4)
    monkeypatch.setattr(prune, "_CHUNK_ELEMENTS", 1)
    np.testing.assert_array_equal(block_norms(w, 4), whole)


@pytest.mark.parametrize("density", [0, -0.5, 1.0001, 2, np.nan, "1/8", None, True])
def test_density_must_lie_in_zero_to_one(density: object) -> None:
    with pytest.raises(PatternError, match=r"density must be a number in \(0, 1\], got"):
        magnitude_prune(np.ones((4, 4)), 2, density)


@pytest.mark.parametrize("block_size", [0, -4, 2.5, "x", None, np.inf, True])
def test_block_size_must_be_a_whole_number(block_size: object) -> None:
    with pytest.raises(PatternError, match="block size must be a whole number of at least 1, got"):
        BlockSparseMatrix.from_dense(np.ones((4, 4)), block_size)


def test_pad_false_refuses_a_ragged_shape() -> None:
    with pytest.raises(
        PatternError, match=r"block size 4 does not divide \(8, 6\): pad=True pads with zeros, logically"
    ):
        BlockSparseMatrix.from_dense(np.ones((8, 6)), 4, pad=False)
    assert BlockSparseMatrix.from_dense(np.ones((8, 6)), 2, pad=False).nnz == 48


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4), (0, 4), (4, 0)])
def test_only_matrices_are_taken(shape: tuple) -> None:
    with pytest.raises(ShapeError, match=r"w must be a matrix of at least 1 x 1, got shape"):
        BlockSparseMatrix.from_dense(np.ones(shape), 4)


def test_nan_is_refused_with_place_and_count() -> None:
    w = np.ones((4, 6))
    w[1, 5] = w[3, 0] = np.inf
    message = r"w holds 2 values that are NaN or infinite, the first at \(1, 5\) \(inf\): replace or mask them"
    with pytest.raises(FormatError, match=message) as caught:
        magnitude_prune(w, 2, 0.5)
    assert (caught.value.count, caught.value.first) == (2, (1, 5))


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128"])
def test_dtype_is_checked(dtype: str) -> None:
    message = rf'w has dtype {dtype}: expected float16, float32 or float64. Convert it first: w.astype\("float32"\)'
    with pytest.raises(DTypeError, match=message):
        BlockSparseMatrix.from_dense(np.ones((4, 4), dtype))


def test_criterion_and_order_are_checked() -> None:
    with pytest.raises(PatternError, match="criterion 'l3' is unknown: expected one of l2, l1, linf"):
        BlockSparseMatrix.from_dense(np.ones((4, 4)), 2, density=0.5, criterion="l3")
    with pytest.raises(PatternError, match="criterion 'ord=3' is unknown"):
        magnitude_prune(np.ones((4, 4)), 2, 0.5, ord=3)


def test_scipy_matrices_are_sent_to_from_scipy() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    with pytest.raises(
        FormatError, match=r"w is a scipy sparse matrix, not a dense one: use BlockSparseMatrix\.from_scipy"
    ):
        BlockSparseMatrix.from_dense(sparse.eye(4, format="csr"))
