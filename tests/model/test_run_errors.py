"""Rules that only a run can check: unwritten memory, writes of workers; the errors name vertex, tile and variable."""

import re

import numpy as np
import pytest

core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")
errors = pytest.importorskip("popsparse_planner.errors")

TESTING = "popsparse_py::testing"


def raises(message):
    return pytest.raises(errors.ProgramError, match=re.escape(message))


def test_exchange_of_unwritten_memory(machine):
    m = machine()
    m.variable("x", 16, begins=[0, 8], tiles=[0, 1])
    m.variable("y", 16)
    m.exchange("send", ("x", "y", [0, 8], [0, 8], [8, 8]))
    m.compile()
    with raises(
        "exchange 'send', copy 0: expected written memory as source, "
        "but element 0 of variable 'x' [0, 8) (tile 0) was never written"
    ):
        m.model.run()


def test_input_that_is_written_in_part(machine):
    m = machine()
    m.variable("x", 8, "float32", data=range(8))
    m.variable("t", 16, "float32", live="temp")
    m.variable("y", 16)
    m.exchange("send", ("x", "t", [0], [0], [8]))
    m.step("Cast<float,half>", **{"in": ("t", 0, 16), "out": ("y", 0, 16), "count": 16})
    with raises(
        "compute 'Cast<float,half>': popsparse_py::Cast<float,half> on tile 0 (instance 0), field 'in': "
        "expected written memory, but element 8 of variable 't' [0, 16) (tile 0) was never written"
    ):
        m.run()


def test_inout_needs_old_contents(machine):
    m = machine()
    m.variable("x", 8, "float32", data=range(8))
    m.variable("sums", 8, "float32")
    m.step("testing::Accumulate", **{"in": ("x", 0, 8), "sums": ("sums", 0, 8), "count": 8, "twice": 0})
    with raises(
        "field 'sums': expected written memory, but element 0 of variable 'sums' [0, 8) (tile 0) was never written"
    ):
        m.run()


def hole_program(machine, data=None):
    m = machine()
    m.variable("y", 8, "float32", data=data)
    m.step("testing::LeavesHole", out=("y", 0, 8), count=8, hole=3)
    return m.run()


@pytest.mark.parametrize("data", [None, range(8)])
def test_an_output_element_that_no_worker_writes_is_unwritten(machine, data):
    """Also if it was written before: an Output ends the life of what lay there."""
    m = hole_program(machine, data)
    with raises("read: expected written memory, but element 3 of variable 'y' [0, 8) (tile 0) was never written"):
        m.read("y")


def test_read_of_a_variable_that_nobody_wrote(machine):
    m = machine()
    m.variable("y", 8)
    with raises("element 0 of variable 'y' [0, 8) (tile 0) was never written"):
        m.read("y")


def test_two_workers_share_a_word(machine):
    m = machine()
    m.variable("y", 12, begins=[0, 4], tiles=[0, 1])
    m.step("testing::SharedWord", tile=1, out=("y", 4, 6))
    with raises(
        f"{TESTING}::SharedWord on tile 1 (instance 0), field 'out' = variable 'y' [4, 10) "
        "(tile 1): expected one writer for each 32-bit word, but workers 0 and 1 both write "
        "the word of element 1 (5 of the variable)"
    ):
        m.run()


@pytest.mark.parametrize(
    "bits", [(0x3C00, 0x3C00), (0x7DA5, 0x3C00), (0x3C00, 0x7DA5), (0x7DA5, 0x825A), (0x7DA5, 0x7DA5)]
)
def test_two_workers_write_one_element_whatever_they_write(machine, bits):
    m = machine()
    m.variable("x", 2)
    m.write("x", np.array(bits, np.uint16).view(np.float16))
    m.variable("y", 4)
    m.step("testing::SameElement", **{"in": ("x", 0, 2), "out": ("y", 0, 4)})
    with raises("but workers "):
        m.run()


def test_two_workers_change_one_element_of_an_inout(machine):
    m = machine()
    m.variable("x", 8, "float32", data=np.ones(8))
    m.variable("sums", 8, "float32", data=np.ones(8))
    m.step("testing::Accumulate", **{"in": ("x", 0, 8), "sums": ("sums", 0, 8), "count": 8, "twice": 1})
    with raises(
        "field 'sums' = variable 'sums' [0, 8) (tile 0): expected one writer for each 32-bit word, "
        "but workers 0 and 5 both write"
    ):
        m.run()


@pytest.mark.parametrize(("length", "element"), [(8, 8), (8, -1), (8, 39), (8, -32), (5, 5)])
def test_write_outside_a_field(machine, length, element):
    m = machine()
    m.variable("y", 16)
    m.step("testing::WritesAt", out=("y", 4, length), element=element)
    with raises(
        f"{TESTING}::WritesAt on tile 0 (instance 0), field 'out' = variable 'y' [4, {4 + length}) (tile 0): "
        f"worker 3 writes outside it, at element {element} of {length}"
    ):
        m.run()


def test_a_worker_that_changes_the_vertex(machine):
    m = machine()
    m.step("testing::ChangesField", count=0)
    with raises(
        f"{TESTING}::ChangesField on tile 0 (instance 0): worker 0 changes fields of the vertex "
        "itself, which all workers share"
    ):
        m.run()
