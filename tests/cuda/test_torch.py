"""The torch operators of CUDA tensors, on the emulated GPU: its memory is that of this process, so are the tensors."""

from typing import Any

import numpy as np
import pytest
from cuda.operands import assert_product, case, dynamic_operands, exact

from popsparse_py.backends.cuda import CudaBackend
from popsparse_py.formats.arrays import is_tensor

torch = pytest.importorskip("torch", reason="torch is not installed")

from popsparse_py.torch_ops import kernels_cuda, operators  # noqa: E402


def operands(b: int, dtype: str, n: int) -> Any:
    """values, (row, col, nnz) without spare slots, W, x and dy."""
    made = dynamic_operands(b, dtype, n, spare=0)
    return made.values, (made.row, made.col, None), made.dense(), made.x, made.dy


@pytest.fixture(autouse=True)
def never_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products this small are predicted to be faster dense; here the sparse kernels are wanted."""
    monkeypatch.setattr("popsparse_planner.cuda_plan.CudaPlan.dense_is_faster", False)


@pytest.mark.parametrize(
    ("b", "dtype"), [(16, "bfloat16"), (32, "float16"), (8, "bfloat16"), (1, "float16"), (4, "float32")]
)
@pytest.mark.parametrize("n", [3, 71])
def test_operators_match_a_dense_weight(on_device: Any, b: int, dtype: str, n: int) -> None:
    values, places, dense, x, dy = operands(b, dtype, n)
    bias = torch.randn(192).to(values.dtype)
    y = kernels_cuda.linear(x, values, bias, *places, 192)
    assert y.is_contiguous()
    assert_product(y.T, dense, x.T, dtype, exact(bias)[:, None])
    dx = kernels_cuda.linear_transposed(dy, values, *places, 288)
    assert_product(dx.T, dense.T, dy.T, dtype)
    found = exact(kernels_cuda.sampled(dy, x, *places, b))
    whole = (exact(dy).T @ exact(x)).reshape(192 // b, b, 288 // b, b).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(found, whole[places[0].numpy(), places[1].numpy()], rtol=2.0**-7, atol=1e-3)


def test_values_that_change_are_seen(on_device: Any) -> None:
    values, places, dense, x, dy = operands(8, "float16", 40)
    for _ in range(2):
        assert_product(kernels_cuda.linear(x, values, None, *places, 192).T, dense, x.T, "float16")
    values.mul_(2)
    assert_product(kernels_cuda.linear(x, values, None, *places, 192).T, 2 * dense, x.T, "float16")
    trained = values.clone().requires_grad_()
    for scale in (2, 4):
        assert_product(
            kernels_cuda.linear(x, trained.detach().requires_grad_(), None, *places, 192).T,
            scale * dense,
            x.T,
            "float16",
        )
        trained.data.mul_(2)
    kernels_cuda.linear_transposed(dy, values, *places, 288)
    values.requires_grad_()
    kernels_cuda.linear(x, values, None, *places, 192)
    values.data.mul_(2)  # past torch's counter, as fused optimizers write
    values.requires_grad_(False)
    assert_product(kernels_cuda.linear_transposed(dy, values, *places, 288).T, 4 * dense.T, dy.T, "float16")


def test_empty_batches_and_float64(on_device: Any) -> None:
    values, places, dense, x, _ = operands(16, "float64", 5)
    np.testing.assert_allclose(kernels_cuda.linear(x, values, None, *places, 192).numpy(), x.numpy() @ dense.T)
    values, places, *_ = operands(16, "float16", 5)
    assert kernels_cuda.linear(torch.zeros(0, 288).half(), values, None, *places, 192).shape == (0, 192)


def test_dense_is_used_and_said_where_it_is_faster(on_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popsparse_planner.cuda_plan.CudaPlan.dense_is_faster", True)
    values, places, dense, x, dy = operands(16, "float16", 40)
    with pytest.warns(kernels_cuda.DenseIsFasterWarning, match="a dense copy of W is used: cuda plan of"):
        y = kernels_cuda.linear(x, values, None, *places, 192)
    np.testing.assert_allclose(y.numpy(), exact(x) @ dense.T, rtol=1e-2, atol=1e-1)
    with pytest.warns(kernels_cuda.DenseIsFasterWarning):
        dx = kernels_cuda.linear_transposed(dy, values, *places, 288)
    np.testing.assert_allclose(dx.numpy(), exact(dy) @ dense, rtol=1e-2, atol=1e-1)


def test_float32_follows_the_switch_of_torch(on_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = lambda b, n, dtype, **_: ["rows" if dtype == "tf32" else "elements"]  # noqa: E731
    monkeypatch.setattr("popsparse_planner.cuda_plan.kernels_for", taken)  # whichever is faster for so small a product
    values, places, dense, x, dy = operands(16, "float32", 40)
    assert_product(kernels_cuda.linear(x, values, None, *places, 192).T, dense, x.T, "float32")
    torch.set_float32_matmul_precision("high")
    try:
        y = kernels_cuda.linear(x, values, None, *places, 192)
        dx = kernels_cuda.linear_transposed(dy, values, *places, 288)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert_product(y.T, dense, x.T, "tf32")
    assert_product(dx.T, dense.T, dy.T, "tf32")
    with pytest.raises(AssertionError, match="times the bound"):
        assert_product(y.T, dense, x.T, "float32")
    assert_product(kernels_cuda.linear(x, values, None, *places, 192).T, dense, x.T, "float32")


def test_every_operator_has_a_cuda_kernel() -> None:
    for product in (operators.linear, operators.linear_transposed, operators.sampled):
        name = product.operator._qualname
        assert torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA"), name


def test_tensors_on_the_device_are_used_as_they_lie(on_device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popsparse_py.backends.cuda_tensors.is_on_device", is_tensor)
    backend = CudaBackend(device=on_device)
    for b in (8, 16):
        made = case((96, 160), 24, b, "bfloat16")
        kernel = backend.compile(backend.plan(made.a.pattern, 24, "bfloat16"))
        kernel.load(made.a)
        bias = torch.from_numpy(made.bias)
        assert_product(kernel.multiply(made.x, bias), made.dense, made.x, "bfloat16", made.bias[:, None])
        assert_product(kernel.multiply_rows(made.x.T).T, made.dense, made.x, "bfloat16")
        assert kernel.multiply(made.x, out_dtype="float32").dtype == torch.float32


@pytest.mark.parametrize("b", [8, 16])
@pytest.mark.parametrize("dynamic", [False, True])
def test_values_may_lie_anywhere(on_device: Any, b: int, dynamic: bool) -> None:
    values, (row, col, _), dense, x, dy = operands(b, "float16", 40)
    places = (row, col, torch.tensor(len(col), dtype=torch.int32) if dynamic else None)
    flat = torch.full((values.numel() + 1,), float("nan")).half()
    odd = flat[1:].view_as(values)  # two bytes beyond what the kernels can load at once
    odd.copy_(values)
    strided = torch.stack([values, torch.full_like(values, float("nan"))], dim=-1)[..., 0]
    for view in (odd, strided):
        for _ in range(2):  # what the second call reads is what the first one kept
            assert_product(kernels_cuda.linear(x, view, None, *places, 192).T, dense, x.T, "float16")
            assert_product(kernels_cuda.linear_transposed(dy, view, *places, 288).T, dense.T, dy.T, "float16")
