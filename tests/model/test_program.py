"""What the machine computes: copies, codelets, and the same results for any number of host threads."""

import os
import signal
import threading

import numpy as np
import pytest

core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")


def reduce_program(machine, threads):
    """Two tiles: x of tile 0 is cast and sent to tile 1 twice, where three sources are summed into y beside zeros."""
    m = machine(tiles=2, threads=threads)
    x = np.arange(16, dtype=np.float32) / 8 - 1
    m.variable("x", 16, "float32", data=x)
    m.variable("x16", 16, live="temp")
    m.variable("partials", 48, tiles=[1], live="temp")
    m.variable("y", 32, tiles=[1])
    m.variable("list", 3, "uint16", tiles=[1], data=[0, 4, 3])  # one segment: offset 0, 4 x 8 bytes, 3 sources
    m.variable("ones", 16, data=np.full(16, 0.5))
    m.step("Cast<float,half>", **{"in": ("x", 0, 16), "out": ("x16", 0, 16), "count": 16})
    m.exchange("send", ("x16", "partials", [0, 0], [0, 16], [16, 16]), ("ones", "partials", [0, 8], [32, 40], [8, 8]))
    m.compute(
        "sum",
        m.vertex(
            "ReducePartials<half,half>",
            [1],
            partials=("partials", [0], [48]),
            out=("y", [0], [16]),
            workList=("list", [0], [3]),
            numSegments=[1],
        ),
        m.vertex("Zero<half>", [1], out=("y", [16], [16]), count=[16]),
    )
    return m, np.concatenate([2 * x + 0.5, np.zeros(16)]).astype(np.float16)


@pytest.mark.parametrize("threads", [1, 2])
def test_exchange_cast_reduce_and_zero(machine, threads):
    m, expected = reduce_program(machine, threads)
    np.testing.assert_array_equal(m.run().read("y"), expected)
    m.model.run()
    np.testing.assert_array_equal(m.read("y"), expected)


def many_tiles_program(machine, threads):
    """48 tiles cast and add their part of x; the parts then change places."""
    tiles, part = 48, 40
    begins = list(range(0, tiles * part, part))
    m = machine(tiles=tiles, threads=threads)
    x = np.random.default_rng(0).standard_normal(tiles * part).astype(np.float32)
    m.variable("x", tiles * part, "float32", begins, range(tiles), data=x)
    m.variable("h", tiles * part, "float16", begins, range(tiles), live="temp")
    m.variable("y", tiles * part, "float16", begins, range(tiles))
    lengths = [part] * tiles
    vertex = m.vertex(
        "Cast<float,half>",
        range(tiles),
        **{"in": ("x", begins, lengths), "out": ("h", begins, lengths), "count": lengths},
    )
    m.compute("cast", vertex)
    m.exchange("turn", ("h", "y", begins, begins[7:] + begins[:7], lengths))
    return m, np.roll(x.astype(np.float16).reshape(tiles, part), 7, axis=0).ravel()


def test_results_do_not_depend_on_the_number_of_threads(machine):
    results = []
    for threads in (1, 2, 5):
        m, expected = many_tiles_program(machine, threads)
        results.append(m.run().read("y").tobytes())
        assert results[-1] == expected.tobytes()
    assert len(set(results)) == 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_first_of_many_errors_is_reported(machine, threads):
    m = machine(tiles=64, threads=threads)
    begins = list(range(0, 512, 8))
    m.variable("y", 512, begins=begins, tiles=range(64))
    count = [0] * 9 + [8] * 55
    m.compute("write", m.vertex("testing::WritesAt", range(64), out=("y", begins, [8] * 64), element=count))
    with pytest.raises(RuntimeError, match=r"on tile 9 \(instance 9\), .* at element 8 of 8"):
        m.run()


def test_inout_starts_from_the_old_contents(machine):
    m = machine()
    m.variable("x", 16, "float32", data=range(16))
    m.variable("sums", 16, "float32", data=np.full(16, 3.0))
    m.step("testing::Accumulate", **{"in": ("x", 0, 16), "sums": ("sums", 0, 16), "count": 16, "twice": 0})
    np.testing.assert_array_equal(m.run().read("sums"), np.arange(16) + 3)
    m.model.run()
    np.testing.assert_array_equal(m.read("sums"), 2 * np.arange(16) + 3)


