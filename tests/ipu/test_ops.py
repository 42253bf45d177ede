"""spmm and run: what they take, what they give back, what they keep."""

import threading

import numpy as np
import pytest
from products import operand, plan_of, random_matrix, small_target
from reference import assert_close

from popsparse_planner.errors import DTypeError, PlanError, ShapeError, TargetUnavailableError, TileMemoryError
from popsparse_py import ops
from popsparse_py.backends.cpu import CpuBackend
from popsparse_py.backends.ipu_model import IpuModelBackend
from popsparse_py.ops import get_num_threads, run, set_num_threads, spmm, targets, use_target

MISSING = "the compiled core is missing"


@pytest.fixture
def on_the_model():
    """target="auto" means the embedded model."""
    with use_target("ipu_model"):
        yield


@pytest.fixture
def a():
    return random_matrix((50, 70), 8, 0.4)


@pytest.mark.usefixtures("on_the_model")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_spmm_plans_by_itself(dtype):
    a, x = random_matrix((50, 70), 8, 0.4, dtype=dtype), operand(70, 11, dtype)
    y = spmm(a, x)
    assert y.dtype == dtype
    assert_close(y, a.to_dense(), x)


def test_spmm_with_a_plan(a):
    x = operand(70, 11)
    plan = plan_of(a, 11, "float16")
    result = run(plan, a, x)
    assert_close(result.y, a.to_dense(), x, "float16")
    assert np.array_equal(spmm(a, x, plan=plan), result.y)
    assert (result.trace.target, result.trace.chosen) == ("ipu_model", "asked for")
    with pytest.raises(ShapeError, match="x has 12 columns but the plan is for n = 11"):
        run(plan, a, operand(70, 12))
    with pytest.raises(PlanError, match="A static plan is for one pattern: plan again"):
        run(plan, random_matrix((50, 70), 8, 0.4, seed=7), x)


def test_vectors_and_operators(a):
    x = operand(70, 1)
    y = spmm(a, x[:, 0])
    assert y.shape == (50,)
    assert np.array_equal(y, spmm(a, x)[:, 0])
    assert np.array_equal(a @ x, spmm(a, x))
    z = operand(50, 3)
    assert_close((z.T @ a).T, a.to_dense().T, z)


@pytest.mark.usefixtures("on_the_model")
def test_out_dtype(a):
    x = operand(70, 4)
    wide = spmm(a, x, out_dtype="float32")
    assert wide.dtype == np.float32
    assert np.array_equal(wide, spmm(a, x).astype(np.float32))
    with pytest.raises(DTypeError, match="out_dtype 'int8' is not supported: expected float16 or float32"):
        spmm(a, x, out_dtype="int8")


@pytest.mark.usefixtures("on_the_model")
def test_wrong_operands(a):
    with pytest.raises(ShapeError, match=r"x has 50 rows but A is \(50, 70\): .* Did you mean A.T @ x\?"):
        spmm(a, operand(50, 4))
    with pytest.raises(ShapeError, match=r"x has shape \(70, 2, 2\): expected a matrix of shape \(70, n\)"):
        spmm(a, np.zeros((70, 2, 2), np.float16))
    with pytest.raises(DTypeError, match="x has dtype float64, but W and the plan have float16"):
        spmm(a, operand(70, 4, "float64"))
    with pytest.raises(DTypeError, match=r"a has dtype float64: expected float16 or float32, use a.astype"):
        spmm(a.astype("float64"), operand(70, 4, "float64"))


@pytest.mark.usefixtures("on_the_model")
def test_tensors_come_back_as_tensors(a):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = operand(70, 5)
    y = spmm(a, torch.from_numpy(x))
    assert isinstance(y, torch.Tensor)
    assert np.array_equal(y.numpy(), spmm(a, x))
    w = random_matrix((50, 70), 8, 0.4)
    w.values = torch.from_numpy(w.values.copy())
    assert np.array_equal(spmm(w, x), spmm(a, x))
    with pytest.raises(DTypeError, match="x has dtype bfloat16: expected float16 or float32, that of W"):
        spmm(a, torch.zeros(70, 5, dtype=torch.bfloat16))


@pytest.mark.usefixtures("on_the_model")
def test_a_second_call_does_not_compile_again(a, monkeypatch):
    compiled = []
    compile_plan = IpuModelBackend.compile
    monkeypatch.setattr(IpuModelBackend, "compile", lambda self, p: compiled.append(p) or compile_plan(self, p))
    first = spmm(a, operand(70, 9))
    assert np.array_equal(spmm(a, operand(70, 9)), first)
    spmm(a, operand(70, 12))
    assert len(compiled) == 1, "9 and 12 columns are one class of n"
    a.values = 2 * a.values
    assert np.array_equal(spmm(a, operand(70, 9)), 2 * first)
    assert len(compiled) == 2
    a.invalidate()
    spmm(a, operand(70, 9))
    assert len(compiled) == 3


@pytest.mark.usefixtures("on_the_model")
def test_few_kernels_are_kept(a):
    for n in range(4, 4 * (ops.KERNELS_KEPT + 3), 4):
        spmm(a, operand(70, n))
    assert len(a._kernels) == ops.KERNELS_KEPT


def test_targets(a, monkeypatch):
    assert {name: targets()[name] for name in ("cpu", "ipu_model")} == {"cpu": None, "ipu_model": None}
    assert ops._chosen_backend("auto")[1] == "auto: the first available of cpu, ipu_model"
    with use_target("ipu_model"):
        assert ops._product(a, operand(70, 4), None, "auto", None).trace.chosen == "use_target"
    with pytest.raises(TargetUnavailableError, match="target 'ipu' is unknown here: expected auto, cpu, ipu_model"):
        spmm(a, operand(70, 4), target="ipu")
    with pytest.raises(TargetUnavailableError, match="target 'tpu' is unknown here"), use_target("tpu"):
        pass
    for backend in (CpuBackend, IpuModelBackend):
        monkeypatch.setattr(backend, "why_unavailable", lambda self: MISSING)
    assert {name: targets()[name] for name in ("cpu", "ipu_model")} == {"cpu": MISSING, "ipu_model": MISSING}
    with pytest.raises(TargetUnavailableError, match=f"no target can be used: cpu: {MISSING}; ipu_model: {MISSING}"):
        spmm(a, operand(70, 4))
    with pytest.raises(TargetUnavailableError, match=f"target 'ipu_model' cannot be used: {MISSING}"):
        spmm(a, operand(70, 4), target="ipu_model")


def test_use_target_ends_with_its_block_and_stays_in_its_thread():
    seen = []
    with use_target("ipu_model"):
        thread = threading.Thread(target=lambda: seen.append(ops._target.get()))
        thread.start()
        thread.join()
        assert ops._target.get() == "ipu_model"
    assert ops._target.get() == "auto"
    assert seen == ["auto"]


@pytest.mark.usefixtures("on_the_model")
def test_number_of_threads(a):
    x = operand(70, 4)
    try:
        first = spmm(a, x)
        set_num_threads(1)
        assert get_num_threads() == 1
        assert np.array_equal(spmm(a, x), first)
        with pytest.raises(ValueError, match="num_threads must be a whole number of at least 0, got -1"):
            set_num_threads(-1)
    finally:
        set_num_threads(0)


def test_a_product_that_does_not_fit():
    a = random_matrix((512, 512), 16, 1.0)
    plan = plan_of(a, 64, target=small_target(1, tile_bytes=100_000))
    with pytest.raises(TileMemoryError, match="has 100,000 B"):
        spmm(a, operand(512, 64), plan=plan)
