"""Bytes per tile: what is live when, and the error of a tile that is too full."""

import numpy as np
import pytest

core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")
errors = pytest.importorskip("popsparse_planner.errors")


def copy(m, source, destination, length):
    m.exchange(f"{source} to {destination}", (source, destination, [0], [0], [length]))


def test_always_variables_and_reserved_bytes_add_up(machine):
    m = machine()
    m.variable("a", 20, begins=[0, 12], tiles=[0, 1])  # 24 B; 16 B
    m.variable("b", 3, "float32", tiles=[1])  # 12 B, rounded up to 16
    m.model.reserve(np.array([100, 0], np.int64))
    m.model.reserve(np.array([1, 2], np.int64))
    assert m.compile().model.tile_bytes().tolist() == [125, 34]


def test_temps_count_only_while_they_live(machine):
    """x -> t -> u -> y: t and u live together for one step; x and y all the time."""
    m = machine()
    m.variable("x", 8, data=range(8))
    m.variable("y", 8)
    for name in "tuv":
        m.variable(name, 8, live="temp")
    for step in ("xt", "tu", "uv", "vy"):
        copy(m, *step, 8)
    assert m.compile().model.tile_bytes().tolist() == [16 * 4, 0]
    np.testing.assert_array_equal(m.run().read("y"), np.arange(8))


def passes(machine, second_length):
    """Two passes that reuse t; between them u is live alone."""
    m = machine()
    m.variable("x", 8, tiles=[1], data=range(8))
    m.variable("y", 8, tiles=[1])
    m.variable("z", 8, tiles=[1])
    m.variable("t", 8, live="temp")
    m.variable("u", 8, live="temp")
    m.exchange("first", ("x", "t", [0], [0], [8]))
    m.exchange("out", ("t", "y", [0], [0], [8]))
    m.exchange("between", ("x", "u", [0], [0], [8]))
    m.exchange("between out", ("u", "z", [0], [0], [8]))
    m.exchange("second", ("x", "t", [0], [0], [second_length]))
    m.exchange("second out", ("t", "y", [0], [0], [8]))
    return m


def test_a_temp_that_is_written_anew_is_dead_in_between(machine):
    assert passes(machine, 8).run().model.tile_bytes()[0] == 16


def test_a_temp_that_is_written_in_part_stays_alive(machine):
    assert passes(machine, 4).run().model.tile_bytes()[0] == 32


def test_two_writes_that_together_cover_a_temp_end_its_old_life(machine):
    m = passes(machine, 4)
    m.exchange("third", ("x", "t", [0], [0], [4]))
    m.exchange("third, rest", ("x", "t", [4], [4], [4]))
    copy(m, "t", "y", 8)
    assert m.run().model.tile_bytes()[0] == 32
    ends = machine()
    ends.variable("t", 8, live="temp", data=range(8))
    ends.variable("y", 8)
    copy(ends, "t", "y", 8)
    ends.step("Zero<half>", out=("t", 0, 4), count=4)
    ends.step("Zero<half>", out=("t", 0, 4), count=4)  # the same half twice covers nothing more
    copy(ends, "t", "y", 8)
    np.testing.assert_array_equal(ends.run().read("y"), [0, 0, 0, 0, 4, 5, 6, 7])


def test_contents_of_an_earlier_run_are_gone(machine):
    m = machine()
    m.variable("t", 8, live="temp", data=range(8))
    m.variable("y", 8, live="temp")
    m.step("Zero<half>", out=("t", 0, 4), count=4)
    copy(m, "t", "y", 8)
    with pytest.raises(errors.ProgramError, match=r"element 4 of variable 't' \[0, 8\) \(tile 0\) was never written"):
        m.run()


def test_an_over_full_tile_is_named_with_its_largest_variables(machine):
    m = machine(tiles=3, tile_bytes=2000)
    m.variable("x_slices", 1000, begins=[0, 200], tiles=[0, 2])
    m.variable("values", 200, tiles=[2])
    m.variable("temp", 52, tiles=[2], live="temp")
    m.model.reserve(np.array([0, 0, 64], np.int64))
    m.step("Zero<half>", tile=2, out=("temp", 0, 52), count=52)
    message = (
        r"^tile 2 needs 2,168 B \(x_slices 1,600, values 400, temp 104\), has 2,000 B; fullest in step 'Zero<half>'$"
    )
    with pytest.raises(errors.TileMemoryError, match=message) as caught:
        m.compile()
    assert isinstance(caught.value, MemoryError)
    assert (caught.value.tile, caught.value.needed_bytes, caught.value.tile_bytes) == (2, 2168, 2000)
    assert m.model.tile_bytes().tolist() == [400, 0, 2168]
    with pytest.raises(errors.ProgramError, match=r"call compile\(\) before run"):
        m.model.run()


def test_an_over_full_tile_without_steps(machine):
    m = machine(tiles=1, tile_bytes=10)
    m.variable("x", 8)
    with pytest.raises(errors.TileMemoryError, match=r"^tile 0 needs 16 B \(x 16\), has 10 B$"):
        m.compile()


@pytest.mark.parametrize(
    ("reserved", "message"),
    [([1], "expected reserved bytes for 2 tiles, got 1"), ([0, -1], "of at least 0, got -1 for tile 1")],
)
def test_reserved_bytes_are_checked(machine, reserved, message):
    with pytest.raises(errors.ProgramError, match=message):
        machine().model.reserve(np.array(reserved, np.int64))
