"""Cycle rules against the published formulas, the counted assembly, and a plain evaluation of their definitions."""

import csv
from pathlib import Path

import numpy as np
import pytest

from popsparse_planner import codelet_cycles as cycles
from popsparse_planner.errors import PlanError

DATA = Path(__file__).parent.parent / "data" / "popsparse_static_codelet_cycles.csv"
DTYPES = {"half": "float16", "float": "float32", "any": "float16"}
TYPE_PAIRS = [("float16", "float16"), ("float16", "float32"), ("float32", "float32")]


def _published(row):
    """Our value for one row of the reference file."""
    dtype = DTYPES[row["dtype"]]
    number = {key: int(row[key]) for key in row if row[key].isdigit()}
    b, rows, n = number["block"], number.get("m_rows"), number.get("n")
    function = row["function"].split("(")[0]
    if function == "matmulComputeCycles":
        return cycles.published_compute_cycles(dtype, b, rows, number["k_per_row"], n)
    if function == "asm_worker_x6":
        return 6 * cycles.element_worker_slots(dtype, dtype, n, rows, rows * number["k_per_row"])
    if function == "asm_block_vertex":
        return cycles.block_vertex_cycles(dtype, dtype, b, n, rows, rows * number["k_per_row"])
    if function == "zeroingCycles":
        return cycles.published_zero_cycles(rows, n, b, dtype)
    if function == "worklistEntries":
        return cycles.published_worklist_entries(b, rows)
    rules = {
        "reductionCycleEstimate": cycles.published_reduce_cycles,
        "getReduceCycleEstimate": cycles.published_general_reduce_cycles,
    }
    return rules[function](number["num_outputs"], number["reduction_factor"], dtype, dtype)


def test_every_published_row_is_reproduced():
    with DATA.open() as lines:
        rows = list(csv.DictReader(lines))
    wrong = [row for row in rows if int(_published(row)) != int(row["result"])]
    assert len(rows) == 786 and not wrong


@pytest.mark.parametrize(
    "n, counts, slots",
    [  # worked by hand from popsparse-static 5b, float16
        (8, [1, 4], 30 + 10 + 19),
        (4, [3], 31 + 11),
        (20, [2, 2, 1], 33 + 3 * 12 + 2 * (17 + 17 + 14) + 11 + 11 + 9),
        (16, [], 21),
        (0, [5], 21),
    ],
)
def test_ragged_rows_of_an_element_worker(n, counts, slots):
    got = cycles.element_worker_slots("float16", "float16", n, len(counts), sum(counts))
    assert int(got) == slots


def test_an_element_vertex_takes_as_long_as_its_slowest_worker():
    rows, nonzeros = np.array([[1, 1, 1, 1, 1, 0]]), np.array([[4, 9, 2, 1, 1, 0]])
    per_worker = cycles.element_worker_slots("float32", "float32", 8, rows, nonzeros)
    assert per_worker.tolist()[0][1] == 33 + 12 + 2 * (10 + 27)
    assert cycles.element_vertex_cycles("float32", "float32", 8, rows, nonzeros).tolist() == [6 * per_worker.max()]


def test_wide_partials_cost_one_more_store_per_row_and_four_columns():
    narrow = cycles.element_worker_slots("float16", "float16", np.array([4, 8, 20]), 3, 7)
    wide = cycles.element_worker_slots("float16", "float32", np.array([4, 8, 20]), 3, 7)
    assert (wide - narrow).tolist() == [3 * 1, 3 * 2, 3 * 5]


@pytest.mark.parametrize("b", [4, 8, 16])
@pytest.mark.parametrize("dtype, partials", TYPE_PAIRS)
def test_block_cycles_grow_with_columns_rows_and_blocks(dtype, partials, b):
    n, blocks = np.arange(0, 40), np.arange(1, 30)
    assert np.all(np.diff(cycles.block_vertex_cycles(dtype, partials, b, n, 3, 9)[3:]) > 0)
    assert np.all(np.diff(cycles.block_vertex_cycles(dtype, partials, b, 8, 1, blocks)) > 0)
    assert np.all(np.diff(cycles.block_vertex_cycles(dtype, partials, b, 8, blocks, 30)) >= 17)


def test_half_blocks_with_float_partials_run_at_half_the_rate():
    for b in (8, 16):
        slope = [
            np.diff(cycles.block_slots("float16", partials, b, np.array([20, 21])).other)[0]
            for partials in ("float16", "float32")
        ]
        assert slope[1] == 2 * slope[0]


def test_unknown_blocks_are_named():
    with pytest.raises(PlanError, match=r"no cycle rule for float16 blocks of 5: expected .* 4, 8 or 16"):
        cycles.block_vertex_cycles("float16", "float16", 5, 8, 1, 1)
    with pytest.raises(PlanError, match="no cycle rule for float64 blocks of 16"):
        cycles.published_compute_cycles("float64", 16, 1, 1, 8)


def _dealt_by_hand(lengths, sources, partials, out):
    """Grains to workers in turn, one by one."""
    c0 = 5 if partials == "float32" else 8 if out == "float16" else 7
    vector = 4 if partials == "float32" else 8
    grains = [c0 + 6 + max(s, 1) - 1 for length, s in zip(lengths, sources) for _ in range(-(-length // vector))]
    return 6 * (16 + max(sum(grains[w::6]) for w in range(6)))


@pytest.mark.parametrize("partials, out", [("float16", "float16"), ("float32", "float32"), ("float32", "float16")])
def test_reduce_deals_grains_to_workers_in_turn(partials, out):
    generator = np.random.default_rng(3)
    offsets = np.array([0, 4, 4, 5, 30, 57])
    lengths, sources = generator.integers(1, 200, 57), generator.integers(0, 9, 57)
    got = cycles.reduce_vertex_cycles(lengths, sources, partials, out, offsets)
    by_hand = [_dealt_by_hand(lengths[a:b], sources[a:b], partials, out) for a, b in zip(offsets[:-1], offsets[1:])]
    assert got.tolist() == by_hand and got[1] == 6 * 16
    alone = cycles.reduce_vertex_cycles(lengths[:4], sources[:4], partials, out)
    assert alone.tolist() == by_hand[:1]


def test_small_vertices_by_hand():
    assert int(cycles.zero_cycles(0)) == 72 and int(cycles.zero_cycles(8 * 13)) == 6 * (12 + 3)
    assert int(cycles.copy_cycles(8 * 13)) == 6 * (12 + 6)
    assert int(cycles.cast_cycles(100, "float32", "float16")) == 6 * (26 + 9)  # 17 elements a worker, 2 a load


@pytest.mark.parametrize(
    "vertex, arguments",
    [
        ("popsparse_py::StaticElementDot<half,float>", (8, np.ones(6, int), np.ones(6, int))),
        ("popsparse_py::StaticBlockDot<half,float,16>", (8, 2, 5)),
        ("popsparse_py::ReducePartials<float,half>", (np.array([8, 16]), np.array([2, 3]))),
        ("popsparse_py::Zero<half>", (64,)),
        ("popsparse_py::Cast<float,half>", (64,)),
        ("popsparse_py::Copy<float>", (64,)),
    ],
)
def test_rules_are_found_by_vertex_name(vertex, arguments):
    assert np.all(cycles.VERTEX_CYCLES[vertex](*arguments) > 0)


def test_bytes_of_zero_and_copy_follow_the_type():
    rules = cycles.VERTEX_CYCLES
    assert int(rules["popsparse_py::Zero<float>"](100)) == int(cycles.zero_cycles(400))
    assert int(rules["popsparse_py::Copy<half>"](100)) == int(cycles.copy_cycles(200))
