"""What a Program costs, counted from its own columns, against what its plan says; and bytes likewise."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from products import (
    BLOCK_SIZES,
    DTYPES,
    KINDS,
    loaded,
    matrix_of,
    plan_in_passes,
    plan_of,
    plan_with_partition,
    random_matrix,
    small_target,
)
from static_cases import static_cases

from popsparse_planner.codelet_cycles import block_vertex_cycles, element_vertex_cycles
from popsparse_planner.cost import exchange_cycles
from popsparse_planner.errors import ProgramError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.target import load_target
from popsparse_py.backends.ipu_model import IpuModelBackend
from popsparse_py.ipu.counted import counted_cost, step_counts, table, vertex_cycles
from popsparse_py.ipu.lower_static import lower_static
from popsparse_py.ipu.program import CopySet, Exchange, FieldSlices, Program, Variable

COST_TOLERANCE = 0.03
MEMORY_TOLERANCE = 0.01  # of the fullest tile, below the plan
ALIGNMENT = 16  # bytes above the plan: state and exchange code are rounded up to 8 each


def check_agreement(plan):
    """Counted cycles within 3% of the plan's, and the model's bytes of every tile not above the plan's."""
    kernel = IpuModelBackend().compile(plan)
    counted, planned = counted_cost(kernel.program, plan.target).total_cycles, plan.cost.total_cycles
    text = table(step_counts(kernel.program, plan.target))
    assert abs(counted - planned) <= COST_TOLERANCE * planned, (
        f"{counted} counted, {planned} planned\n{text}\n{plan.steps}"
    )
    above = kernel.tile_bytes - plan.memory.per_tile
    tile = int(above.argmax())
    assert above[tile] <= ALIGNMENT, f"tile {tile}: {kernel.tile_bytes[tile]} B, plan {plan.memory.of_tile(tile)}"
    assert kernel.tile_bytes.max() >= (1 - MEMORY_TOLERANCE) * plan.memory.peak_bytes


@pytest.mark.parametrize("strategy", ["balanced", "popsparse"])
@pytest.mark.parametrize("dtypes", DTYPES, ids="/".join)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("tiles", [4, 16, 1472])
def test_counted_and_planned_agree(tiles, block_size, dtypes, strategy):
    if strategy == "popsparse" and dtypes[0] != dtypes[1]:
        dtypes = (dtypes[0], dtypes[0])
    w = random_matrix((31 * block_size, 27 * block_size), block_size, 0.2, dtype=dtypes[0])
    plan = plan_of(w, 75, dtypes[1], load_target("bow").replace(tiles=tiles), strategy)
    check_agreement(plan)


