"""Programs as data: what they refuse, what they tell, and how plans become them."""

import json

import numpy as np
import pytest
from hypothesis import given
from products import matrix_of, plan_of, plan_with_partition, random_matrix, small_target
from static_cases import static_cases

from popsparse_planner.errors import PlanError, ProgramError
from popsparse_planner.layout import BLOCK_LIST_HEADER, ELEMENT_LIST_HEADER
from popsparse_planner.pattern import BlockPattern
from popsparse_py.ipu.lower_static import lower_static
from popsparse_py.ipu.program import Compute, CopySet, Exchange, FieldSlices, Program, Variable, VertexSet
from popsparse_py.ipu.ranges import expand, split
from popsparse_py.ipu.work_lists import narrowed


def variable(name="x", dtype="float16", length=16, role="temp", begins=(0, 8), tiles=(0, 1)):
    return Variable(name, dtype, length, role, begins, tiles)


def program(*steps, variables=(), constants=None):
    variables = variables or (variable("x"), variable("y", length=24, begins=(0, 8, 16), tiles=(0, 1, 2)))
    return Program(4, {v.name: v for v in variables}, steps, constants or {}, np.zeros(4))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "int8"}, "variable 'x': dtype 'int8', expected one of float16, float32, uint16"),
        ({"role": "other"}, "variable 'x': role 'other', expected one of input, values"),
        ({"begins": (8, 12)}, "expected intervals from element 0 on, each with a tile"),
        ({"begins": (0, 8, 8), "tiles": (0, 1, 2)}, "intervals must rise and none may be empty"),
        ({"begins": (0, 16)}, "intervals must rise and none may be empty"),
        (
            {"begins": (0, 6), "tiles": (0, 7)},
            r"variable 'x' \(tile 7\): an interval begins at byte 12, expected a mul",
        ),
    ],
)
def test_variables_refuse(fields, message):
    with pytest.raises(ProgramError, match=message):
        variable(**fields)


def copies(source="x", destination="y", begin=0, to=0, length=4):
    return Exchange("move", (CopySet(source, destination, [begin], [to], [length]),))


def vertices(tile=0, begin=0, length=8, name="y", part="compute"):
    fields = {"out": FieldSlices(name, [begin], [length])}
    made = VertexSet("popsparse_py::Zero<half>", [tile], fields, {"count": [length]}, [72])
    return Compute("zero", (made,), part)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (copies("z"), "step 'move' names variable 'z', which the program does not have"),
        (copies(begin=6), r"exchange 'move', row 0: \[6, 10\) of variable 'x' must lie inside one interval \(tile 0\)"),
        (copies(to=20, length=8), r"row 0: \[20, 28\) of variable 'y' must lie inside one interval \(tile 2\)"),
        (copies(length=0), r"\[0, 0\) of variable 'x' must lie inside one interval"),
        (vertices(tile=3), "field 'out', row 0: the vertex is on tile 3, its slice of 'y' on tile 0"),
        (vertices(part="none"), "compute 'zero': part 'none', expected one of compute, reduce, other"),
    ],
)
def test_programs_refuse_steps(step, message):
    with pytest.raises(ProgramError, match=message):
        program(step)


def test_programs_refuse_variables_and_constants():
    with pytest.raises(ProgramError, match=r"exchange 'move': 'x' is float16, 'y' is float32"):
        program(copies(), variables=(variable("x"), variable("y", dtype="float32")))
    with pytest.raises(ProgramError, match=r"variable 'x': tiles must lie in \[0, 4\)"):
        program(variables=(variable(tiles=(0, 4)),))
    with pytest.raises(ProgramError, match=r"variable 'x' \(temp\): constants, and only they, have contents"):
        program(variables=(variable(),), constants={"x": np.zeros(16, np.float16)})
    constant = variable(role="constant", dtype="uint16")
    with pytest.raises(ProgramError, match=r"constant 'x': expected 16 elements of uint16, got 15 of uint16"):
        program(variables=(constant,), constants={"x": np.zeros(15, np.uint16)})
    with pytest.raises(ProgramError, match="variable 'x' is listed under another name"):
        Program(4, {"y": variable()}, (), {}, np.zeros(4))
    with pytest.raises(ProgramError, match="reserved bytes of 3 tiles, the program has 4"):
        Program(4, {}, (), {}, np.zeros(3))


