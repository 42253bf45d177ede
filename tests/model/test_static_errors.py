"""Rules that a program breaks whatever its data: each is found by compile() or earlier and named with its numbers."""

import re

import numpy as np
import pytest

core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")
errors = pytest.importorskip("popsparse_planner.errors")

ZERO = "popsparse_py::Zero<half>"


def raises(*parts):
    """ProgramError whose message holds the parts in this order."""
    return pytest.raises(errors.ProgramError, match=".*".join(re.escape(part) for part in parts))


def two_variables(machine, **changes):
    m = machine()
    m.variable("x", 32, begins=[0, 16], tiles=[0, 1], data=range(32))
    m.variable("y", 32, **changes)
    return m


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 100), "at least one tile with at least one byte, got 0 tiles of 100 B"),
        ((1, 0), "at least one byte, got 1 tiles of 0 B"),
        ((1, 100, 4), "expected 6 workers, for which the codelets are compiled, got 4"),
    ],
)
def test_machine_sizes(arguments, message):
    with raises(message):
        core.Model(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": -1}, "variable 'v': expected a length of at least 0, got -1"),
        ({"begins": [0, 16]}, "variable 'v': expected one tile for each of 2 intervals, got 1"),
        ({"begins": [8]}, "variable 'v': expected intervals from element 0 on, got a first begin of 8"),
        ({"begins": [], "tiles": []}, "variable 'v': expected intervals from element 0 on, got none"),
        ({"begins": [0, 16, 8], "tiles": [0, 1, 0]}, "increasing begins below its length 32, got 16 for interval 1"),
        ({"begins": [0, 32], "tiles": [0, 1]}, "increasing begins below its length 32, got 32 for interval 1"),
        ({"begins": [0, 6], "tiles": [0, 1]}, "a multiple of 8 bytes, got element 6 of float16 (interval 1, tile 1)"),
        ({"tiles": [2]}, "variable 'v': expected tiles in [0, 2), got 2 for interval 0"),
        ({"dtype": "float64"}, "expected dtype float16, float32, uint16, uint32 or int32, got 'float64'"),
        ({"live": "maybe"}, "variable 'v': expected live 'always' or 'temp', got 'maybe'"),
    ],
)
def test_variables(machine, changes, message):
    arguments = {"length": 32, **changes}
    with raises(message):
        machine().variable("v", **arguments)


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        (([0], [0], [33]), "copy 0: expected elements within [0, 32) as source, got variable 'x' [0, 33) (tile 0)"),
        (([0, -2], [0, 0], [4, 4]), "copy 1: expected elements within [0, 32) as source, got variable 'x' [-2, 2)"),
        (([0], [0], [-4]), "expected elements within [0, 32) as source, got variable 'x' [0, -4)"),
        (
            ([12], [0], [8]),
            "expected a slice inside one interval [0, 16) as source, got variable 'x' [12, 20) (tile 0)",
        ),
        (([16], [30], [4]), "expected elements within [0, 32) as destination, got variable 'y' [30, 34)"),
        (([1], [0], [2]), "expected whole 4-byte words of float16 as source, got variable 'x' [1, 3)"),
        (([0], [0], [3]), "expected whole 4-byte words of float16 as source, got variable 'x' [0, 3)"),
        (
            ([0, 16], [4, 6], [4, 4]),
            "on tile 0 in variable 'y' copy 0 of set 0 writes [4, 8) and copy 1 of set 0 writes [6, 10)",
        ),
    ],
)
def test_exchange(machine, copies, message):
    m = two_variables(machine)
    m.exchange("send", ("x", "y", *copies))
    with raises("exchange 'send'", message):
        m.compile()


def test_exchange_between_dtypes(machine):
    m = two_variables(machine, dtype="float32")
    m.exchange("send", ("x", "y", [0], [0], [4]))
    with raises("exchange 'send': expected one dtype on both sides, got float16 of 'x' and float32 of 'y'"):
        m.compile()


def test_exchange_that_reads_what_it_writes(machine):
    m = two_variables(machine)
    m.exchange("shift", ("x", "x", [0], [4], [8]))
    with raises("on tile 0 in variable 'x' copy 0 of set 0 reads [0, 8) and copy 0 of set 0 writes [4, 12)"):
        m.compile()


def test_long_copy_hides_no_conflict_behind_a_short_one(machine):
    m = two_variables(machine)
    m.exchange("send", ("x", "y", [0, 16, 20], [0, 4, 12], [2, 2, 2]), ("x", "y", [16], [2], [12]))
    with raises("copy 0 of set 1 writes [2, 14) and copy 1 of set 0 writes [4, 6)"):
        m.compile()


