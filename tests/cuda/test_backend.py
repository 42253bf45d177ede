"""Target "cuda" as users see it: where there is no GPU, and on the emulated one."""

import subprocess
import sys
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.operands import assert_product, case, exact

import popsparse_py as ps
from popsparse_planner import (
    BlockPattern,
    DeviceMemoryError,
    DTypeError,
    PlanError,
    ShapeError,
    TargetUnavailableError,
)
from popsparse_planner.cuda_machine import cuda_machine
from popsparse_planner.cuda_plan import plan_cuda
from popsparse_py.backends.cuda import CudaBackend
from popsparse_py.backends.cuda_dense import DenseIsFasterWarning
from popsparse_py.backends.cuda_device import CudaDevice
from popsparse_py.backends.cuda_kernels import module_for
from popsparse_py.formats.arrays import is_tensor


def test_a_missing_driver_is_named() -> None:
    reason = CudaBackend(driver="libcuda_that_is_not_there.so.1").why_unavailable()
    assert reason is not None
    assert reason.startswith("no CUDA driver was found: libcuda_that_is_not_there.so.1")
    assert "target='cpu'" in reason
    with pytest.raises(TargetUnavailableError, match="target 'cuda' cannot be used: no CUDA driver"):
        _ = CudaBackend(driver="libcuda_that_is_not_there.so.1").device


def test_another_library_is_no_driver(tmp_path: Path) -> None:
    import popsparse_py._core as core

    with pytest.raises(TargetUnavailableError, match="the CUDA driver has no cuInit: it is older than CUDA 12"):
        core.CudaDevice(core.__file__, 0)


def test_targets_names_cuda_and_auto_leaves_it_out() -> None:
    assert "cuda" in ps.targets()
    w = np.eye(32, dtype=np.float32)
    a = ps.BlockSparseMatrix.from_dense(w, 16)
    assert ps.run(ps.plan(a, 8, target="cpu"), a, w[:, :8]).trace.target == "cpu"
    if ps.targets()["cuda"] is not None:
        with pytest.raises(TargetUnavailableError, match="target 'cuda' cannot be used"):
            ps.spmm(a, w, target="cuda")


def test_importing_opens_no_driver() -> None:
    code = "import popsparse_py, sys; print(any('cuda' in line for line in open('/proc/self/maps')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_old_devices_are_refused() -> None:
    with pytest.raises(TargetUnavailableError, match=r"compute capability 7.5 is too old: 8.0 \(A100\) or later"):
        cuda_machine((7, 5), 65536)


def test_a_missing_device_is_named(emulated: Emulated) -> None:
    with pytest.raises(TargetUnavailableError, match="there is no CUDA device 3: the driver has 1"):
        CudaDevice(emulated.path, 3)


def test_too_little_memory_says_how_much_is_free(emulated: Emulated) -> None:
    device = emulated.device("Hopper", num_bytes=1 << 14)
    made = case((256, 256), 64, 16, "float16")
    kernel = CudaBackend(device=device).compile(plan_cuda(made.a.pattern, 64, dtype="float16", machine=device.machine))
    with pytest.raises(DeviceMemoryError, match=r"the device needs \d+ B .* more and has \d+ B .* free") as caught:
        kernel.load(made.a)
    assert caught.value.needed_bytes > caught.value.free_bytes


def test_without_compiled_kernels_the_way_to_get_them_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popsparse_py.backends.cuda_kernels.find_nvrtc", lambda: None)
    with pytest.raises(
        TargetUnavailableError, match="NVRTC, which would compile them here, was not found: pip install"
    ):
        module_for("kernels_rows16.cu", {"major": 9, "minor": 0, "shared_bytes": 232448})


def test_new_values_and_new_patterns(emulated: Emulated) -> None:
    backend = emulated.backend("Hopper", 2)
    first, second = (case((96, 160), 40, 8, "float16", density=0.25, seed=seed) for seed in (1, 2))
    kernel = backend.compile(backend.plan(first.a.pattern, 40, "float16"))
    with pytest.raises(PlanError, match="no values are loaded"):
        kernel.multiply(first.x)
    for one in (first, second, first):
        kernel.load(one.a)
        assert_product(kernel.multiply(one.x), one.dense, one.x, "float16")


def test_wrong_operands_are_named(emulated: Emulated) -> None:
    backend, made = emulated.backend("Hopper"), case((64, 96), 16, 16, "float16")
    kernel = backend.compile(backend.plan(made.a.pattern, 16, "float16"))
    kernel.load(made.a)
    with pytest.raises(ShapeError, match="x has 64 rows but A is"):
        kernel.multiply(made.dy)
    with pytest.raises(DTypeError, match="x has dtype float32, the plan is for float16"):
        kernel.multiply(made.x.astype(np.float32))
    with pytest.raises(PlanError, match="activation 'tanh' is unknown"):
        kernel.multiply(made.x, activation="tanh")
    with pytest.raises(PlanError, match="the plan is for at most 16 columns, x has 40"):
        kernel.multiply(np.zeros((96, 40), np.float16))
    with pytest.raises(PlanError, match=r"W is .* in blocks of 8"):
        kernel.load(case((64, 96), 16, 8, "float16").a)
    with pytest.raises(PlanError, match="the plan is for Ampere with 166,912 B"):
        backend.compile(plan_cuda(made.a.pattern, 16, machine=cuda_machine((8, 0), 166912)))
    with pytest.raises(PlanError, match="out is for target 'cpu'"):
        kernel.multiply(made.x, out=made.x)


