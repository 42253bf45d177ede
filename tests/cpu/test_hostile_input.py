"""The native entry points refuse whatever could make a kernel read or write out of bounds."""

from typing import Any

import numpy as np
import pytest
from cpu import native
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_py import _core

PLAIN = (4, 1, 0, 0, 0, False, False, False)
NUMBERS = st.sampled_from([-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 16, 2**31 - 1, 2**31, 2**62, 2**63 - 1])


def small() -> native.Blocks:
    return native.Blocks.random(np.random.default_rng(0), (10, 9), (4, 4), 0.6)


def matrix() -> Any:
    w = small()
    made = _core.CpuMatrix(w.pattern(), False, PLAIN, "")
    made.set_values(w.values, 1)
    return made


@pytest.mark.parametrize(
    ("offsets", "columns", "message"),
    [
        ([0, 1], [0], "expected 3 row offsets for 2 block rows, got 2"),
        ([1, 1, 1], [0], "row offsets must go from 0 to the 1 blocks, got 1 to 1"),
        ([0, 1, 2], [0], "row offsets must go from 0 to the 1 blocks, got 0 to 2"),
        ([0, 2, 1], [0], "row offset 2 is 1, less than the one before, 2"),
        ([0, -5, 1], [0], "row offset 1 is -5, less than the one before, 0"),
        ([0, 1, 2], [0, 3], "block 1: block column 3 is not one of the 3 of the matrix"),
        ([0, 1, 2], [-1, 0], "block 0: block column -1 is not one of the 3 of the matrix"),
        ([0, 2, 2], [1, 1], "block 1: block column 1 does not come after 1 in block row 0"),
    ],
)
def test_pattern_names_its_first_wrong_entry(offsets: Any, columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.CpuPattern(8, 9, 4, 3, np.array(offsets, np.int64), np.array(columns, np.int32))


@pytest.mark.parametrize(
    ("shape", "block", "message"),
    [
        ((-1, 4), (2, 2), "a pattern has 0 to 2147479551 rows and columns, got -1 x 4"),
        ((4, 2**40), (2, 2), "rows and columns, got 4 x 1099511627776"),
        ((4, 4), (0, 2), "a block has 1 to 4096 rows and columns, got 0 x 2"),
        ((4, 4), (2, 5000), "a block has 1 to 4096 rows and columns, got 2 x 5000"),
    ],
)
def test_pattern_names_a_wrong_shape(shape: Any, block: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.CpuPattern(*shape, *block, np.zeros(3, np.int64), np.zeros(0, np.int32))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ((3, 1, 0, 0, 0, False, False, False), "has no tile of 3 rows and 1 vectors"),
        ((4, 99, 0, 0, 0, False, False, False), "has no tile of 4 rows and 99 vectors"),
        ((4, 0, 0, 0, 0, False, False, False), "has no tile of 4 rows and 0 vectors"),
        ((4, 1, -1, 0, 0, False, False, False), "chunk, band and panel must not be negative"),
        ((4, 1, 0, 0, -1, False, False, False), "chunk, band and panel must not be negative"),
        ((4, 1, 0, 0, 0, False, False, True), "a schedule by rows needs tiles of one vector of rows"),
    ],
)
def test_schedule_is_checked(schedule: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.CpuMatrix(small().pattern(), False, schedule, "")


def test_unknown_tier_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"this machine has no instruction tier 'mmx': expected one of .*(baseline|neon)"
    ):
        _core.CpuMatrix(small().pattern(), False, PLAIN, "mmx")


