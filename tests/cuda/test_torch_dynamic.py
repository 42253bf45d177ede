"""The torch operators with a pattern that lies on the device and changes there, on the emulated GPU."""

from typing import Any, Iterator, List

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.operands import DynamicOperands, assert_product, dynamic_operands, exact

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from popsparse_planner import PatternError, TargetUnavailableError  # noqa: E402
from popsparse_py.torch_ops import dynamic_cuda, kernels_cuda  # noqa: E402

HOPPER = pytest.mark.parametrize("on_device", ["Hopper"], indirect=True)
KINDS = [
    (16, "bfloat16", 3),  # the kernel for few columns
    (16, "bfloat16", 71),
    (32, "float16", 40),
    (64, "float16", 40),
    (8, "bfloat16", 40),
    (1, "float16", 3),
    (12, "float16", 40),
    (4, "float32", 40),
]


@pytest.fixture(autouse=True)
def never_dense(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products this small are predicted to be faster dense; here the sparse kernels are wanted."""
    monkeypatch.setattr("popsparse_planner.cuda_dynamic_plan.CudaDynamicPlan.dense_is_faster", False)


class NeverWaits(TorchDispatchMode):
    """Refuses what would make the host wait for the device, were the tensors there."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")

    def __torch_dispatch__(self, function: Any, types: Any, inputs: Any = (), named: Any = None) -> Any:
        name = function.name().split("::")[1].split(".")[0]
        by_mask = name in ("index", "index_put", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in inputs[1]
        )
        assert name not in self.WAITING, f"{name} waits for the device"
        assert not by_mask, f"{name} with a mask waits for the device"
        assert name != "_to_copy" or (named or {}).get("device") is None, f"{name} to another device"
        return function(*inputs, **(named or {}))


@pytest.fixture()
def watched(emulated: Emulated) -> Iterator[Any]:
    """Fails where a call copied to or from the device, or waited for it."""

    class Watch:
        def __enter__(self) -> None:
            self.before, self.mode = emulated.transfers, NeverWaits()
            self.mode.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.mode.__exit__(*error)
            assert emulated.transfers == self.before, "the host waited for the device"

    yield Watch


def check_products(made: DynamicOperands, dtype: str, watched: Any) -> None:
    """Fails unless both products are those of the tensors as they are now, and the host never waited."""
    with watched():
        y = kernels_cuda.linear(made.x, made.values, None, *made.places, made.shape[0])
        dx = kernels_cuda.linear_transposed(made.dy, made.values, *made.places, made.shape[1])
        dw = kernels_cuda.sampled(made.dy, made.x, *made.places, made.values.shape[1])
    w = made.dense()
    assert_product(y.T, w, made.x.T, dtype)
    assert_product(dx.T, w.T, made.dy.T, dtype)
    check_sampled(made, exact(dw))


