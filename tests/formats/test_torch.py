"""torch tensors to and from BlockSparseMatrix."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from formats.strategies import BLOCK_SIZES, assert_same, dense_of, matrices, random_matrix
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_py.formats import BlockSparseMatrix, magnitude_prune

torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:Sparse (CSR|BSR|CSC|BSC) tensor support|Sparse invariant checks are")


def as_tensor(a: BlockSparseMatrix) -> BlockSparseMatrix:
    return BlockSparseMatrix(a.pattern, torch.tensor(np.array(a.values)))


@given(matrices(whole=True))
def test_bsr_round_trip(a: BlockSparseMatrix) -> None:
    t = a.to_torch("bsr")
    assert (t.layout, tuple(t.shape), t.dtype) == (torch.sparse_bsr, a.shape, getattr(torch, a.dtype))
    back = BlockSparseMatrix.from_torch(t)
    assert isinstance(back.values, torch.Tensor)
    assert_same(back, a)


@given(matrices(), st.sampled_from(["csr", "coo"]))
def test_element_layouts_round_trip(a: BlockSparseMatrix, layout: str) -> None:
    t = a.to_torch(layout)
    assert (t.layout, tuple(t.shape)) == (getattr(torch, f"sparse_{layout}"), a.shape)
    assert_same(BlockSparseMatrix.from_torch(t, a.block_size), a)
    assert BlockSparseMatrix.from_torch(t).block_size == 1


@given(matrices(), st.sampled_from(BLOCK_SIZES))
def test_dense_tensors_round_trip(a: BlockSparseMatrix, b: int) -> None:
    t = a.to_torch("dense")
    np.testing.assert_array_equal(t.numpy(), dense_of(a))
    np.testing.assert_array_equal(BlockSparseMatrix.from_torch(t, b).to_dense().numpy(), dense_of(a))
    assert_same(BlockSparseMatrix.from_dense(t, a.block_size), a)


@given(matrices(whole=True, dtypes=("float32",)))
def test_column_layouts_are_taken(a: BlockSparseMatrix) -> None:
    dense = torch.tensor(dense_of(a))
    assert_same(BlockSparseMatrix.from_torch(dense.to_sparse_csc(), a.block_size), a)
    columns = a.T.to_torch("bsr")
    bsc = torch.sparse_bsc_tensor(
        columns.crow_indices(), columns.col_indices(), columns.values().transpose(1, 2).contiguous(), size=a.shape
    )
    assert_same(BlockSparseMatrix.from_torch(bsc), a)


@given(matrices(), st.sampled_from(BLOCK_SIZES))
def test_tensor_values_behave_as_numpy_values(a: BlockSparseMatrix, b: int) -> None:
    t = as_tensor(a)
    assert t.dtype == a.dtype
    for ours, theirs in (
        (t, a),
        (t.T, a.T),
        (t.reblock(b), a.reblock(b)),
        (t.astype(torch.float32), a.astype("float32")),
    ):
        assert isinstance(ours.values, torch.Tensor)
        assert_same(ours, theirs)
    np.testing.assert_array_equal(t.to_dense().numpy(), a.to_dense())
    assert torch.equal(t.to_torch("csr").to_dense(), t.to_dense())


def test_values_are_kept_as_they_are() -> None:
    values = torch.nn.Parameter(torch.randn(4, 4, 4))
    a = BlockSparseMatrix(random_matrix((8, 8), 4, 1.0).pattern, values)
    assert a.values is values


def test_astype_refuses_what_does_not_fit() -> None:
    a = BlockSparseMatrix(random_matrix((4, 4), 4, 1.0).pattern, torch.full((1, 4, 4), 7e4))
    with pytest.raises(FormatError, match="value 70000 does not fit float16"):
        a.astype(torch.float16)
    with pytest.raises(DTypeError, match="dtype int8 is not supported"):
        a.astype(torch.int8)


def test_torch_layouts_and_the_default_are_understood() -> None:
    a = random_matrix((8, 8), 4, 0.5)
    assert a.to_torch().layout == torch.sparse_bsr
    for layout in (torch.sparse_bsr, torch.sparse_csr, torch.sparse_coo, torch.strided):
        assert a.to_torch(layout).layout == layout
    assert BlockSparseMatrix.from_torch(torch.ones(20, 20)).block_size == 16


def test_gradients_flow_through_every_conversion() -> None:
    pattern = random_matrix((10, 8), 4, 0.7).pattern
    values = torch.ones(pattern.nnz_blocks, 4, 4, requires_grad=True)
    a = BlockSparseMatrix(pattern, values)
    weights = torch.randn(10, 8)
    reached = torch.tensor(BlockSparseMatrix(pattern, np.ones(values.shape)).to_dense())
    for other in (a, a.T.T, a.reblock(2), a.reblock(8), a.astype("float64")):
        (gradient,) = torch.autograd.grad((other.to_dense() * weights).sum(), values)
        got = BlockSparseMatrix(pattern, gradient).to_dense()
        torch.testing.assert_close(got, weights * reached.float())
    w = torch.randn(10, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(BlockSparseMatrix.from_dense(w, 4, density=0.5).to_dense().sum(), w)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}


def test_prune_chooses_the_same_blocks_for_tensors() -> None:
    w = np.random.default_rng(0).standard_normal((33, 50)).astype(np.float16)
    a = magnitude_prune(torch.tensor(w), 8, 0.3)
    assert isinstance(a.values, torch.Tensor)
    assert_same(a, magnitude_prune(w, 8, 0.3))


def test_uncoalesced_coo_is_taken_unless_an_entry_comes_twice() -> None:
    t = torch.sparse_coo_tensor([[1, 0], [2, 0]], [1.0, 2.0], (3, 4))
    np.testing.assert_array_equal(BlockSparseMatrix.from_torch(t).to_dense().numpy(), t.to_dense().numpy())
    twice = torch.sparse_coo_tensor([[1, 0, 1], [2, 0, 2]], [1.0, 2.0, 3.0], (3, 4))
    with pytest.raises(PatternError, match=r"block 2 repeats block 0 at \(row 1, column 2\)"):
        BlockSparseMatrix.from_torch(twice)
    assert BlockSparseMatrix.from_torch(twice.coalesce()).nnz == 2


def test_block_coo_is_taken_by_from_torch() -> None:
    a = as_tensor(random_matrix((8, 12), 4, 0.5))
    t = a.to_torch("block_coo")
    assert_same(BlockSparseMatrix.from_torch(t), a)
    assert_same(BlockSparseMatrix.from_torch(t, 2), a.reblock(2))


def test_blocks_that_are_not_square_need_a_block_size() -> None:
    t = torch.randn(4, 8).to_sparse_bsr((2, 4))
    with pytest.raises(FormatError, match="blocks of 2 x 4 are not square: give block_size"):
        BlockSparseMatrix.from_torch(t)
    assert torch.equal(BlockSparseMatrix.from_torch(t, 4).to_dense(), t.to_dense())


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_dtype_is_checked(dtype: str) -> None:
    t = torch.ones(4, 4).to(getattr(torch, dtype))
    for bad in (t, t.to_sparse_csr(), t.to_sparse_coo()):
        with pytest.raises(DTypeError, match=rf"t has dtype {dtype}: expected .* Convert it first: t.float\(\)"):
            BlockSparseMatrix.from_torch(bad)
    with pytest.raises(DTypeError, match=f"values has dtype {dtype}"):
        BlockSparseMatrix(random_matrix((4, 4), 4, 1.0).pattern, t[None])


def test_nan_is_refused_where_a_tensor_is_converted() -> None:
    t = torch.eye(4)
    t[2, 2] = float("nan")
    for bad in (t, t.to_sparse_csr(), t.to_sparse_coo()):
        with pytest.raises(FormatError, match="t holds 1 value that is NaN or infinite, the first at"):
            BlockSparseMatrix.from_torch(bad)


def test_other_things_are_refused() -> None:
    with pytest.raises(FormatError, match="expected a torch tensor, got ndarray: use from_dense or from_scipy"):
        BlockSparseMatrix.from_torch(np.eye(4))
    with pytest.raises(ShapeError, match=r"t must be a matrix of at least 1 x 1, got shape \(2, 4, 4\)"):
        BlockSparseMatrix.from_torch(torch.ones(2, 4, 4))
    with pytest.raises(ShapeError, match=r"t must be a matrix of at least 1 x 1, got shape \(2, 4, 4\)"):
        BlockSparseMatrix.from_torch(torch.ones(2, 4, 4).to_sparse_csr())
    with pytest.raises(
        FormatError, match=r"w has layout torch\.sparse_csr, not a dense one: use BlockSparseMatrix\.from_torch"
    ):
        BlockSparseMatrix.from_dense(torch.eye(4).to_sparse_csr())
    with pytest.raises(FormatError, match=r"layout torch\._mkldnn is not supported: use dense, sparse_bsr"):
        BlockSparseMatrix.from_torch(torch.eye(4).to_mkldnn())
    with pytest.raises(FormatError, match="layout 'csc' is unknown: expected one of bsr, csr, coo, block_coo, dense"):
        random_matrix((4, 4), 4, 1.0).to_torch("csc")


def test_bsr_cannot_be_ragged() -> None:
    message = r"torch's bsr needs a shape that its blocks divide, got \(6, 8\) in blocks of 4: use csr"
    with pytest.raises(ShapeError, match=message):
        random_matrix((6, 8), 4, 1.0).to_torch("bsr")


def test_tensors_reach_the_operators(monkeypatch) -> None:
    from popsparse_py.formats import matrix

    monkeypatch.setattr(matrix, "_product", lambda a, x: a.to_dense() @ x)
    a = as_tensor(random_matrix((6, 9), 4, 0.7))
    x, left = torch.randn(9, 5), torch.randn(3, 6)
    torch.testing.assert_close(a @ x, a.to_dense() @ x)
    torch.testing.assert_close(left @ a, left @ a.to_dense())


def test_a_missing_torch_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"to_torch needs torch \(.*\): pip install torch"):
        random_matrix((4, 4), 4, 1.0).to_torch()