def test_columns_of_different_lengths(machine):
    m = two_variables(machine)
    with raises("step 'send': expected 1 rows in column 'source_begin', got 2"):
        m.exchange("send", ("x", "y", [0, 4], [0], [4]))
    with raises("step 'send': expected 1 rows in column 'destination_begin', got 0"):
        m.exchange("send", ("x", "y", [0], [], [4]))
    with raises("step 'zero': expected 2 rows in column 'out', got 1"):
        m.compute("zero", m.vertex("Zero<half>", [0, 0], out=("y", [0], [4]), count=[4, 4]))
    with raises("step 'zero': expected 1 rows in column 'count', got 2"):
        m.compute("zero", m.vertex("Zero<half>", [0], out=("y", [0], [4]), count=[4, 4]))


def test_unknown_variable_number(machine):
    m = two_variables(machine)
    with raises("step 'send': expected a variable below 2, got 7"):
        m.model.add_exchange("send", [(0, 7, *[np.zeros(1, np.int64)] * 3)])
    with raises("expected a variable below 2, got 2"):
        m.model.read(2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"out": ("y", 0, 8)},
            f"{ZERO}: expected field 'count' to be given once, got it 0 times",
        ),
        ({"count": 8}, f"{ZERO}: expected field 'out' to be given once, got it 0 times"),
        ({"out": ("y", 0, 8), "count": 8, "in": ("y", 0, 8)}, f"{ZERO}: it has no field 'in'"),
        ({"out": ("y", 0, 8), "count": ("y", 0, 8)}, "field 'count' is a scalar, got a slice of a variable"),
        ({"out": 1, "count": 8}, "field 'out' is a slice of a variable, got a scalar"),
        (
            {"out": ("x", 16, 8), "count": 8},
            "field 'out': expected memory of tile 0, got variable 'x' [16, 24) (tile 1)",
        ),
        ({"out": ("x", 8, 16), "count": 16}, "expected a slice inside one interval [0, 16), got variable 'x' [8, 24)"),
        ({"out": ("y", 28, 8), "count": 8}, "expected elements within [0, 32), got variable 'y' [28, 36) (tile 0)"),
        ({"out": ("y", 0, -8), "count": 8}, "expected elements within [0, 32), got variable 'y' [0, -8)"),
        ({"out": ("y", 2, 8), "count": 8}, "expected a begin at a multiple of 8 bytes, got variable 'y' [2, 10)"),
        ({"out": ("y", 0, 8), "count": -1}, "field 'count': expected a uint32 in [0, 4294967295], got -1"),
    ],
)
def test_vertex_fields(machine, fields, message):
    m = two_variables(machine)
    m.step("Zero<half>", **fields)
    with raises("compute 'Zero<half>': ", message):
        m.compile()


def test_a_field_given_twice(machine):
    m = two_variables(machine)
    name, tiles, slices, scalars = m.vertex("Zero<half>", [0], out=("y", [0], [8]), count=[8])
    m.compute("zero", (name, tiles, slices * 2, scalars))
    with raises("expected field 'out' to be given once, got it 2 times"):
        m.compile()


def test_element_type_of_a_field(machine):
    m = two_variables(machine, dtype="float32")
    m.step("Zero<half>", out=("y", 0, 8), count=8)
    with raises("Zero<half>: field 'out' has elements of float16, variable 'y' of float32"):
        m.compile()


def test_sixteen_bit_scalar_and_the_vertex_it_belongs_to(machine):
    m = machine()
    m.variable("y", 24, "uint16", begins=[0, 8, 16], tiles=[0, 1, 0])
    m.compute(
        "fill",
        m.vertex(
            "testing::FillIntegers", [0, 1, 0], out=("y", [0, 8, 16], [8] * 3), value=[1, 65535, 65536], count=[8] * 3
        ),
    )
    with raises(
        "compute 'fill': popsparse_py::testing::FillIntegers on tile 0 (instance 2), field 'value': "
        "expected a uint16 in [0, 65535], got 65536"
    ):
        m.compile()


def test_signed_scalar_out_of_range(machine):
    m = two_variables(machine)
    m.step("testing::WritesAt", out=("y", 0, 8), element=-(2**31) - 1)
    with raises("expected a int32 in [-2147483648, 2147483647], got -2147483649"):
        m.compile()


def test_short_span_of_2048(machine):
    m = machine()
    m.variable("x", 2048, "float32")
    m.variable("y", 1, "float32")
    m.step("testing::ScaledSum", **{"in": ("x", 0, 2048), "out": ("y", 0, 1), "factor": 1})
    with raises("field 'in': expected at most 2047 elements in a SHORT_SPAN, got variable 'x' [0, 2048) (tile 0)"):
        m.compile()


