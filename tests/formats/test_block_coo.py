"""4-D block COO, as a NumPy triple and as a torch tensor."""

from __future__ import annotations

import numpy as np
import pytest
from formats.strategies import assert_same, dense_of, matrices, random_matrix
from hypothesis import given

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_py.formats import BlockSparseMatrix

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are")  # of the test's own tensors


def triple(b: int = 2, width: int = 2, count: int = 2) -> tuple:
    return np.array([[0, 1], [1, 0]])[:, :count], np.ones((count, b, width)), (2, 2, b, width)


@given(matrices(whole=True))
def test_triple_round_trip(a: BlockSparseMatrix) -> None:
    indices, values, size = a.to_block_coo()
    assert (indices.shape, size) == ((2, a.pattern.nnz_blocks), (*a.pattern.block_grid, a.block_size, a.block_size))
    assert_same(BlockSparseMatrix.from_block_coo((indices, values, size)), a)
    backwards = (indices[:, ::-1], values[::-1], size)
    assert_same(BlockSparseMatrix.from_block_coo(backwards), a)


@given(matrices(whole=True))
def test_tensor_round_trip(a: BlockSparseMatrix) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    t = a.to_torch("block_coo")
    assert (t.sparse_dim(), t.dense_dim(), t.is_coalesced()) == (2, 2, True)
    dense = t.to_dense().permute(0, 2, 1, 3).reshape(a.shape)  # block_coo_to_dense of the SpMM notebook
    np.testing.assert_array_equal(dense.numpy(), dense_of(a))
    back = BlockSparseMatrix.from_block_coo(t)
    assert_same(back, a)
    assert torch.equal(back.to_block_coo().to_dense(), t.to_dense())


def test_a_ragged_shape_comes_back_when_given() -> None:
    a = random_matrix((10, 7), 4, 1.0)
    indices, values, size = BlockSparseMatrix.from_dense(a.to_dense(), 4).to_block_coo()
    assert BlockSparseMatrix.from_block_coo((indices, values, size)).shape == (12, 8)
    back = BlockSparseMatrix.from_block_coo((indices, values, size), shape=(10, 7))
    assert back.shape == (10, 7)
    np.testing.assert_array_equal(back.to_dense(), a.to_dense())
    with pytest.raises(ShapeError, match=r"shape \(8, 7\) needs \(2, 2\) blocks of 4, the tensor has \(3, 2\)"):
        BlockSparseMatrix.from_block_coo((indices[:, :0], values[:0], size), shape=(8, 7))
    with pytest.raises(ShapeError, match=r"the tensor holds nonzeros outside shape \(9, 7\)"):
        BlockSparseMatrix.from_block_coo((indices, values, size), shape=(9, 7))


def test_duplicates_and_coordinates_outside_are_refused() -> None:
    indices, values, size = triple()
    with pytest.raises(PatternError, match=r"block 1 repeats block 0 at \(row 0, column 1\)"):
        BlockSparseMatrix.from_block_coo((indices[:, [0, 0]], values, size))
    for bad in (2, -1):
        with pytest.raises(PatternError, match=rf"block 0 at \(row {bad}, column 1\) lies outside the 2 x 2 blocks"):
            BlockSparseMatrix.from_block_coo((np.add(indices, [[bad], [0]]), values, size))


def test_ill_formed_triples_are_refused() -> None:
    indices, values, size = triple()
    with pytest.raises(ShapeError, match="blocks must be square, got 2 x 4"):
        BlockSparseMatrix.from_block_coo(triple(2, 4))
    with pytest.raises(ShapeError, match=r"size must be \(mb, kb, b, b\), got \(4, 4\)"):
        BlockSparseMatrix.from_block_coo((indices, values, (4, 4)))
    with pytest.raises(ShapeError, match=r"indices \(2, 2\) and values \(3, 2, 2\) do not fit: expected \(2, z\) and"):
        BlockSparseMatrix.from_block_coo((indices, np.ones((3, 2, 2)), size))
    with pytest.raises(DTypeError, match="values has dtype int64"):
        BlockSparseMatrix.from_block_coo((indices, values.astype(int), size))
    with pytest.raises(FormatError, match="values holds 8 values that are NaN or infinite"):
        BlockSparseMatrix.from_block_coo((indices, values * np.nan, size))
    with pytest.raises(FormatError, match=r"expected a 4-D sparse_coo tensor or a triple .* got ndarray"):
        BlockSparseMatrix.from_block_coo(values)


def test_other_tensors_are_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for bad in (torch.eye(4), torch.eye(4).to_sparse_coo(), torch.ones(2, 2, 2, 2).to_sparse_coo()):
        with pytest.raises(FormatError, match=r"with 2 sparse and 2 dense dimensions, got .*: use from_torch"):
            BlockSparseMatrix.from_block_coo(bad)
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], torch.ones(2, 2, 2), (2, 2, 2, 2))
    with pytest.raises(PatternError, match="block 1 repeats block 0"):
        BlockSparseMatrix.from_block_coo(twice)
    assert BlockSparseMatrix.from_block_coo(twice.coalesce()).values.sum() == 8
