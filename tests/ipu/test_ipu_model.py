"""The backend on the embedded model: what it refuses and how, and that threads may share a kernel."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from products import loaded, matrix_of, operand, plan_of, random_matrix, small_target

from popsparse_planner.dense import plan_dense
from popsparse_planner.errors import (
    DTypeError,
    FormatError,
    PlanError,
    ShapeError,
    TargetUnavailableError,
    TileMemoryError,
)
from popsparse_planner.pattern import BlockPattern
from popsparse_py.backends import ipu_model
from popsparse_py.backends.base import Number
from popsparse_py.backends.ipu_model import IpuModelBackend


@pytest.fixture(scope="module")
def kernel():
    w = random_matrix((64, 48), 16, 0.5)
    return loaded(plan_of(w, 20), w)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((64, 20), r"x has 64 rows but A is \(64, 48\): expected x of shape \(48, n\). Did you mean A.T @ x\?"),
        ((20, 48), r"x has 20 rows but A is \(64, 48\): expected x of shape \(48, n\). Did you mean A @ x.T\?"),
        ((50, 20), r"x has 50 rows but A is \(64, 48\): expected x of shape \(48, n\).$"),
        ((48, 24), r"x has 24 columns but the plan is for n = 20: plan again for n = 24"),
        ((48,), r"x has shape \(48,\): expected a matrix of shape \(48, n\)"),
        ((48, 0), r"x has no columns: expected x of shape \(48, n\) with n of at least 1"),
    ],
)
def test_wrong_shapes_of_x(kernel, shape, message):
    with pytest.raises(ShapeError, match=message):
        kernel.run(np.zeros(shape, np.float16))


def test_wrong_dtypes(kernel):
    with pytest.raises(DTypeError, match=r"x has dtype float32, but W and the plan have float16: use x.astype"):
        kernel.run(np.zeros((48, 20), np.float32))
    w = random_matrix((64, 48), 16, 0.5, dtype="float32")
    with pytest.raises(DTypeError, match=r'W has dtype float32, the plan is for float16: use a.astype\("float16"\)'):
        kernel.load(w)


def test_another_pattern(kernel):
    planned = kernel.plan.pattern
    cells = set(zip(planned.rows.tolist(), planned.cols.tolist()))
    missing = next((r, c) for r in range(4) for c in range(3) if (r, c) not in cells)
    more = BlockPattern.from_indices(*zip(*cells, missing), shape=(64, 48), block_size=16)
    text = rf"W has 7 blocks and the plan 6; the first that W has and the plan has not: \({missing[0]}, {missing[1]}\)"
    with pytest.raises(PlanError, match=text) as error:
        kernel.load(matrix_of(more))
    assert (error.value.row, error.value.col) == missing
    first = sorted(cells)[0]
    fewer = BlockPattern.from_indices(*zip(*(cells - {first})), shape=(64, 48), block_size=16)
    with pytest.raises(PlanError, match=rf"the first that the plan has and W has not: \({first[0]}, {first[1]}\)"):
        kernel.load(matrix_of(fewer))
    with pytest.raises(PlanError, match=r"W is \(64, 64\) in blocks of 16, the plan is for \(64, 48\) in blocks of 16"):
        kernel.load(random_matrix((64, 64), 16))


def test_values_that_are_not_finite(kernel):
    torch = pytest.importorskip("torch", reason="NumPy values are checked before they get here; torch is not installed")
    w = matrix_of(kernel.plan.pattern)
    values = torch.from_numpy(w.values.copy())
    values[4, 0, 3] = float("nan")
    w.values = values
    with pytest.raises(FormatError, match="values of W hold NaN or infinity, first in block 4"):
        kernel.load(w)


def test_run_before_load():
    w = random_matrix((64, 48), 16, 0.5)
    with pytest.raises(PlanError, match=r"no values are loaded: call load\(w\) before run\(x\)"):
        IpuModelBackend().compile(plan_of(w, 4)).run(operand(48, 4))


def test_plans_that_cannot_run():
    w = random_matrix((512, 512), 16, 1.0)
    full = plan_of(w, 64, target=small_target(1, tile_bytes=100_000))
    assert not full.fits
    with pytest.raises(TileMemoryError, match=r"tile 0 needs [\d,]+ B \(\w+ [\d,]+\), has 100,000 B; ") as error:
        IpuModelBackend().compile(full)
    assert error.value.needed_bytes == full.memory.peak_bytes
    refused = plan_of(w, 4096, target=small_target(1, tile_bytes=100_000), strategy="popsparse")
    assert refused.partition is None
    with pytest.raises(PlanError, match=r"the plan cannot run: .*strategy='balanced' does not fit either"):
        IpuModelBackend().compile(refused)
    narrow = replace(plan_of(random_matrix((64, 64), 16), 8), reason="part 0 of n: rows of a tile is 70,000")
    with pytest.raises(PlanError, match="the plan cannot run: part 0 of n: rows of a tile is 70,000"):
        IpuModelBackend().compile(narrow)
    with pytest.raises(PlanError, match="target 'ipu_model' runs static and dynamic plans, got a DensePlan"):
        IpuModelBackend().compile(plan_dense(64, 64, 64))


def test_without_the_compiled_core(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    w = random_matrix((64, 48), 16)
    plan = plan_of(w, 4)
    monkeypatch.setattr(ipu_model, "import_module", missing)
    assert "the compiled core is missing (No module named 'popsparse_py._core')" in IpuModelBackend().why_unavailable()
    with pytest.raises(TargetUnavailableError, match="target 'ipu_model' cannot be used: the compiled core is missing"):
        IpuModelBackend().compile(plan)


def test_new_values_replace_old_ones(kernel):
    x = operand(48, 20)
    w = matrix_of(kernel.plan.pattern)
    twice = matrix_of(kernel.plan.pattern)
    twice.values = 2 * w.values
    kernel.load(w)
    once = kernel.run(x).y
    kernel.load(twice)
    assert np.array_equal(kernel.run(x).y, 2 * once)


def test_threads_share_a_kernel(kernel):
    kernel.load(matrix_of(kernel.plan.pattern))
    operands = [operand(48, 20, seed=seed) for seed in range(8)]
    alone, together = [kernel.run(x).y for x in operands], [None] * 8

    def work(index):
        together[index] = kernel.run(operands[index]).y

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(*pair) for pair in zip(alone, together))


def test_numbers_know_where_they_come_from(kernel):
    trace = kernel.run(operand(48, 20)).trace
    assert str(trace.numbers["total_cycles"]).endswith("cycles (counted)")
    assert "gather" in str(trace) and "planned_cycles" in str(trace)
    assert trace.to_dict()["numbers"]["planned_cycles"]["provenance"] == "estimated"
    with pytest.raises(ValueError, match="provenance 'guessed', expected one of estimated, counted, timed"):
        Number(1.0, "cycles", "guessed")
