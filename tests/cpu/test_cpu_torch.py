"""target="cpu" with torch tensors: no copies, bfloat16, values that change in place."""

from typing import Any

import numpy as np
import pytest

import popsparse_py as ps
from popsparse_py.backends.host_arrays import host_view

torch = pytest.importorskip("torch", reason="torch is not installed")
PATTERN = ps.BlockPattern.random((64, 48), density=0.4, block_size=8)


def operands(dtype: Any) -> Any:
    torch.manual_seed(0)
    a = ps.BlockSparseMatrix(PATTERN, torch.randn(PATTERN.nnz_blocks, 8, 8).to(dtype))
    return a, torch.randn(48, 33).to(dtype)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_tensors_in_and_out(name: str) -> None:
    dtype = getattr(torch, name)
    a, x = operands(dtype)
    exact = a.to_dense().double() @ x.double()
    eps = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 8e-3}[name]
    y = ps.spmm(a, x, target="cpu")
    assert (y.dtype, y.data_ptr() % 64) == (dtype, 0)
    assert torch.max(torch.abs(y.double() - exact)) <= eps * torch.max(torch.abs(exact))
    wide = ps.spmm(a, x, target="cpu", out_dtype="float32")
    assert torch.max(torch.abs(wide.double() - exact)) <= 1e-5 * torch.max(torch.abs(exact))
    rows = ps.linear(x.T, a, torch.ones(64, dtype=dtype), target="cpu", activation="gelu")
    expected = torch.nn.functional.gelu(exact.T + 1)
    assert torch.max(torch.abs(rows.double() - expected)) <= eps * torch.max(torch.abs(expected))
    values = ps.sddmm(a, torch.ones(64, 33, dtype=dtype), x, target="cpu")
    assert values.dtype == dtype
    assert values.shape == (PATTERN.nnz_blocks, 8, 8)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_memory_is_shared(name: str) -> None:
    x = torch.ones(4, 6, dtype=getattr(torch, name))
    view = host_view(x.T, "x")
    assert (view.ctypes.data, view.shape, view.strides) == (
        x.data_ptr(), (6, 4), (x.element_size(), 6 * x.element_size())
    )  # fmt: skip
    out = torch.empty(64, 33)
    a, x = operands(torch.float32)
    assert ps.spmm(a, x, target="cpu", out=out) is out
    assert torch.equal(out, ps.spmm(a, x.requires_grad_(), target="cpu"))


def test_values_changed_in_place_are_packed_anew() -> None:
    a, x = operands(torch.float32)
    before = ps.spmm(a, x, target="cpu")
    a.values.mul_(2)
    assert torch.equal(ps.spmm(a, x, target="cpu"), 2 * before)


def test_bfloat16_matrix_converts_and_saves(tmp_path: Any) -> None:
    a, _ = operands(torch.bfloat16)
    assert a.dtype == "bfloat16"
    assert a.T.to_dense().dtype == torch.bfloat16
    a.save(tmp_path / "a.npz")
    again = ps.BlockSparseMatrix.load(tmp_path / "a.npz")
    assert np.array_equal(np.asarray(again.to_dense()), a.to_dense().float().numpy())
    with pytest.raises(ps.DTypeError, match="bfloat16"):
        ps.spmm(a, torch.ones(48, 4, dtype=torch.bfloat16), target="ipu_model")