def test_scalar_edge_takes_one_element(machine):
    m = machine()
    m.variable("x", 8, "float32")
    m.variable("y", 2, "float32")
    m.step("testing::ScaledSum", **{"in": ("x", 0, 8), "out": ("y", 0, 2), "factor": 1})
    with raises("field 'out': expected one element for a scalar edge, got variable 'y' [0, 2)"):
        m.compile()


def test_half_a_short_vector(machine):
    m = machine()
    m.variable("x", 8)
    m.variable("y", 1, "float32")
    m.step("testing::ReadsHalf4", **{"in": ("x", 0, 6), "out": ("y", 0, 1)})
    with raises("field 'in': expected a multiple of 4 elements for float16x4, got variable 'x' [0, 6)"):
        m.compile()


def test_list_of_vectors(machine):
    m = machine()
    m.variable("x", 8, "float32")
    m.step("testing::ListOfVectors", rows=("x", 0, 8))
    with raises("field 'rows' is a list of vectors; a program connects single vectors only"):
        m.compile()


def test_unknown_vertex(machine):
    m = machine()
    m.step("Zeroo<half>")
    with raises("compute 'Zeroo<half>': no vertex 'popsparse_py::Zeroo<half>' among the ", " registered"):
        m.compile()
    with raises("no vertex 'popsparse_py::Zeroo<half>' is registered"):
        core.vertex_fields("popsparse_py::Zeroo<half>")


def test_vertex_on_a_tile_that_is_not_there(machine):
    m = two_variables(machine)
    m.step("Zero<half>", tile=5, out=("y", 0, 8), count=8)
    with raises("Zero<half> on tile 5 (instance 0): expected a tile in [0, 2)"):
        m.compile()


def test_two_vertices_write_one_word(machine):
    m = two_variables(machine)
    zero = m.vertex("Zero<half>", [0, 0], out=("y", [0, 4], [5, 4]), count=[5, 4])
    m.compute("zero", zero)
    with raises(
        "compute 'zero': expected each 32-bit word to be written once and read by nobody else, but on tile 0 in "
        f"variable 'y' {ZERO} (instance 0) writes [0, 5) as 'out' and {ZERO} (instance 1) writes [4, 8) as 'out'"
    ):
        m.compile()


def test_one_vertex_reads_what_another_writes(machine):
    m = two_variables(machine)
    copy = m.vertex("Copy<half>", [0], **{"in": ("y", [0], [8]), "out": ("x", [0], [8]), "count": [8]})
    m.compute("both", copy, m.vertex("Zero<half>", [0], out=("y", [4], [4]), count=[4]))
    with raises(
        "compute 'both': ",
        "'y' popsparse_py::Copy<half> (instance 0) reads [0, 8) as 'in' and ",
        "writes [4, 8) as 'out'",
    ):
        m.compile()


def test_neighbouring_words_are_no_conflict(machine):
    m = two_variables(machine)
    m.compute("zero", m.vertex("Zero<half>", [0, 0], out=("y", [0, 4], [4, 4]), count=[4, 4]))
    m.run()


def test_order_of_calls(machine):
    m = two_variables(machine)
    with raises("call compile() before run()"):
        m.model.run()
    with raises("call compile() before tile_bytes()"):
        m.model.tile_bytes()
    m.compile()
    m.variable("z", 8)
    with raises("call compile() before run()"):
        m.model.run()


def test_arrays_of_another_kind(machine):
    m = two_variables(machine)
    with pytest.raises(TypeError, match="x: expected an array of float16, got float32"):
        m.write("x", np.zeros(32, np.float32))
    with pytest.raises(ValueError, match="x: expected 32 elements, got 16"):
        m.write("x", np.zeros(16, np.float16))
    with pytest.raises(ValueError, match="x: expected a one-dimensional array, got 2 dimensions"):
        m.write("x", np.zeros((4, 8), np.float16))
    with pytest.raises(ValueError, match="x: expected a contiguous array"):
        m.write("x", np.zeros(64, np.float16)[::2])
    with pytest.raises(TypeError, match="z begins: expected an array of int64, got int32"):
        m.model.add_variable("z", "float16", 8, np.zeros(1, np.int32), np.zeros(1, np.int32), "temp")


def test_vertex_fields_describe_a_vertex():
    assert "popsparse_py::Zero<half>" in core.vertex_names()
    assert not [name for name in core.vertex_names() if "testing" in name]
    out, count = core.vertex_fields(ZERO)
    assert (out["name"], out["direction"], out["element"], out["min_align"]) == ("out", "out", "float16", 8)
    assert (count["name"], count["direction"], count["element"]) == ("count", "value", "uint32")
    directions = [f["direction"] for f in core.vertex_fields("popsparse_py::testing::Accumulate")]
    assert directions == ["in", "inout", "value", "value"]
