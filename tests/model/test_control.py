"""Steps chosen at run time: loops, ifs and switches, what they count, and every error by its text."""

import numpy as np
import pytest

core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")


def machine(values, control=0):
    """A model of one tile: `a` float32 [4], `b` float32 [4], `n` uint32 [2] = (control, 0), ids 0, 1, 2."""
    model = core.Model(1, 10_000)
    for name, dtype, length in (("a", "float32", 4), ("b", "float32", 4), ("n", "uint32", 2)):
        model.add_variable(name, dtype, length, np.zeros(1, np.int64), np.zeros(1, np.int32), "always")
    model.write(0, np.asarray(values, dtype=np.float32))
    model.write(1, np.zeros(4, dtype=np.float32))
    model.write(2, np.array([control, 0], dtype=np.uint32))
    return model


def copy(model, name, source, destination):
    """A step that copies elements [source, source + 1) of `a` to [destination, destination + 1) of `b`."""
    columns = [np.array([number], dtype=np.int64) for number in (source, destination, 1)]
    return model.add_exchange(name, [(0, 1, *columns)])


@pytest.mark.parametrize(("control", "first", "times"), [(0, 1.0, [1, 0]), (1, 2.0, [0, 1]), (7, 2.0, [0, 1])])
def test_if_takes_one_body(control, first, times):
    model = machine([1, 2, 3, 4], control)
    no, yes = copy(model, "no", 0, 0), copy(model, "yes", 1, 0)
    model.add_control("choose", "if", 2, 0, [[yes], [no]])
    model.compile()
    model.run()
    assert model.read(1)[0] == first
    assert model.executions().tolist() == [*times, 1]


def test_switch_takes_the_case_of_its_number():
    for case in range(3):
        model = machine([5, 6, 7, 8], case)
        steps = [copy(model, f"case {number}", number, 0) for number in range(3)]
        model.add_control("choose", "switch", 2, 0, [[step] for step in steps])
        model.compile()
        model.run()
        assert model.read(1)[0] == 5 + case
        assert model.executions().tolist() == [int(number == case) for number in range(3)] + [1]


def test_repeat_and_nested_controls_count_every_round():
    model = machine([5, 6, 7, 8], 1)
    step = copy(model, "copy", 2, 3)
    inner = model.add_control("inner", "switch", 2, 0, [[], [step]])
    model.add_control("outer", "repeat", 0, 3, [[inner, inner]])
    model.compile()
    model.run()
    assert model.executions().tolist() == [6, 6, 1]
    assert model.read(1)[3] == 7


def test_while_works_off_a_list():
    model = machine([0, 0, 0, 0], 1)
    one = (np.zeros(1, np.int64), np.zeros(1, np.int32), "always")
    operations = model.add_variable("operations", "uint16", 8, *one)
    place, following = (model.add_variable(name, "uint32", 2, *one) for name in ("place", "next"))
    model.write(operations, np.array([3, 2, 1, 0, 9, 9, 9, 9], dtype=np.uint16))
    model.write(place, np.zeros(2, dtype=np.uint32))
    slices = [
        (name, variable, np.zeros(1, np.int64), np.array([length]))
        for name, variable, length in (
            ("operations", operations, 8),
            ("place", place, 2),
            ("next", following, 2),
            ("operation", 2, 2),
        )
    ]
    read = model.add_compute("read", [("popsparse_py::NextOperation", np.zeros(1, np.int32), slices, [])])
    columns = (np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([2]))
    move = model.add_exchange("move", [(following, place, *columns)])
    model.add_control("loop", "while", 2, 0, [[read, move]])
    model.compile()
    model.run()
    assert model.read(2).tolist() == [0, 0]
    assert model.read(place).tolist() == [4, 0]
    assert model.executions().tolist() == [4, 4, 1]


def test_temporaries_live_through_a_loop():
    one = (np.zeros(1, np.int64), np.zeros(1, np.int32), "temp")
    model = machine([1, 2, 3, 4], 1)
    early = model.add_variable("early", "float32", 1000, *one)
    late = model.add_variable("late", "float32", 1000, *one)
    columns = (np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([4]))
    model.add_exchange("first", [(0, early, *columns)])
    body = model.add_exchange("body", [(early, late, *columns)])
    model.add_control("loop", "repeat", 0, 2, [[body]])
    model.compile()
    assert model.tile_bytes()[0] == 2 * 4000 + 2 * 16 + 8
    model.run()
    assert model.executions().tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("kind", "variable", "count", "bodies", "message"),
    [
        ("until", 2, 0, [[0]], "expected control repeat, while, if or switch, got 'until'"),
        ("while", 2, 0, [[0], [0]], "control 'c': expected one body, got 2"),
        ("if", 2, 0, [[0]], "control 'c': expected two bodies, for true and false, got 1"),
        ("switch", 2, 0, [], "control 'c': expected at least one case"),
        ("repeat", 0, -1, [[0]], "control 'c': expected a count of at least 0, got -1"),
        ("while", 2, 0, [[5]], "control 'c': expected steps below 1, got 5"),
        ("while", 9, 0, [[0]], "control 'c': expected a variable below 3, got 9"),
        ("while", 0, 0, [[0]], "control 'c': expected an integer as variable 'a', got float32"),
    ],
)
def test_malformed_controls_are_told(kind, variable, count, bodies, message):
    model = machine([1, 2, 3, 4])
    copy(model, "copy", 0, 0)
    with pytest.raises(RuntimeError, match=message):
        model.add_control("c", kind, variable, count, bodies)


def test_variable_without_elements_is_told():
    model = machine([1, 2, 3, 4])
    empty = model.add_variable("none", "uint32", 0, np.zeros(0, np.int64), np.zeros(0, np.int32), "always")
    with pytest.raises(RuntimeError, match="control 'c': variable 'none' has no element"):
        model.add_control("c", "while", empty, 0, [[]])


def test_case_that_does_not_exist_is_told():
    model = machine([1, 2, 3, 4], 4)
    step = copy(model, "copy", 0, 0)
    model.add_control("choose", "switch", 2, 0, [[], [step]])
    model.compile()
    with pytest.raises(RuntimeError, match=r"switch 'choose': expected variable 'n' in \[0, 2\), it is 4"):
        model.run()


def test_decision_by_unwritten_memory_is_told():
    model = machine([1, 2, 3, 4])
    flag = model.add_variable("flag", "uint16", 4, np.zeros(1, np.int64), np.zeros(1, np.int32), "always")
    model.add_control("choose", "if", flag, 0, [[], []])
    model.compile()
    with pytest.raises(RuntimeError, match=r"control 'choose': expected written memory, but variable 'flag' \[0, 1\)"):
        model.run()
