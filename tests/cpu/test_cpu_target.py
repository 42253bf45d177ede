"""target="cpu" from Python: operands of every kind, kept kernels, errors."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import popsparse_py as ps
from popsparse_planner.cpu_plan import CpuPlan
from popsparse_py.backends.cpu import CpuBackend, host_profile
from popsparse_py.backends.host_arrays import LINE_BYTES, empty_like, host_view

RNG = np.random.default_rng(5)


def matrix(shape: Any = (60, 44), block_size: int = 8, density: float = 0.4, dtype: str = "float32") -> Any:
    pattern = ps.BlockPattern.random(shape, density=density, block_size=block_size)
    values = RNG.standard_normal((pattern.nnz_blocks, block_size, block_size)).astype(dtype)
    return ps.BlockSparseMatrix(pattern, values)


def dense(a: Any) -> np.ndarray:
    return np.asarray(a.to_dense(), dtype=np.float64)


def close(found: Any, expected: np.ndarray, scale: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert np.max(np.abs(np.asarray(found, dtype=np.float64) - expected), initial=0) <= scale * (
        1 + np.max(np.abs(expected), initial=0)
    )


@settings(max_examples=60, deadline=None)
@given(
    block_size=st.sampled_from([1, 2, 3, 4, 8, 16, 32, 64]),
    shape=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    n=st.sampled_from([1, 15, 16, 64, 100, 257]),
    density=st.sampled_from([0.01, 0.2, 1.0]),
    dtype=st.sampled_from(["float32", "float16"]),
)
def test_products_of_every_shape(block_size: int, shape: Any, n: int, density: float, dtype: str) -> None:
    a = matrix(shape, block_size, density, dtype)
    x, dy = (RNG.standard_normal((rows, n)).astype(dtype) for rows in (shape[1], shape[0]))
    scale = 1e-5 if dtype == "float32" else 2e-3
    close(ps.spmm(a, x, target="cpu"), dense(a) @ x, scale)
    close(ps.spmm(a.T, dy, target="cpu"), dense(a).T @ dy, scale)
    close(ps.linear(x.T.copy(), a, target="cpu"), (dense(a) @ x).T, scale)
    found = ps.BlockSparseMatrix(a.pattern, ps.sddmm(a.pattern, dy, x, target="cpu"))
    ones = ps.BlockSparseMatrix(a.pattern, np.ones_like(a.values))
    close(dense(found), (dy.astype(float) @ x.T.astype(float)) * dense(ones), scale)


def test_layouts_of_x_are_taken_as_they_lie() -> None:
    a = matrix()
    x = RNG.standard_normal((44, 40)).astype(np.float32)
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.ravel().view(np.uint8)
    read_only = x.copy()
    read_only.setflags(write=False)
    forms = {
        "Fortran": np.asfortranarray(x),
        "strided": np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": read_only,
        "unaligned": raw[1:].view(np.float32).reshape(x.shape),
        "byte-swapped": x.astype(">f4"),
        "list": x.tolist(),
    }
    expected = ps.spmm(a, x, target="cpu")
    close(expected, dense(a) @ x)
    for name, form in forms.items():
        if name == "list":
            form = np.asarray(form, dtype=np.float32)
        assert np.array_equal(ps.spmm(a, form, target="cpu"), expected), name
    assert ps.spmm(a, x[:, 0], target="cpu").shape == (60,)


def test_results_begin_on_a_cache_line() -> None:
    a, x = matrix(), np.ones((44, 7), np.float32)
    for _ in range(20):
        assert ps.spmm(a, x, target="cpu").ctypes.data % LINE_BYTES == 0
    assert host_view(empty_like((3, 5), "float16", x)[0], "y").shape == (3, 5)


def test_out_and_out_dtype() -> None:
    a, x = matrix(dtype="float16"), RNG.standard_normal((44, 20)).astype(np.float16)
    wide = ps.spmm(a, x, target="cpu", out_dtype="float32")
    assert wide.dtype == np.float32
    close(wide, dense(a) @ x)
    out = np.zeros((60, 20), np.float32)
    assert ps.spmm(a, x, target="cpu", out=out) is out
    assert np.array_equal(out, wide)
    column = np.zeros(60, np.float32)
    ps.spmm(a, x[:, 0], target="cpu", out=column)
    close(column, dense(a) @ x[:, 0], 2e-3)
    with pytest.raises(ps.DTypeError, match="out_dtype 'int8' is not supported: expected one of float32, float16"):
        ps.spmm(a, x, target="cpu", out_dtype="int8")
    with pytest.raises(ps.DTypeError, match="NumPy has no bfloat16"):
        ps.spmm(a, x, target="cpu", out_dtype="bfloat16")
    with pytest.raises(ps.ShapeError, match=r"out has shape \(3, 3\): expected \(60, 20\)"):
        ps.spmm(a, x, target="cpu", out=np.zeros((3, 3), np.float32))
    with pytest.raises(ps.PlanError, match="out must be aligned"):
        ps.spmm(a, x, target="cpu", out=np.zeros((60, 20), ">f4"))
    with pytest.raises(ps.PlanError, match=r"out has shape \(3,\): expected \(60,\)"):
        ps.spmm(a, x[:, 0], target="cpu", out=np.zeros(3, np.float32))
    with pytest.raises(ps.PlanError, match="out is for target 'cpu'"):
        ps.spmm(a, x, target="ipu_model", out=out)


def test_linear_with_bias_and_activation() -> None:
    a, bias = matrix(), RNG.standard_normal(60).astype(np.float32)
    x = RNG.standard_normal((3, 5, 44)).astype(np.float32)
    exact = x @ dense(a).T + bias
    close(ps.linear(x, a, bias, target="cpu"), exact)
    close(ps.linear(x, a, bias, target="cpu", activation="relu"), np.maximum(exact, 0))
    close(ps.linear(x[0, 0], a, bias.astype(np.float16), target="cpu"), exact[0, 0], 2e-3)
    close(ps.linear(x, a, bias, target="ipu_model"), exact)
    for wrong, message in (
        (x[..., :3], r"x has shape \(3, 5, 3\): expected \(\.\.\., 44\)"),
        (x[:0], "expected at least one row"),
    ):
        with pytest.raises(ps.ShapeError, match=message):
            ps.linear(wrong, a, bias, target="cpu")
    with pytest.raises(ps.ShapeError, match=r"bias has shape \(3,\): expected \(60,\)"):
        ps.linear(x, a, bias[:3], target="cpu")
    with pytest.raises(ps.PlanError, match="activation 'tanh' is unknown: expected one of none, relu, gelu"):
        ps.linear(x, a, bias, target="cpu", activation="tanh")
    with pytest.raises(ps.PlanError, match="activation 'relu' is for target 'cpu'"):
        ps.linear(x, a, bias, target="ipu_model", activation="relu")


def test_auto_is_the_cpu_and_says_so() -> None:
    a, x = matrix(), np.ones((44, 16), np.float32)
    assert next(iter(ps.targets())) == "cpu"
    assert ps.targets()["cpu"] is None
    ps.spmm(a, x)
    assert [key[0] for key in a._kernels] == ["cpu"]
    plan = ps.plan(a, 16, target="cpu")
    result = ps.run(plan, a, x)
    assert (result.trace.target, result.trace.chosen) == ("cpu", "asked for")
    assert result.trace["gflops"] > 0
    assert isinstance(plan, CpuPlan)


def test_packed_values_are_kept_and_follow_the_matrix() -> None:
    a, x = matrix(), np.ones((44, 30), np.float32)
    ps.spmm(a, x, target="cpu")
    (kept,) = a._kernels.values()
    ps.spmm(a, np.ones((44, 25), np.float32), target="cpu")  # the same class of n
    assert next(iter(a._kernels.values()))[0] is kept[0]
    a.values = 2 * np.asarray(a.values)
    close(ps.spmm(a, x, target="cpu"), dense(a) @ x)
    for n in (1, 17, 33, 65, 129, 257, 513):
        ps.spmm(a, np.ones((44, n), np.float32), target="cpu")
    assert len(a._kernels) <= 6
    assert pickle.loads(pickle.dumps(a)).pattern == a.pattern


def test_a_kernel_takes_any_pattern_of_its_shape() -> None:
    backend, x = CpuBackend(1), np.ones((44, 20), np.float32)
    kernel = backend.compile(backend.plan(matrix().pattern, 20, "float32"))
    assert kernel.packed_bytes == 0
    with pytest.raises(ps.PlanError, match="no values are loaded"):
        kernel.run(x)
    for density in (0.1, 0.9):
        a = matrix(density=density)
        kernel.load(a)
        close(kernel.run(x).y, dense(a) @ x)
        assert kernel.packed_bytes >= a.pattern.nnz * 4
    with pytest.raises(
        ps.PlanError, match=r"W is \(44, 60\) in blocks of 8, the plan is for \(60, 44\) in blocks of 8"
    ):
        kernel.load(matrix((44, 60)))
    with pytest.raises(ps.DTypeError, match="W has dtype float16, the plan is for float32"):
        kernel.load(matrix(dtype="float16"))
    with pytest.raises(ps.DTypeError, match="x has dtype float16, the plan is for float32"):
        kernel.run(x.astype(np.float16))
    with pytest.raises(ps.ShapeError, match="x has 3 rows but A is"):
        kernel.run(x[:3])
    with pytest.raises(ps.ShapeError, match=r"x has shape \(44, 20\): expected \(batch, 44\)"):
        kernel.multiply_rows(x)


def test_transposed_kernel_multiplies_by_the_transpose() -> None:
    a, dy = matrix(), RNG.standard_normal((60, 20)).astype(np.float32)
    backend = CpuBackend(2)
    kernel = backend.compile(backend.plan(a.pattern, 20, "float32", transposed=True), transposed=True)
    kernel.load(a)
    close(kernel.run(dy).y, dense(a).T @ dy)


def test_sampled_product_checks_its_operands() -> None:
    a, dy, x = matrix(), np.ones((60, 5), np.float32), np.ones((44, 5), np.float32)
    values = ps.sddmm(a, dy, x)
    out = np.empty_like(values)
    assert ps.sddmm(a.pattern, dy, x, target="cpu", out=out) is out
    assert np.array_equal(out, values)
    with pytest.raises(ps.ShapeError, match=r"out has shape \(0, 8, 8\): expected"):
        ps.sddmm(a, dy, x, out=out[:0])
    with pytest.raises(
        ps.ShapeError, match=r"dy has shape \(60, 5\) and x \(44, 4\): expected \(60, n\) and \(44, n\)"
    ):
        ps.sddmm(a, dy, x[:, :4])
    with pytest.raises(ps.DTypeError, match="expected the same"):
        ps.sddmm(a, dy, x.astype(np.float16))


def test_backend_says_what_it_cannot_do() -> None:
    a = matrix(dtype="float64")
    with pytest.raises(ps.DTypeError, match="dtype float64 has no kernel on the cpu"):
        ps.spmm(a, np.ones((44, 3)), target="cpu")
    with pytest.raises(ps.DTypeError, match="x has dtype int64: the cpu multiplies float32"):
        ps.spmm(matrix(), np.ones((44, 3), np.int64), target="cpu")
    with pytest.raises(ps.PlanError, match="target 'cpu' runs plans of plan"):
        CpuBackend().compile(ps.plan_static(matrix().pattern, 4, dtype="float32"))
    missing = CpuBackend(tier="neon9")
    assert "this processor has no neon9" in str(missing.why_unavailable())
    with pytest.raises(ps.TargetUnavailableError, match="target 'cpu' cannot be used: this processor has no neon9"):
        missing.plan(matrix().pattern, 4, "float32")
    plan = CpuPlan.from_json(ps.plan(matrix(), 4, target="cpu").to_json().replace('"tier":"', '"tier":"x'))
    with pytest.raises(ps.PlanError, match=r"the plan is for x.* instructions, this processor has"):
        CpuBackend().compile(plan)
    assert host_profile()["l1_bytes"] > 0