def test_columns_of_different_lengths():
    with pytest.raises(ProgramError, match="copies from 'x' to 'y': columns of different lengths"):
        CopySet("x", "y", [0, 1], [0], [1])
    with pytest.raises(ProgramError, match=r"Zero<half>: expected 2 rows, as tiles, in count, cycles"):
        VertexSet("Zero<half>", [0, 1], {}, {"count": [1]}, [1])


def test_columns_are_read_only():
    one = CopySet("x", "y", [0], [0], [1])
    with pytest.raises(ValueError, match="read-only"):
        one.length[0] = 2


def test_a_lowered_plan_tells_what_it_is():
    w = random_matrix((64, 64), 16, 0.5)
    made = lower_static(plan_of(w, 24)).program
    summary = made.to_dict()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["steps"][0]["rows"][0]["what"] == "x -> x_slices"
    text = str(made)
    for name in [*made.variables, "gather", "popsparse_py::StaticBlockDot<half,float,16>"]:
        assert name in text
    assert made.always_live_bytes().shape == (16,)


def test_lowering_gives_the_same_columns_each_time():
    plan = plan_of(random_matrix((72, 56), 4, 0.4), 33)
    one, two = (lower_static(plan).program for _ in range(2))
    assert one.to_dict() == two.to_dict()
    for name, contents in one.constants.items():
        assert np.array_equal(contents, two.constants[name])


def test_a_refused_plan_is_not_lowered():
    plan = plan_of(
        random_matrix((64, 64), 8, 1.0), 4096, target=small_target(1, tile_bytes=20_000), strategy="popsparse"
    )
    assert plan.partition is None
    with pytest.raises(PlanError, match="the plan has no partition: "):
        lower_static(plan)


@given(static_cases())
def test_work_lists_hold_every_block_once_for_each_part(case):
    """The lists of the multiplying vertices, read as the codelets do, name every block of the pattern once a part."""
    pattern, problem, partition = case
    lowered = lower_static(plan_with_partition(pattern, problem, partition))
    blocks = rows = 0
    for step in lowered.program.steps:
        for one in getattr(step, "vertices", ()):
            if "Dot" not in one.vertex:
                continue
            lists, r = one.fields["workList"], one.fields["r"]
            header = ELEMENT_LIST_HEADER if problem.block_size == 1 else BLOCK_LIST_HEADER
            q = one.fields["q"].length // (one.scalars["numColumns"] * problem.block_size)
            held = lists.length - header - q * (1 if problem.block_size == 1 else 2)
            values = r.length // problem.block_size**2
            assert np.all(held <= values)
            assert np.all(values - held < 8), "a slice of values is widened by less than 8 bytes on either side"
            blocks, rows = blocks + int(held.sum()), rows + int(q.sum())
    live = int(np.count_nonzero(np.diff(partition.n_bounds, axis=1)))
    assert blocks == pattern.nnz_blocks * live
    assert rows >= len(np.unique(pattern.rows)) * live


def test_a_number_too_large_for_a_work_list():
    with pytest.raises(ProgramError, match="rows of a tile: 65,536 does not fit a 16-bit field, which holds 65,535"):
        narrowed(np.array([1, 65536]), "rows of a tile")
    assert narrowed(np.array([65535]), "rows of a tile").dtype == np.uint16


def test_arithmetic_of_intervals():
    assert expand(np.array([5, 0, 2]), np.array([2, 0, 3])).tolist() == [5, 6, 2, 3, 4]
    assert expand(np.array([], dtype=int), np.array([], dtype=int)).tolist() == []
    index, begin, length = split(np.array([0, 6, 20]), np.array([4, 9, 2]), 8)
    assert index.tolist() == [0, 1, 1, 2]
    assert list(zip(begin.tolist(), length.tolist())) == [(0, 4), (6, 2), (8, 7), (20, 2)]


def test_an_empty_pattern_only_zeroes():
    pattern = BlockPattern.from_indices([], [], shape=(40, 40), block_size=8)
    plan = plan_of(matrix_of(pattern), 12)
    steps = lower_static(plan).program.steps
    assert [one.vertex for step in steps for one in step.vertices] == ["popsparse_py::Zero<half>"]