@pytest.mark.parametrize("block_size", [1, 4, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_counted_and_planned_agree_on_every_kind(kind, block_size):
    w = random_matrix((40 * block_size, 33 * block_size), block_size, 0.08, kind)
    check_agreement(plan_of(w, 52))


@pytest.mark.parametrize("dtypes", DTYPES, ids="/".join)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_counted_and_planned_agree_in_serial_passes(block_size, dtypes):
    w = random_matrix((160, 144), block_size, 0.3, dtype=dtypes[0], kind="row_skew")
    check_agreement(plan_in_passes(w, 190, dtypes[1]))


@pytest.mark.parametrize(("block_size", "n"), [(16, 256), (1, 64)])
@pytest.mark.parametrize("strategy", ["balanced", "popsparse"])
def test_counted_and_planned_agree_at_full_size(block_size, n, strategy):
    pattern = BlockPattern.random((2048, 2048), density=1 / 16, block_size=block_size)
    w = matrix_of(pattern)
    check_agreement(plan_of(w, n, target=load_target("bow"), strategy=strategy))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(static_cases())
def test_counted_and_planned_agree_for_every_partition(case):
    check_agreement(plan_with_partition(*case))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_every_step_is_as_the_plan_says(block_size):
    w = random_matrix((25 * block_size, 20 * block_size), block_size, 0.3)
    plan = plan_of(w, 40, "float32")
    counts = step_counts(lower_static(plan).program, plan.target)
    assert [one.name for one in counts] == [step.name for step in plan.steps]
    assert [one.kind for one in counts] == [step.kind for step in plan.steps]
    for one, step in zip(counts, plan.steps):
        assert one.cycles == pytest.approx(step.cycles, rel=COST_TOLERANCE)


def one_vertex(vertex, work_list, **lengths):
    data = np.array(work_list, dtype=np.uint16)
    fields = {"workList": FieldSlices("lists", [0], [len(data)])}
    return vertex_cycles(vertex, fields, {name: np.array([n]) for name, n in lengths.items()}, {"lists": data})


def test_cycles_of_a_written_element_list():
    """Two groups along n (8 and 4 columns), three row groups of 1, 2 and 0 rows with 3, 1 and 2 nonzeros."""
    groups = [(48, 0, 1, 0), (52, 3, 2, 1), (0, 0, 0, 0)]
    columns = [(0, 8), (8, 4)]
    headers = [
        [entry, 0, value, 0, rows, first, *columns[worker % 2]]
        for worker, (entry, value, rows, first) in enumerate(group for group in groups for _ in range(2))
    ]
    rows = [3, 0, 3, 6, 1, 0, 2, 3, 6]
    found = one_vertex("popsparse_py::StaticElementDot<half,float>", np.concatenate([*headers, rows]))
    n, counts, nonzeros = np.array([8, 4] * 3), np.array([1, 1, 2, 2, 0, 0]), np.array([3, 3, 3, 3, 0, 0])
    assert found.tolist() == [int(element_vertex_cycles("float16", "float32", n, counts, nonzeros))]


def test_cycles_of_a_written_block_list():
    work_list = [0, 2, 2, 2, 4, 2, 6, 2, 8, 2, 10, 1, 2, 0, 3, 0, 1, 2, 1, 1, 2]
    found = one_vertex("popsparse_py::StaticBlockDot<half,half,8>", work_list)
    assert found.tolist() == [int(block_vertex_cycles("float16", "float16", 8, 2, 2, 4))]


def test_cycles_of_an_unknown_vertex():
    with pytest.raises(
        ProgramError, match=r"no cycle rule for vertex 'popsparse_py::Other': expected one of popsparse_py::C"
    ):
        vertex_cycles("popsparse_py::Other", {}, {}, {})


def test_a_multicast_is_sent_once_and_a_local_copy_not_at_all():
    x = Variable("x", "float16", 16, "input", [0, 8], [0, 1])
    y = Variable("y", "float16", 24, "temp", [0, 8, 16], [0, 1, 2])
    copies = CopySet("x", "y", [0, 0, 0, 8], [0, 8, 16, 20], [8, 8, 4, 4])
    program = Program(3, {"x": x, "y": y}, (Exchange("gather", (copies,)),), {}, np.zeros(3))
    target = small_target(3)
    received, local = np.array([0, 16, 16]), np.array([16, 0, 0])
    sent = np.array([16 + 8, 8, 0])  # [0, 8) to tile 1, [0, 4) to tile 2: two pieces; [0, 8) to tile 0 is local
    (count,) = step_counts(program, target)
    assert count.cycles == exchange_cycles(target, received, local, sent, np.array([1, 1, 2]))
    assert (count.rows, count.moved_bytes) == (4, 32)


def test_trace_has_the_counted_numbers():
    w = random_matrix((64, 64), 8, 0.5)
    plan = plan_of(w, 24)
    kernel = loaded(plan, w)
    trace = kernel.run(np.zeros((64, 24), dtype=np.float16)).trace
    counted = counted_cost(kernel.program, plan.target)
    assert trace["total_cycles"] == counted.total_cycles
    assert trace["planned_cycles"] == plan.cost.total_cycles
    assert {name: number.provenance for name, number in trace.numbers.items() if name != "planned_cycles"} == {
        **dict.fromkeys(
            [f"{part}_cycles" for part in ("compute", "exchange", "sync", "reduce", "other", "total", "profiled")],
            "counted",
        ),
        **dict.fromkeys(["seconds", "tflops", "peak_tile_bytes"], "counted"),
        **dict.fromkeys(["lower_seconds", "build_seconds", "host_seconds"], "timed"),
    }
    assert trace.numbers["planned_cycles"].provenance == "estimated"
    assert sum(step.cycles for step in trace.steps if step.kind == "exchange") == counted.exchange_cycles
