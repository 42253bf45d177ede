"""Products of float32 in TF32: asked for, never by default, within the bound that the rounding of operands gives."""

from typing import Any

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.operands import Case, assert_product, case

import popsparse_py as ps
from popsparse_planner import BlockPattern, PlanError
from popsparse_planner.cuda_cost import dense_seconds
from popsparse_planner.cuda_plan import CudaPlan, kernels_for, plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile

SHAPE = (150, 270)


def product(emulated: Emulated, machine: str, made: Case, *, tf32: bool = True, transposed: bool = False) -> Any:
    """W x, or W^T dy, by the kernel for TF32, if there is one for these blocks."""
    backend, n = emulated.backend(machine, made.a.block_size), made.x.shape[1]
    kernel = kernels_for(made.a.block_size, n, "tf32")[0] if tf32 else "elements"
    plan = plan_cuda(
        made.a.pattern,
        n,
        dtype="float32",
        transposed=transposed,
        machine=backend.device.machine,
        kernel=kernel,
        tf32=tf32,
    )
    ready = backend.compile(plan, transposed=transposed)
    ready.load(made.a)
    y = ready.multiply(made.dy if transposed else made.x)
    assert emulated.error == ""
    return y


@pytest.mark.parametrize(
    ("machine", "b", "n"),
    [
        ("Hopper", 16, 71),
        ("Ampere", 16, 8),
        ("Ampere", 32, 70),
        ("Blackwell", 48, 71),
        ("Hopper", 64, 40),
        ("Hopper", 1, 71),
        ("Ampere", 4, 70),
        ("Blackwell", 8, 71),
        ("Hopper", 12, 20),
    ],
)
def test_products_are_within_the_bound(emulated: Emulated, machine: str, b: int, n: int) -> None:
    made = case(SHAPE, n, b, "float32", seed=b)
    assert_product(product(emulated, machine, made), made.dense, made.x, "tf32")
    assert_product(product(emulated, machine, made, transposed=True), made.dense.T, made.dy, "tf32")


def test_the_kernels_round_and_those_by_default_do_not(emulated: Emulated) -> None:
    for b in (8, 16):
        made = case(SHAPE, 33, b, "float32")
        assert_product(product(emulated, "Hopper", made, tf32=False), made.dense, made.x, "float32")
        with pytest.raises(AssertionError, match="times the bound"):
            assert_product(product(emulated, "Hopper", made), made.dense, made.x, "float32")


@pytest.mark.parametrize("b", [8, 16])
def test_clusters_and_long_k(emulated: Emulated, b: int) -> None:
    made = case((2000, 1500), 20, b, "float32", density=0.01)
    assert_product(product(emulated, "Hopper", made), made.dense, made.x, "tf32")


def test_bias_activation_and_special_values(emulated: Emulated) -> None:
    made = case((64, 96), 40, 16, "float32")
    backend = emulated.backend("Hopper", 9)
    plan = plan_cuda(made.a.pattern, 40, dtype="float32", tf32=True, kernel="rows", machine=backend.device.machine)
    kernel = backend.compile(plan)
    kernel.load(made.a)
    assert_product(kernel.multiply(made.x, made.bias), made.dense, made.x, "tf32", made.bias[:, None])
    assert np.all(kernel.multiply(made.x, made.bias, "relu") >= 0)
    x = made.x.copy()
    x[3, 7], x[20, 9] = np.nan, np.inf
    found = kernel.multiply(x)
    assert np.isfinite(np.delete(found, [7, 9], axis=1)).all()
    assert np.isnan(found[:, 7]).any()
    assert not np.isfinite(found[:, 9]).all()


def test_plans_say_so() -> None:
    pattern = BlockPattern.random((4096, 4096), density=1 / 16, block_size=16)
    exact, rounded = (ps.plan(pattern, 4096, target="cuda", dtype="float32", tf32=tf32) for tf32 in (False, True))
    assert (exact.kernel, exact.arithmetic) == ("elements", "float32")
    assert (rounded.kernel, rounded.arithmetic, rounded.dtype) == ("rows", "tf32", "float32")
    assert "float32 multiplied in TF32" in rounded.explain()
    assert "TF32" not in exact.explain()
    assert CudaPlan.from_json(rounded.to_json()) == rounded
    gpu = load_gpu_profile()
    assert rounded.dense_seconds == dense_seconds((4096, 4096), 4096, "tf32", gpu)
    assert exact.dense_seconds == dense_seconds((4096, 4096), 4096, "float32", gpu)
    assert rounded.count.tf32_flops == 2 * 4096 * pattern.nnz
    assert rounded.count.memory_bytes == 4 * (2 * 4096 * 4096 + pattern.nnz) + 8 * pattern.nnz_blocks
    kept = plan_cuda(pattern, 4096, dtype="float32", tf32=True, kernel="elements")
    assert kept.arithmetic == "float32"
    assert "TF32 allowed, not used by this kernel" in kept.explain()


def test_wrong_requests_are_named() -> None:
    pattern = BlockPattern.random((64, 64), density=0.5, block_size=16)
    with pytest.raises(PlanError, match="tf32=True is for dtype 'float32', got 'bfloat16'"):
        ps.plan(pattern, 8, target="cuda", tf32=True)
    with pytest.raises(PlanError, match="tf32=True is arithmetic of NVIDIA GPUs: it is for target='cuda', got 'cpu'"):
        ps.plan(pattern, 8, target="cpu", dtype="float32", tf32=True)