def test_the_front_door_reaches_the_gpu(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    device = emulated.device("Hopper", 4)
    monkeypatch.setattr("popsparse_py.ops.CudaBackend.device", device)
    monkeypatch.setattr("popsparse_py.ops.CudaBackend.why_unavailable", lambda self: None)
    made = case((64, 96), 20, 16, "float16")
    assert_product(ps.spmm(made.a, made.x, target="cuda"), made.dense, made.x, "float16")
    y = ps.linear(made.x.T, made.a, made.bias, target="cuda", activation="relu")
    assert np.allclose(y, np.maximum(made.dense @ made.x + made.bias[:, None], 0).T, atol=0.05)
    values = ps.sddmm(made.a.pattern, made.dy, made.x, target="cuda")
    assert np.allclose(values, ps.sddmm(made.a.pattern, made.dy, made.x, target="cpu"), atol=0.05)
    result = ps.run(ps.plan(made.a, 20, target="cuda"), made.a, made.x)
    assert result.trace.target == "cuda"
    assert result.trace["memory_bytes"] > 0
    assert ps.spmm(made.a, made.x, target="cuda", out_dtype="float32").dtype == np.float32


def test_plans_need_no_gpu() -> None:
    plan = ps.plan(BlockPattern.random((4096, 4096), density=1 / 16, block_size=16), 4096, target="cuda")
    assert plan.kernel == "rows"
    assert "never run on a GPU" in plan.explain()


@pytest.fixture
def tensors_on_device(emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaDevice]:
    """This process's tensors are taken for those of an emulated GPU."""
    device = emulated.device("Hopper", 4)
    monkeypatch.setattr("popsparse_py.ops.CudaBackend.device", device)
    monkeypatch.setattr("popsparse_py.ops.CudaBackend.why_unavailable", lambda self: None)
    monkeypatch.setattr("popsparse_py.backends.cuda_tensors.is_on_device", is_tensor)
    monkeypatch.setattr("popsparse_py.ops.is_on_device", is_tensor)
    emulated.trust(True)
    yield device
    emulated.trust(False)


def test_auto_follows_a_tensor_to_its_gpu(tensors_on_device: CudaDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr("popsparse_planner.cuda_plan.CudaPlan.dense_is_faster", False)
    made = case((64, 96), 20, 16, "bfloat16")
    assert_product(ps.spmm(made.a, made.x), made.dense, made.x, "bfloat16")
    values = ps.sddmm(made.a.pattern, made.dy, made.x)
    rows, cols = made.a.pattern.rows, made.a.pattern.cols
    whole = (exact(made.dy) @ exact(made.x).T).reshape(4, 16, 6, 16).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(exact(values), whole[rows, cols], rtol=2.0**-7, atol=1e-3)
    result = ps.run(ps.plan(made.a, 20, target="cuda"), made.a, made.x)
    assert (result.trace.target, result.trace.chosen) == ("cuda", "asked for")


def test_auto_takes_a_dense_copy_where_it_is_faster_and_says_so(
    tensors_on_device: CudaDevice, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr("popsparse_planner.cuda_plan.CudaPlan.dense_is_faster", True)
    made, before = case((60, 90), 20, 8, "bfloat16"), emulated.launches
    with pytest.warns(DenseIsFasterWarning, match="a dense copy of W is used: cuda plan of") as said:
        y = ps.spmm(made.a, made.x)
    assert said[0].filename == __file__
    assert_product(y, made.dense, made.x, "bfloat16")
    bias = torch.from_numpy(made.bias)
    with pytest.warns(DenseIsFasterWarning):  # a plan of its own, of PyTorch's orientation
        shifted = ps.linear(made.x.T, made.a, bias, activation="relu")
    np.testing.assert_allclose(
        exact(shifted), np.maximum(made.dense @ exact(made.x) + made.bias[:, None], 0).T, atol=0.1
    )
    made.a.values = made.a.values * 2
    with pytest.warns(DenseIsFasterWarning):
        assert_product(ps.spmm(made.a, made.x), 2 * made.dense, made.x, "bfloat16")
    assert emulated.launches == before
    assert_product(ps.spmm(made.a, made.x, target="cuda"), 2 * made.dense, made.x, "bfloat16")
    assert emulated.launches > before


def test_operands_of_another_gpu_are_refused(tensors_on_device: CudaDevice) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    made = case((64, 96), 20, 16, "bfloat16")
    kernel = CudaBackend(device=tensors_on_device).compile(ps.plan(made.a, 20, target="cuda"))
    tensors_on_device.ordinal = 1
    with pytest.raises(PlanError, match=r"W's values lie on cuda:0, the kernel on cuda:1: use .to\('cuda:1'\)"):
        kernel.load(made.a)