@pytest.mark.parametrize(
    ("x", "y", "bias", "message"),
    [
        (np.zeros((8, 3), "f4"), np.zeros((10, 3), "f4"), None, "x: expected an array of 9 x 3"),
        (np.zeros(9, "f4"), np.zeros((10, 3), "f4"), None, "x: expected an array of 9 x"),
        (np.zeros((9, 3), "f4"), np.zeros((10, 4), "f4"), None, "y: expected an array of 10 x 3"),
        (np.zeros((9, 3), "f8"), np.zeros((10, 3), "f4"), None, "x: expected float32, float16 or uint16"),
        (np.zeros((9, 3), ">f4"), np.zeros((10, 3), "f4"), None, "x: expected float32, float16 or uint16"),
        (np.zeros((9, 3), "f4"), np.zeros((10, 6), "f4")[:, ::2], None, "y: expected rows or columns that are contig"),
        (np.zeros((9, 3), "f4"), np.broadcast_to(np.float32(0), (10, 3)), None, "y: expected a writable array"),
        (np.zeros((9, 3), "f4"), np.zeros((10, 3), "f4"), np.zeros(9, "f4"), "bias: expected 10 elements, got 9"),
        (np.zeros((9, 3), "f4"), np.zeros((10, 3), "f4"), np.zeros(10, "f8"), "bias: expected an array of float32"),
        (np.zeros((9, 3), "f4"), np.zeros((10, 3), "f4"), np.zeros(20, "f4")[::2], "bias: expected a contiguous"),
        (
            np.zeros(9 * 3 * 4 + 1, "u1")[1:].view("f4").reshape(9, 3),
            np.zeros((10, 3), "f4"),
            None,
            "multiples of their",
        ),
    ],
)
def test_operands_are_checked(x: Any, y: Any, bias: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        matrix().multiply(x, y, bias, "none", 1)


def test_threads_activation_and_values_are_checked() -> None:
    x, y, made = np.zeros((9, 3), "f4"), np.zeros((10, 3), "f4"), matrix()
    for threads in (0, -1, 2000):
        with pytest.raises(ValueError, match=f"threads: expected 1 to 1024, got {threads}"):
            made.multiply(x, y, None, "none", threads)
    with pytest.raises(ValueError, match="activation: expected none, relu or gelu, got swish"):
        made.multiply(x, y, None, "swish", 1)
    with pytest.raises(ValueError, match="values: expected a contiguous array of"):
        made.set_values(np.zeros((1, 4, 4), "f4"), 1)
    with pytest.raises(ValueError, match="values: expected a contiguous array of"):
        made.set_values(np.asfortranarray(small().values), 1)
    with pytest.raises(TypeError, match="values: expected float32, float16 or uint16"):
        made.set_values(small().values.astype("f8"), 1)


def test_addresses_are_checked() -> None:
    x, y, made = np.ones((3, 9), "f4"), np.zeros((3, 10), "f4"), matrix()
    places = (x.ctypes.data, 9, 1, y.ctypes.data, 3, 0, "float32", 1)
    for position, wrong, message in (
        (0, 0, "x: expected the address of elements of 4 bytes, got 0"),
        (3, y.ctypes.data + 2, "y: expected the address of elements of 4 bytes, got"),
        (5, 6, "bias: expected the address of elements of 4 bytes, got 6"),
        (6, "float64", "dtype: expected float32, float16 or bfloat16, got float64"),
        (7, 0, "threads: expected 1 to 1024, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            made.multiply_samples(*places[:position], wrong, *places[position + 1 :])
    with pytest.raises(ValueError, match="values: expected the address of elements of 2 bytes, got 0"):
        made.set_values_at(0, "float16", 1)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("order", "CF")
def test_products_by_address_equal_those_of_arrays(dtype: str, order: Any) -> None:
    w = small()
    values, bias = w.values.astype(dtype), np.arange(10, dtype=np.float32)
    x = np.asarray(np.random.default_rng(1).standard_normal((3, 9)), dtype=dtype, order=order)
    expected, y = np.zeros((10, 3), dtype), np.zeros((3, 10), dtype)
    plain, direct = matrix(), matrix()
    plain.set_values(values, 1)
    plain.multiply(x.T, expected, bias, "none", 1)
    direct.set_values_at(values.ctypes.data, dtype, 1)
    strides = [stride // x.itemsize for stride in x.strides]
    direct.multiply_samples(x.ctypes.data, *strides, y.ctypes.data, 3, bias.ctypes.data, dtype, 1)
    assert np.array_equal(y.T, expected)
    y[:] = 7
    direct.multiply_samples(0, 0, 0, 0, 0, 0, dtype, 1)  # no samples: nothing is read or written
    assert (y == 7).all()


def test_overlapping_result_is_refused() -> None:
    memory = np.zeros(64, "f4")
    y = np.lib.stride_tricks.as_strided(memory, (10, 3), (4, 4))
    with pytest.raises(ValueError, match="y: expected rows or columns that are contiguous"):
        matrix().multiply(np.zeros((9, 3), "f4"), y, None, "none", 1)


@settings(max_examples=300, deadline=None)
@given(
    shape=st.tuples(NUMBERS, NUMBERS),
    block=st.tuples(st.integers(-1, 6), st.integers(-1, 6)),
    offsets=st.lists(NUMBERS, max_size=5),
    columns=st.lists(st.integers(-3, 5), max_size=5),
    schedule=st.tuples(
        *[st.sampled_from([-1, 0, 1, 2, 4, 8, 16, 2**31 - 1])] * 4, NUMBERS, st.booleans(), st.booleans(), st.booleans()
    ),
    rows=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    threads=st.sampled_from([-1, 0, 1, 2]),
    form=st.tuples(st.sampled_from("CF"), st.sampled_from(["f4", "f2", "u2"])),
)
def test_hostile_numbers_end_in_an_error_or_a_product(
    shape: Any, block: Any, offsets: Any, columns: Any, schedule: Any, rows: Any, threads: Any, form: Any
) -> None:
    """Under AddressSanitizer (./dev sanitize) a read or a write out of bounds ends the process."""
    order, dtype = form
    left, right = (np.ones((count, rows[2]), dtype, order=order) for count in rows[:2])
    try:
        pattern = _core.CpuPattern(*shape, *block, np.array(offsets, np.int64), np.array(columns, np.int32))
        made = _core.CpuMatrix(pattern, bool(rows[0] % 2), schedule, "")
        made.set_values(np.ones((len(columns), *block), np.float32), threads)
        made.multiply(left, right, None, "relu", threads)
        _core.cpu_sample(pattern, left, right, np.ones((len(columns), *block), "f4"), threads, "")
    except (ValueError, TypeError, MemoryError):
        pass


@settings(max_examples=150, deadline=None)
@given(data=st.data(), block=st.sampled_from([(1, 1), (2, 2), (4, 4), (3, 5), (16, 16), (16, 4), (32, 1)]))
def test_products_of_valid_patterns_stay_in_bounds(data: st.DataObject, block: Any) -> None:
    """Exactly as much memory as the shapes need: whatever is read or written beyond ends the process as above."""
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    m, k, n = draw(st.integers(1, 60)), draw(st.integers(1, 300)), draw(st.integers(1, 70))
    order, dtype = draw(st.sampled_from("CF")), draw(st.sampled_from(["f4", "f2", "u2"]))
    w = native.Blocks.random(rng, (m, k), block, draw(st.sampled_from([0.05, 0.5, 1])))
    tier = draw(st.sampled_from(_core.cpu_tiers()))
    lanes = _core.cpu_tier_facts(tier)["lanes"]
    by_rows = block[0] % lanes == 0 and draw(st.booleans())
    tile = (lanes, 1) if by_rows else draw(st.sampled_from([(1, 1), (1, 4), (4, 1), (4, 2), (8, 1)]))
    panel = 0 if by_rows else draw(st.sampled_from([0, 1, 16, 40]))
    made = _core.CpuMatrix(w.pattern(), False, (*tile, 0, 0, panel, draw(st.booleans()), False, by_rows), tier)
    made.set_values(w.values, 1)
    x, y = (np.zeros((rows, n), dtype, order=order) for rows in (k, m))
    made.multiply(x, y, np.zeros(m, "f4"), draw(st.sampled_from(["none", "gelu"])), draw(st.sampled_from([1, 3])))
    _core.cpu_sample(w.pattern(), y, x, np.zeros(w.values.shape, dtype), 1, tier)
    assert not y.any()
