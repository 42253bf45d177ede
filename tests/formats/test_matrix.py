"""BlockSparseMatrix itself: construction, views, transpose, dtype, cache, operators."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from formats.strategies import assert_same, dense_of, matrices, random_matrix
from hypothesis import given

from popsparse_planner.errors import DTypeError, FormatError, ShapeError, TargetUnavailableError
from popsparse_planner.pattern import BlockPattern
from popsparse_py.formats import BlockSparseMatrix, matrix


def two_blocks() -> BlockPattern:
    return BlockPattern.from_indices([0, 1], [1, 0], shape=(8, 8), block_size=4)


@given(matrices())
def test_to_dense_places_every_block_and_cuts_the_padding(a: BlockSparseMatrix) -> None:
    w = a.to_dense()
    assert w.shape == a.shape
    assert w.dtype == a.dtype
    np.testing.assert_array_equal(w, dense_of(a))


@given(matrices())
def test_transpose_is_the_dense_transpose(a: BlockSparseMatrix) -> None:
    assert a.T.shape == a.shape[::-1]
    assert a.T.dtype == a.dtype
    np.testing.assert_array_equal(a.T.to_dense(), a.to_dense().T)
    assert_same(a.T.T, a)


def test_transpose_is_one_object_until_something_changes() -> None:
    a = random_matrix((12, 8), 4, 0.5)
    first = a.T
    assert a.T is first
    first.values = first.values * 2
    np.testing.assert_array_equal(a.T.to_dense(), a.to_dense().T)
    second = a.T
    a.invalidate()
    assert a.T is not second


def test_properties_describe_the_matrix() -> None:
    a = random_matrix((30, 20), 8, 1.0, "float16")
    assert (a.shape, a.block_size, a.dtype, a.nnz, a.density) == ((30, 20), 8, "float16", 12 * 64, 1.0)
    assert a.crow_indices().tolist() == [0, 3, 6, 9, 12]
    assert a.col_indices().tolist() == [0, 1, 2] * 4
    assert repr(a) == "BlockSparseMatrix(30 x 20, block_size 8, 12 of 12 blocks (density 1), float16)"


def test_values_are_a_read_only_view_not_a_copy() -> None:
    values = np.ones((2, 4, 4), np.float32)
    a = BlockSparseMatrix(two_blocks(), values)
    assert np.shares_memory(a.values, values)
    with pytest.raises(ValueError, match="read-only"):
        a.values[0, 0, 0] = 2.0
    values[0, 0, 0] = 3.0  # the caller's own array stays writable
    assert a.values[0, 0, 0] == 3.0


def test_new_values_and_invalidate_drop_the_kernels() -> None:
    a = random_matrix((8, 8), 4, 1.0)
    a._kernels["cpu"] = object()
    a.values = a.values * 2
    assert a._kernels == {}
    a._kernels["cpu"] = object()
    a.invalidate()
    assert a._kernels == {}
    with pytest.raises(ShapeError, match="values have shape"):
        a.values = np.zeros((1, 4, 4))


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_leave_the_kernels_behind(clone) -> None:
    a = random_matrix((9, 8), 4, 0.5)
    a._kernels["cpu"] = object()
    other = clone(a)
    assert_same(other, a)
    assert other._kernels == {}


@given(matrices())
def test_astype_rounds_each_value(a: BlockSparseMatrix) -> None:
    for dtype in ("float16", np.float32, np.dtype("float64")):
        b = a.astype(dtype)
        assert b.dtype == np.dtype(dtype).name
        assert b.pattern == a.pattern
        np.testing.assert_array_equal(b.to_dense(), a.to_dense().astype(dtype))


def test_astype_refuses_what_does_not_fit() -> None:
    a = BlockSparseMatrix(two_blocks(), np.full((2, 4, 4), 70000.0))
    with pytest.raises(FormatError, match="value 70000 does not fit float16, which ends at 65504: scale first"):
        a.astype("float16")
    for dtype in ("int32", "bfloat16", "complex64", "no such"):
        with pytest.raises(
            DTypeError, match=f"dtype {dtype} is not supported: expected one of float16, float32, float64"
        ):
            a.astype(dtype)


def test_values_must_fit_the_pattern() -> None:
    message = r"values have shape \(3, 4, 4\), expected \(2, 4, 4\): the pattern has 2 blocks of 4 x 4"
    with pytest.raises(ShapeError, match=message):
        BlockSparseMatrix(two_blocks(), np.zeros((3, 4, 4)))
    with pytest.raises(FormatError, match="pattern must be a BlockPattern, got list"):
        BlockSparseMatrix([[0, 1]], np.zeros((2, 4, 4)))


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "object"])
def test_unsupported_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(DTypeError, match=rf"values has dtype {dtype}: expected float16, float32 or float64"):
        BlockSparseMatrix(two_blocks(), np.zeros((2, 4, 4), dtype))


def test_nan_and_infinite_values_are_refused_with_place_and_count() -> None:
    values = np.zeros((2, 4, 4))
    values[1, 2, 3] = np.nan
    message = r"values holds 1 value that is NaN or infinite, the first at \(1, 2, 3\) \(nan\)"
    with pytest.raises(FormatError, match=message):
        BlockSparseMatrix(two_blocks(), values)
    values[1, 0, 0] = -np.inf
    message = r"values holds 2 values that are NaN or infinite, the first at \(1, 0, 0\) \(-inf\)"
    with pytest.raises(FormatError, match=message):
        BlockSparseMatrix(two_blocks(), values)


def test_big_endian_values_are_taken() -> None:
    a = BlockSparseMatrix(two_blocks(), np.arange(32.0).reshape(2, 4, 4).astype(">f4"))
    assert a.values.dtype.isnative
    assert a.values.sum() == 496


def test_operators_call_the_registered_product(monkeypatch) -> None:
    monkeypatch.setattr(matrix, "_product", lambda a, x: a.to_dense() @ x)
    a = random_matrix((6, 9), 4, 0.7, "float64")
    rng = np.random.default_rng(1)
    x, left = rng.standard_normal((9, 5)), rng.standard_normal((3, 6))
    np.testing.assert_allclose(a @ x, a.to_dense() @ x)
    np.testing.assert_allclose(left @ a, left @ a.to_dense())
    np.testing.assert_allclose(a @ x[:, 0], a.to_dense() @ x[:, 0])
    np.testing.assert_allclose(left[0] @ a, left[0] @ a.to_dense())


def test_set_product_registers(monkeypatch) -> None:
    monkeypatch.setattr(matrix, "_product", None)
    matrix.set_product(lambda a, x: "called")
    assert random_matrix((4, 4), 4, 1.0) @ np.ones((4, 1)) == "called"


def test_the_front_door_is_opened_when_no_product_is_registered(monkeypatch) -> None:
    monkeypatch.setattr(matrix, "_product", None)

    class FrontDoor:
        @property
        def spmm(self):
            matrix.set_product(lambda a, x: "opened")

    monkeypatch.setattr(matrix, "import_module", lambda name: {"popsparse_py": FrontDoor()}[name])
    assert random_matrix((4, 4), 4, 1.0) @ np.ones((4, 1)) == "opened"


def test_a_missing_product_is_named(monkeypatch) -> None:
    monkeypatch.setattr(matrix, "_product", None)
    monkeypatch.setattr(matrix, "import_module", lambda name: object())
    with pytest.raises(TargetUnavailableError, match=r"no product is registered: .* has no popsparse_py.spmm"):
        random_matrix((4, 4), 4, 1.0) @ np.ones((4, 1))


def test_numpy_alone_is_imported() -> None:
    code = (
        "import sys, numpy as np; from popsparse_py.formats import BlockSparseMatrix as B; import popsparse_py.data;"
        "a = B.from_dense(np.eye(20), 4); a.T.reblock(8).astype('float16').to_dense(); a.to_block_coo();"
        "print(sorted({'torch', 'scipy', 'safetensors'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