def test_single_worker_with_scalar_edge_and_short_span(machine):
    m = machine()
    m.variable("x", 2047, "float32", data=np.ones(2047))
    m.variable("y", 1, "float32")
    m.step("testing::ScaledSum", **{"in": ("x", 0, 2047), "out": ("y", 0, 1), "factor": -2})
    assert m.run().read("y") == -4094


def test_short_vectors_count_in_whole_vectors(machine):
    m = machine()
    m.variable("x", 12, data=range(12))
    m.variable("y", 1, "float32")
    m.step("testing::ReadsHalf4", **{"in": ("x", 0, 12), "out": ("y", 0, 1)})
    assert m.run().read("y") == 3


def test_empty_variables_slices_and_copies(machine):
    m = machine()
    m.variable("none", 0, begins=[], tiles=[], data=[])
    m.variable("y", 4, live="temp")
    m.exchange("nothing", ("none", "y", [0], [0], [0]))
    m.step("Copy<half>", **{"in": ("none", 0, 0), "out": ("y", 0, 0), "count": 0})
    assert m.run().read("none").shape == (0,)
    assert m.model.tile_bytes().tolist() == [0, 0]


def test_touching_intervals_of_one_tile_are_one(machine):
    m = machine()
    m.variable("x", 16, begins=[0, 4, 8], tiles=[0, 0, 1], data=range(16))
    m.variable("y", 8)
    m.exchange("copy", ("x", "y", [0], [0], [8]))
    np.testing.assert_array_equal(m.run().read("y"), np.arange(8))


def test_nan_and_unwritten_poison_pass_as_data(machine):
    """The bits that mark unwritten memory are data like any other if the host writes them."""
    bits = np.array([0x7DA5, 0x825A, 0x7E00, 0x7DA5], np.uint16)
    m = machine()
    m.variable("x", 4)
    m.write("x", bits.view(np.float16))
    m.variable("y", 4)
    m.step("Copy<half>", **{"in": ("x", 0, 4), "out": ("y", 0, 4), "count": 4})
    np.testing.assert_array_equal(m.run().read("y").view(np.uint16), bits)


@pytest.mark.parametrize("value", [0x7DA5, 0xA5A5, 0x825A, 0])
def test_integer_outputs_of_any_value_count_as_written(machine, value):
    m = machine()
    m.variable("y", 24, "uint16")
    m.step("testing::FillIntegers", out=("y", 0, 24), value=value, count=24)
    assert (m.run().read("y") == value).all()


@pytest.fixture
def heeding_interrupts():
    """SIGINT raises KeyboardInterrupt even where this process was told to ignore it (as background jobs are)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_interrupts")
def test_ctrl_c_stops_between_two_steps(machine):
    m = machine(tiles=1)
    m.variable("y", 16384, "float32")
    for _ in range(5000):
        m.step("Zero<float>", out=("y", 0, 16384), count=16384)
    m.compile()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        m.model.run()
    timer.join()
    assert (m.read("y") == 0).all()


def test_a_machine_serves_one_thread_at_a_time(machine):
    m = machine(tiles=1)
    m.variable("y", 16384, "float32", data=np.zeros(16384))
    for _ in range(2000):
        m.step("Zero<float>", out=("y", 0, 16384), count=16384)
    m.compile()
    refusals = []

    def use(call):
        """Calls until any thread was refused; which of the two comes second is the scheduler's choice."""
        for _ in range(10_000):
            if refusals:
                return
            try:
                call()
            except RuntimeError as error:
                refusals.append(str(error))

    runner = threading.Thread(target=use, args=[m.model.run])
    runner.start()
    while runner.is_alive() and not refusals:
        use(m.model.tile_bytes)
    runner.join()
    assert refusals and all("another thread is using this model" in text for text in refusals)
