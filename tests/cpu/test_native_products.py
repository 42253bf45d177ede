"""Forward, transposed and sampled products of every instruction tier against float64."""

from typing import Any

import numpy as np
import pytest
from cpu import native
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_py import _core

BLOCKS = [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (64, 64), (3, 5), (16, 4), (1, 8), (6, 1), (12, 20)]


@pytest.fixture(params=native.TIERS, scope="module")
def tier(request: Any) -> str:
    if request.param not in _core.cpu_tiers():
        pytest.skip(f"this processor has no {request.param}, only {', '.join(_core.cpu_tiers())}")
    return str(request.param)


def schedules(tier: str) -> Any:
    """Every tile of a tier, with every way to cut a product."""
    most = _core.cpu_tier_facts(tier)["max_vectors"]
    tiles = [(rows, 1 << power) for rows, top in most.items() for power in range(top.bit_length())]
    return st.builds(
        lambda tile, chunk, band, panel, pack: (*tile, chunk, band, panel, pack, pack, False),
        st.sampled_from(tiles),
        st.integers(0, 3),
        st.sampled_from([0, 0, 1, 3]),
        st.sampled_from([0, 1, 16, 40]),
        st.booleans(),
    )


def check(found: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> None:
    difference = np.abs(native.from_bits(found) - expected)
    assert np.all(difference <= bound), f"off by {np.max(difference - bound)} beyond the bound"


def check_product(draw: Any, tier: str, block: Any, schedule: Any, *, by_columns: bool, transposed: bool) -> None:
    """One product of any shape and dtype; by_columns: the orientation of PyTorch, transposed on neither side."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype, out_dtype = draw(st.sampled_from(native.DTYPES)), draw(st.sampled_from(native.DTYPES))
    density, activation = draw(st.sampled_from([0, 0.05, 0.4, 1])), draw(st.sampled_from(["none", "relu"]))
    m, k, n = draw(st.integers(1, 90)), draw(st.integers(1, 90)), draw(st.sampled_from([1, 2, 5, 16, 17, 48, 64, 131]))
    w = native.Blocks.random(rng, (m, k), block, density, dtype)
    dense = w.dense().T if transposed else w.dense()
    x = native.to_bits(rng.standard_normal((dense.shape[1], n)).astype(np.float32), dtype)
    bias = rng.standard_normal(dense.shape[0]).astype(np.float32) if draw(st.booleans()) else None
    y = native.empty((dense.shape[0], n), out_dtype)
    if by_columns:
        x, y = np.asfortranarray(x), np.asfortranarray(y)
    native.multiply(w, x, y, tier, schedule, transposed=transposed, bias=bias, activation=activation)
    exact = dense @ native.from_bits(x) + (0 if bias is None else bias[:, None].astype(float))
    bound = native.error_bound(dense, native.from_bits(x), exact, out_dtype, dense.shape[1])
    expected = np.maximum(exact, 0) if activation == "relu" else exact
    check(y, expected, bound + 2.0**-23 * np.abs(0 if bias is None else bias[:, None]))


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_product_is_within_its_bound(tier: str, data: st.DataObject) -> None:
    draw = data.draw
    block, schedule, transposed = draw(st.sampled_from(BLOCKS)), draw(schedules(tier)), draw(st.booleans())
    check_product(draw, tier, block, schedule, by_columns=draw(st.booleans()), transposed=transposed)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_product_by_rows_is_within_its_bound(tier: str, data: st.DataObject) -> None:
    draw, lanes = data.draw, _core.cpu_tier_facts(tier)["lanes"]
    high, wide, transposed = lanes * draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 8, 16])), draw(st.booleans())
    schedule = (lanes, 1, 0, 0, 0, False, False, True)
    block = (wide, high) if transposed else (high, wide)
    check_product(draw, tier, block, schedule, by_columns=draw(st.sampled_from([True, True, False])),
                  transposed=transposed)  # fmt: skip


@pytest.mark.parametrize(("width", "samples"), [(512, 300), (700, 200)])
def test_many_samples_of_long_rows(tier: str, width: int, samples: int) -> None:
    """x is copied where its rows would share the sets of a cache; several panels of samples."""
    rng = np.random.default_rng(4)
    w = native.Blocks.random(rng, (32, width), (16, 4), 0.3)
    x = np.asfortranarray(rng.standard_normal((width, samples)).astype(np.float32))
    y = np.asfortranarray(native.empty((32, samples), "float32"))
    schedule = (_core.cpu_tier_facts(tier)["lanes"], 1, 0, 0, 0, False, False, True)
    native.multiply(w, x, y, tier, schedule, activation="gelu", threads=2)
    erf = pytest.importorskip("scipy.special", reason="the reference of gelu is scipy's erf").erf
    exact = w.dense() @ native.from_bits(x)
    assert np.max(np.abs(y - exact * (1 + erf(exact / np.sqrt(2))) / 2)) < 1e-4


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sampled_product_is_within_its_bound(tier: str, data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype, out_dtype = draw(st.sampled_from(native.DTYPES)), draw(st.sampled_from(native.DTYPES))
    m, k, n = draw(st.integers(1, 70)), draw(st.integers(1, 70)), draw(st.sampled_from([1, 7, 16, 64, 300, 513]))
    block = draw(st.sampled_from(BLOCKS))
    if draw(st.booleans()):
        m, k = (-(-side // extent) * extent for side, extent in zip((m, k), block))  # whole blocks
    w = native.Blocks.random(rng, (m, k), block, draw(st.sampled_from([0, 0.1, 1])))
    order = draw(st.sampled_from("CF"))
    dy, x = (native.to_bits(rng.standard_normal((rows, n)).astype(np.float32), dtype) for rows in (m, k))
    dy, x = np.array(dy, order=order), np.array(x, order=order)
    out = native.empty(w.values.shape, out_dtype)
    _core.cpu_sample(w.pattern(), dy, x, out, draw(st.sampled_from([1, 3])), tier)
    left, right = native.from_bits(dy), native.from_bits(x).T
    exact = left @ right
    check(out, w.sampled(exact), w.sampled(native.error_bound(left, right, exact, out_dtype, n)))


@pytest.mark.parametrize("n", [40, 64, 130])
def test_dense_single_elements_are_sampled_in_bands(tier: str, n: int) -> None:
    rng = np.random.default_rng(2)
    w = native.Blocks.random(rng, (3, 500), (1, 1), 0.4)
    dy, x = (rng.standard_normal((rows, n)).astype(np.float32) for rows in (3, 500))
    out = native.empty(w.values.shape, "float32")
    _core.cpu_sample(w.pattern(), dy, x, out, 1, tier)
    left, right = native.from_bits(dy), native.from_bits(x).T
    check(out, w.sampled(left @ right), w.sampled(native.error_bound(left, right, left @ right, "float32", n)))


@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_activations_follow_the_last_band_alone(tier: str, activation: str) -> None:
    rng = np.random.default_rng(1)
    w = native.Blocks.random(rng, (40, 64), (4, 4), 0.5)
    x, bias = rng.standard_normal((64, 33)).astype(np.float32), rng.standard_normal(40).astype(np.float32)
    y = native.multiply(w, x, native.empty((40, 33), "float32"), tier, (4, 2, 0, 3, 16, True, True, False), bias=bias,
                        activation=activation)  # fmt: skip
    exact = w.dense() @ x + bias[:, None]
    erf = pytest.importorskip("scipy.special", reason="the reference of gelu is scipy's erf").erf
    expected = {"none": exact, "relu": np.maximum(exact, 0), "gelu": exact * (1 + erf(exact / np.sqrt(2))) / 2}
    assert np.max(np.abs(y - expected[activation])) < 2e-5


def test_gelu_is_accurate_over_its_range(tier: str) -> None:
    erf = pytest.importorskip("scipy.special", reason="the reference of gelu is scipy's erf").erf
    x = np.concatenate([np.linspace(-30, 30, 4001), [-1e30, 1e30, 0.0, -0.0]]).astype(np.float32)[None, :]
    w = native.Blocks(1, 1, 1, 1, np.ones((1, 1, 1), np.float32), np.array([0, 1]), np.array([0], np.int32))
    y = native.multiply(w, x, np.empty_like(x), tier, (1, 1, 0, 0, 0, False, False, False), activation="gelu")
    exact = x.astype(float) * (1 + erf(x.astype(float) / np.sqrt(2))) / 2
    assert np.max(np.abs(y - exact) / np.maximum(1, np.abs(exact))) < 4e-7


def test_nan_stays_where_it_is_used_and_nowhere_else(tier: str) -> None:
    w = native.Blocks(8, 8, 4, 4, np.ones((1, 4, 4), np.float32), np.array([0, 1, 1]), np.array([1], np.int32))
    x = np.full((8, 5), np.nan, np.float32)
    y = native.multiply(
        w, x, native.empty((8, 5), "float32"), tier, (4, 1, 0, 0, 0, False, False, False), activation="relu"
    )
    assert np.isnan(y[:4]).all()
    assert not y[4:].any()


@pytest.mark.parametrize("block", [(1, 1), (4, 4), (16, 16), (3, 5)])
def test_results_do_not_depend_on_threads_or_cuts(tier: str, block: Any) -> None:
    rng = np.random.default_rng(3)
    w = native.Blocks.random(rng, (200, 150), block, 0.3)
    x = rng.standard_normal((150, 200)).astype(np.float32)
    for schedule in (
        (4, 1, 0, 0, 64, True, True, False),
        (1, 1, 0, 4, 16, False, False, False),
        (2, 1, 3, 0, 0, False, False, False),
    ):
        one = native.multiply(w, x, native.empty((200, 200), "float32"), tier, schedule)
        for threads in (2, 3, 7):
            again = native.multiply(w, x, native.empty((200, 200), "float32"), tier, schedule, threads=threads)
            assert np.array_equal(one, again)


def test_tiers_are_listed_fastest_first() -> None:
    names = _core.cpu_tiers()
    assert names == [name for name in native.TIERS if name in names]
    assert _core.cpu_peak_flops(10, names[0]) == 10 * 12 * _core.cpu_tier_facts(names[0])["lanes"] * 2
