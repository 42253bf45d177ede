"""Code written for Graphcore's SpMM notebook: the same calls, another import."""

from __future__ import annotations

import copy
import io
from typing import Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from popsparse_planner import FormatError, PatternError, PlanError, ShapeError  # noqa: E402
from popsparse_py import compat as sparse_op  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks are")

TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-1}


def block_coo(
    grid: Tuple[int, ...], b: Tuple[int, ...], blocks: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """A tensor with `blocks` random blocks at random places of a grid, not coalesced."""
    generator = torch.Generator().manual_seed(7)
    places = torch.randperm(int(np.prod(grid)), generator=generator)[:blocks].numpy()
    indices = torch.from_numpy(np.stack(np.unravel_index(places, grid)))
    values = torch.randn((blocks, *b), generator=generator).to(dtype)
    return torch.sparse_coo_tensor(indices, values, size=(*grid, *b))


def dense_operand(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(8)).to(dtype)


@pytest.mark.parametrize(("grid", "b"), [((2, 3), (1, 1)), ((2, 4), (4, 2)), ((3, 5, 7), (4, 4, 4))])
def test_dense_form_holds_every_block_at_its_place(grid: Tuple[int, ...], b: Tuple[int, ...]) -> None:
    t = block_coo(grid, b, int(np.prod(grid)) // 2)
    dense = sparse_op.block_coo_to_dense(t)
    expected = np.zeros([g * side for g, side in zip(grid, b)], np.float32)
    for place, values in zip(t._indices().T.tolist(), t._values().numpy()):
        expected[tuple(slice(at * side, (at + 1) * side) for at, side in zip(place, b))] = values
    np.testing.assert_array_equal(dense.numpy(), expected)


def test_transpose_is_that_of_the_matrix() -> None:
    t = block_coo((2, 4), (4, 2), 5, torch.float16)
    turned = sparse_op.block_coo_transpose(t)
    assert turned.is_coalesced()
    assert torch.equal(sparse_op.block_coo_to_dense(turned), sparse_op.block_coo_to_dense(t).T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("b", "grid", "n"), [(1, (3, 5), 7), (4, (12, 10), 8), (2, (6, 5), 1), (16, (4, 2), 5)])
def test_products_in_both_modes(b: int, grid: Tuple[int, int], n: int, dtype: torch.dtype) -> None:
    t = block_coo(grid, (b, b), grid[0] * grid[1] // 3, dtype)
    x = dense_operand(grid[1] * b, n, dtype)
    expected = sparse_op.block_coo_to_dense(t).double() @ x.double()
    close = {"rtol": 0.0, "atol": TOLERANCE[dtype] * max(1.0, float(expected.abs().max()))}
    for product in (sparse_op.block_coo_spmm, sparse_op.block_coo_spmm_gs):
        y = product(t, x, "sparse_dense")
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), expected, **close)
        turned = product(sparse_op.block_coo_transpose(t), x.T, "dense_sparse")
        torch.testing.assert_close(turned.double(), expected.T, **close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("b", [2, 4])
def test_products_of_the_chip_are_executed_on_its_model(b: int, dtype: torch.dtype) -> None:
    t = block_coo((6, 8), (b, b), 12, dtype)
    x = dense_operand(8 * b, 6, dtype)
    expected = sparse_op.block_coo_to_dense(t).double() @ x.double()
    for y in (sparse_op.block_coo_spmm_ipu(t, x), sparse_op.dynamic_spmm_ipu(t, x)):
        assert (y.dtype, tuple(y.shape)) == (dtype, (6 * b, 6))
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=10 * TOLERANCE[dtype])


def test_blocks_that_are_not_square_and_values_with_a_gradient_are_multiplied_too() -> None:
    t = block_coo((3, 4), (4, 2), 6).coalesce()
    x = dense_operand(8, 5)
    expected = sparse_op.block_coo_to_dense(t) @ x
    torch.testing.assert_close(sparse_op.block_coo_spmm(t, x, "sparse_dense"), expected)
    torch.testing.assert_close(sparse_op.StaticSparseMatrix(t) @ x, expected)
    square = block_coo((3, 4), (2, 2), 6).coalesce().requires_grad_()
    sparse_op.block_coo_spmm(square, x, "sparse_dense").sum().backward()
    assert square.grad is not None
    columns = square.detach().indices()[1]
    sums = x.reshape(4, 2, 5).sum(2)  # dW = 1 x^T: each row of a block gets the sums of its rows of x
    torch.testing.assert_close(square.grad.coalesce().values(), sums[columns][:, None].expand(6, 2, 2))


def test_gradient_of_the_dense_operand() -> None:
    t = block_coo((3, 4), (4, 4), 6)
    x, dy = dense_operand(16, 5), dense_operand(12, 5)
    w = sparse_op.block_coo_to_dense(t)
    for mode, operand, grad in (("sparse_dense", x, w.T @ dy), ("dense_sparse", dy.T, x.T @ w.T)):
        leaf = operand.clone().requires_grad_()
        upstream = dy if mode == "sparse_dense" else x.T
        sparse_op.block_coo_spmm(t, leaf, mode).backward(upstream)
        torch.testing.assert_close(leaf.grad, grad, rtol=1e-5, atol=1e-5)


def test_notebook_walk_through() -> None:
    torch.manual_seed(1999)
    lhs = torch.randn((5, 5)) / 5**0.5
    sparse = sparse_op.magnitude_prune(lhs, 1, 0.5)
    assert (tuple(sparse.shape), sparse._nnz()) == ((5, 5, 1, 1), 12)
    dense = torch.randn((5, 4))
    expected = sparse_op.block_coo_to_dense(sparse).float() @ dense.float()
    for product in (sparse_op.block_coo_spmm_gs, sparse_op.block_coo_spmm, sparse_op.block_coo_spmm_ipu):
        torch.testing.assert_close(product(sparse, dense, mode="sparse_dense"), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(sparse_op.dynamic_spmm_ipu(sparse, dense), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_wrappers(dtype: torch.dtype) -> None:
    sparse = sparse_op.magnitude_prune(dense_operand(6, 10, dtype), block_size=2, density=0.75)
    assert sparse._nnz() == 11  # floor(0.75 * 15)
    x = dense_operand(7, 10, dtype)
    expected = (x.double() @ sparse_op.block_coo_to_dense(sparse).double().T).to(dtype)
    close = {"rtol": 0.0, "atol": TOLERANCE[dtype]}
    layer = sparse_op.StaticSparseLinear(sparse)
    torch.testing.assert_close(layer(x), expected, **close)
    torch.testing.assert_close(layer(x.reshape(7, 1, 10)), expected.reshape(7, 1, 6), **close)
    torch.testing.assert_close((sparse_op.StaticSparseMatrix(sparse) @ x.T).T, expected, **close)
    turned = sparse_op.StaticSparseMatrix(sparse_op.block_coo_transpose(sparse))
    torch.testing.assert_close(x @ turned, expected, **close)
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected, **close)
    assert not list(layer.parameters())


def test_wrapper_sees_changed_values_and_saves() -> None:
    sparse = block_coo((2, 3), (2, 2), 3).coalesce()
    matrix, x = sparse_op.StaticSparseMatrix(sparse), dense_operand(6, 2)
    before = matrix @ x
    packed = matrix._kept[3]
    matrix @ x
    assert matrix._kept[3] is packed
    sparse._values().mul_(2)
    torch.testing.assert_close(matrix @ x, 2 * before)
    layer = sparse_op.StaticSparseLinear(sparse)
    layer(x.T)
    layer.weight = sparse_op.magnitude_prune(torch.eye(6), 3, 0.5)
    torch.testing.assert_close(layer(x.T), x.T)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    torch.testing.assert_close(torch.load(file, weights_only=False)(x.T), x.T)


def test_norm_of_a_block_is_the_matrix_norm() -> None:
    w = torch.zeros(4, 2)
    w[:2] = 0.8 * torch.eye(2)  # spectral norm 0.8, root of the sum of squares 1.13
    w[2, 0] = 1.0
    assert sparse_op.magnitude_prune(w, 2, 0.5).indices().tolist() == [[1], [0]]
    assert sparse_op.magnitude_prune(w, 2, 0.5, ord="fro").indices().tolist() == [[0], [0]]


def test_bad_input_is_told() -> None:
    t, x = block_coo((2, 2), (2, 2), 2), dense_operand(4, 3)
    for product in (sparse_op.block_coo_spmm, sparse_op.block_coo_spmm_gs, sparse_op.block_coo_spmm_ipu):
        with pytest.raises(PlanError, match="mode 'dense' is unknown: expected 'sparse_dense' or 'dense_sparse'"):
            product(t, x, "dense")
        with pytest.raises(FormatError, match=r"got torch.strided of shape \(4, 3\): magnitude_prune makes one"):
            product(x, x, "sparse_dense")
        with pytest.raises(ShapeError, match="3"):
            product(t, x.T, "sparse_dense")
    with pytest.raises(ShapeError, match=r"shape \(4,\): expected a matrix"):
        sparse_op.block_coo_spmm(t, x[:, 0], "sparse_dense")
    with pytest.raises(ShapeError, match=r"shape \(4,\): expected a matrix"):
        sparse_op.dynamic_spmm_ipu(t, x[:, 0])
    with pytest.raises(ShapeError, match="got 2 sparse and 1 dense"):
        sparse_op.block_coo_to_dense(torch.sparse_coo_tensor(t._indices(), t._values()[0], size=(2, 2, 2)))
    with pytest.raises(PatternError, match=r"block size 3 does not divide the matrix \(4, 3\)"):
        sparse_op.magnitude_prune(x, 3, 0.5)
    with pytest.raises(PatternError, match=r"density must be a number in \(0, 1\]"):
        sparse_op.magnitude_prune(x, 1, 0)
    with pytest.raises(FormatError, match="NaN"):
        sparse_op.magnitude_prune(x * float("nan"), 1, 0.5)
