"""Worker splits of b = 1: every row with one worker group, and cycles that follow from the rows it got."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from static_cases import DTYPES, TILES, cuts, patterns

from popsparse_planner.codelet_cycles import element_worker_slots
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.static.cuts import banded_cut
from popsparse_planner.static.packing import estimated_cycles, group_columns, pack_rows, packed_cycles
from popsparse_planner.static.work import cut_work

WIDTHS = (4, 8, 12, 16, 40, 64)


@st.composite
def packed_cases(draw):
    """(work, columns, dtypes) of single nonzeros."""
    pattern = draw(patterns(block_sizes=(1,), most=24))
    return cut_work(pattern, draw(cuts(pattern, TILES))), draw(st.sampled_from(WIDTHS)), draw(st.sampled_from(DTYPES))


def groups_of(work, packing):
    """{run: [[entries of row group 0], ...]} as the packing's order and counts say."""
    found = {}
    for run in range(work.cut.num_runs):
        entries = packing.entry_order[work.entry_offsets[run] : work.entry_offsets[run + 1]].tolist()
        bounds = np.concatenate([[0], np.cumsum(packing.group_rows[run])])
        found[run] = [entries[a:b] for a, b in zip(bounds[:-1], bounds[1:])]
        assert bounds[-1] == len(entries)
    return found


@pytest.mark.parametrize("balanced", [True, False])
@given(case=packed_cases())
def test_every_row_is_in_one_row_group_of_its_own_run(balanced, case):
    work, columns, dtypes = case
    packing = pack_rows(work, columns, *dtypes, balanced)
    assert sorted(packing.entry_order.tolist()) == list(range(len(work.entry_run)))
    for run, groups in groups_of(work, packing).items():
        assert all(work.entry_run[entry] == run for group in groups for entry in group)
        assert not any(groups[6 // packing.n_groups[run] :]), "no rows beyond the groups that exist"


@pytest.mark.parametrize("balanced", [True, False])
@given(case=packed_cases())
def test_cycles_are_those_of_the_slowest_worker(balanced, case):
    work, columns, (dtype, partials) = case
    packing = pack_rows(work, columns, dtype, partials, balanced)
    for run, groups in groups_of(work, packing).items():
        width = int(group_columns(columns, int(packing.n_groups[run]), dtype)[1].max())
        slots = [
            int(element_worker_slots(dtype, partials, width, len(group), int(work.entry_blocks[group].sum())))
            for group in groups
        ]
        assert packing.cycles[run] == 6 * max(slots)
    assert packed_cycles(work, packing, columns, dtype, partials).tolist() == packing.cycles.tolist()


@given(case=packed_cases())
def test_the_balanced_split_is_hardly_ever_slower_than_the_published_one(case):
    work, columns, dtypes = case
    ours, published = (pack_rows(work, columns, *dtypes, balanced).cycles for balanced in (True, False))
    assert np.all(ours <= 1.1 * published)


@given(case=packed_cases())
def test_the_estimate_is_near_the_packing(case):
    work, columns, dtypes = case
    busy = work.num_blocks > 0
    exact = pack_rows(work, columns, *dtypes, True).cycles[busy]
    estimate = estimated_cycles(work, columns, *dtypes)[busy]
    assert np.all(estimate <= 1.3 * exact) and np.all(exact <= 1.5 * estimate)


def test_the_estimate_is_within_three_percent_of_large_even_tiles():
    pattern = BlockPattern.random((512, 512), density=0.25, block_size=1, seed=1)
    work = cut_work(pattern, banded_cut(pattern, 8, 1, "packed", 3.0, 12.0))
    for dtype, partials in DTYPES:
        exact = pack_rows(work, 16, dtype, partials, True).cycles.max()
        assert estimated_cycles(work, 16, dtype, partials).max() == pytest.approx(exact, rel=0.03)


def test_one_long_row_is_shared_along_n():
    pattern = BlockPattern.from_mask(np.ones((1, 60), dtype=bool), block_size=1)
    work = cut_work(pattern, banded_cut(pattern, 1, 1, "even", 1.0, 1.0))
    assert pack_rows(work, 48, "float16", "float16", True).n_groups.tolist() == [6]
    assert pack_rows(work, 4, "float16", "float16", True).n_groups.tolist() == [1], "four columns are one grain"
    assert pack_rows(work, 48, "float16", "float16", False).n_groups.tolist() == [2], "the published rule"


def test_the_published_rule_keeps_rows_in_order():
    pattern = BlockPattern.random((40, 30), density=0.3, block_size=1, seed=4)
    work = cut_work(pattern, banded_cut(pattern, 2, 1, "even", 1.0, 1.0))
    packing = pack_rows(work, 12, "float16", "float16", False)
    assert packing.entry_order.tolist() == list(range(len(work.entry_run)))


def test_columns_of_groups_come_in_the_widest_steps_that_leave_none_empty():
    first, width = group_columns(40, 3, "float16")
    assert first.tolist() == [0, 16, 32] and width.tolist() == [16, 16, 8]
    assert group_columns(12, 3, "float16")[1].tolist() == [4, 4, 4]
    assert group_columns(12, 3, "float32")[1].tolist() == [4, 4, 4]