def check_sampled(made: DynamicOperands, found: np.ndarray) -> None:
    """Fails unless these are the values of dy^T x at the blocks, 0 in slots that do not count."""
    (m, k), b, used = made.shape, made.values.shape[1], int(made.nnz)
    grid = -(-m // b), -(-k // b)
    whole = np.zeros((grid[0] * b, grid[1] * b))
    whole[:m, :k] = exact(made.dy).T @ exact(made.x)
    cut = whole.reshape(grid[0], b, grid[1], b).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(
        found[:used], cut[made.row[:used].numpy(), made.col[:used].numpy()], rtol=2.0**-7, atol=1e-3
    )
    assert not found[used:].any()


@pytest.mark.parametrize(("b", "dtype", "n"), KINDS)
def test_products_follow_the_pattern(on_device: Any, watched: Any, b: int, dtype: str, n: int) -> None:
    made = dynamic_operands(b, dtype, n, spare=5)
    check_products(made, dtype, watched)
    made.change(density=0.04, seed=b)
    check_products(made, dtype, watched)


@HOPPER
def test_a_bias_is_added(on_device: Any, watched: Any) -> None:
    made, bias = dynamic_operands(16, "float16", 9, spare=1), torch.randn(192).half()
    with watched():
        y = kernels_cuda.linear(made.x, made.values, bias, *made.places, 192)
    assert_product(y.T, made.dense(), made.x.T, "float16", exact(bias)[:, None])


def spoilt(made: DynamicOperands, fault: str) -> None:
    used = int(made.nnz)
    if fault == "overflow":
        made.nnz.fill_(len(made.col) + 1)
    elif fault == "outside":
        made.col[used // 2] = 288
    else:
        made.row[1], made.col[1] = made.row[0], made.col[0]


@HOPPER
@pytest.mark.parametrize("fault", ["overflow", "outside", "twice"])
@pytest.mark.parametrize("way", ["kernels", "dense", "float64"])
def test_a_fault_shows_in_every_number(
    on_device: Any, watched: Any, way: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dynamic_operands(16, "float64" if way == "float64" else "float16", 9, spare=1)
    if way == "dense":
        monkeypatch.setattr("popsparse_planner.cuda_dynamic_plan.CudaDynamicPlan.dense_is_faster", True)
        monkeypatch.setattr("popsparse_py.torch_ops.dynamic_cuda.warn_of_dense", lambda plan, stacklevel: None)
    spoilt(made, fault)
    with watched():
        y = kernels_cuda.linear(made.x, made.values, None, *made.places, 192)
        dx = kernels_cuda.linear_transposed(made.dy, made.values, *made.places, 288)
        dw = kernels_cuda.sampled(made.dy, made.x, *made.places, 16)
    assert y.isnan().all() and dx.isnan().all() and dw.isnan().all()
    made.change(density=0.03, seed=1)  # and is over when the pattern is sound again
    with watched():
        y = kernels_cuda.linear(made.x, made.values, None, *made.places, 192)
    np.testing.assert_allclose(exact(y), exact(made.x) @ made.dense().T, rtol=1e-2, atol=1e-1)


@HOPPER
def test_no_slots_at_all(on_device: Any, watched: Any) -> None:
    none, bias = torch.zeros(0, dtype=torch.int32), torch.randn(192).half()
    x = torch.randn(3, 288).half()
    with watched():
        y = kernels_cuda.linear(x, torch.zeros(0, 16, 16).half(), bias, none, none, torch.tensor(0).int(), 192)
        assert y.shape == (3, 192)
        assert kernels_cuda.sampled(torch.zeros(3, 192).half(), x, none, none, torch.tensor(0).int(), 16).numel() == 0
    assert torch.equal(y, bias.expand(3, 192))


def launches_of(emulated: Emulated, call: Any) -> int:
    before = emulated.launches
    call()
    return emulated.launches - before


@HOPPER
def test_a_pattern_is_encoded_when_it_changed(
    on_device: Any, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dynamic_operands(16, "float16", 9, spare=4)

    def call() -> None:
        kernels_cuda.linear(made.x, made.values, None, *made.places, 192)

    found: List[int] = [launches_of(emulated, call) for _ in range(3)]
    assert found == [2, 1, 1]  # the encoder and the product, then products
    for change in (lambda: made.nnz.sub_(1), lambda: made.row[:1].copy_(made.row[1:2]), lambda: made.col.add_(0)):
        change()
        assert launches_of(emulated, call) == 2
    monkeypatch.setattr(dynamic_cuda, "is_capturing", lambda x: True)
    assert [launches_of(emulated, call) for _ in range(2)] == [2, 2]
    monkeypatch.setattr(dynamic_cuda, "is_capturing", lambda x: False)
    assert [launches_of(emulated, call) for _ in range(2)] == [2, 2]  # replays may have changed it unseen


@HOPPER
def test_what_is_kept_goes_with_the_tensors(on_device: Any) -> None:
    made = dynamic_operands(16, "float16", 9, spare=4)
    kernels_cuda.linear(made.x, made.values, None, *made.places, 192)
    key = id(made.col)
    assert key in dynamic_cuda._kept
    del made
    assert key not in dynamic_cuda._kept


@HOPPER
def test_indices_that_do_not_fit_are_named(on_device: Any) -> None:
    made = dynamic_operands(16, "float16", 9, spare=4)
    with pytest.raises(PatternError, match=r"row and col of one length and nnz, one number, got \(16,\)"):
        kernels_cuda.linear(made.x, made.values, None, made.row[1:], made.col, made.nnz, 192)
    with pytest.raises(TargetUnavailableError, match="nnz on meta, x on cpu: move all to cpu"):
        kernels_cuda.linear(made.x, made.values, None, made.row, made.col, made.nnz.to("meta"), 192)


@HOPPER
def test_dense_is_used_and_said_where_it_is_faster(
    on_device: Any, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("popsparse_planner.cuda_dynamic_plan.CudaDynamicPlan.dense_is_faster", True)
    made = dynamic_operands(16, "float16", 40, spare=3)
    for seed in (1, 2):
        with watched(), pytest.warns(
            kernels_cuda.DenseIsFasterWarning, match=r"a dense copy of W is used: cuda plan of(.|\n)*  dynamic: counted"
        ) if seed == 1 else watched():
            y = kernels_cuda.linear(made.x, made.values, None, *made.places, 192)
        np.testing.assert_allclose(y.numpy(), exact(made.x) @ made.dense().T, rtol=1e-2, atol=1e-1)
        made.change(density=0.05, seed=seed)
