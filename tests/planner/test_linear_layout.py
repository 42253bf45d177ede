"""Where X, Y and values live between calls, and how many uint16 a work list takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.layout import (
    LinearLayout,
    aligned,
    block_list_entries,
    element_list_entries,
    linear_layout,
    value_layout,
    worker_columns,
    x_layout,
    y_layout,
)
from popsparse_planner.problem import Problem


@given(st.integers(0, 500), st.integers(1, 8), st.integers(1, 40))
def test_a_linear_layout_covers_all_elements_in_whole_grains(grains, grain, tiles):
    layout = linear_layout(grains * grain, grain, tiles)
    bounds = layout.bounds(tiles)
    assert bounds[0] == 0 and bounds[-1] == grains * grain and layout.per_tile % grain == 0
    assert np.all(np.diff(bounds) >= 0) and np.count_nonzero(np.diff(bounds)) == layout.tiles_used
    assert layout.per_tile <= -(-grains // tiles) * grain or grains == 0


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 200), st.integers(1, 90)), min_size=1, max_size=9))
def test_pieces_count_the_homes_of_an_interval(per_tile, intervals):
    start, length = (np.array(column) for column in zip(*intervals))
    homes = [len({address // per_tile for address in range(a, a + size)}) for a, size in intervals]
    assert LinearLayout(400, per_tile).pieces(start, length).tolist() == homes


def test_x_and_y_are_laid_out_in_blocks_of_padded_columns():
    problem = Problem(m=30, k=50, n=5, block_size=4, dtype="float16")
    assert x_layout(problem, 16).num_elements == 13 * 8 * 4 and y_layout(problem, 16).num_elements == 8 * 8 * 4
    assert x_layout(problem, 16).per_tile == 2 * 16 and x_layout(problem, 16).tiles_used == 13


@pytest.mark.parametrize(("block_size", "blocks", "elements"), [(1, 5, 8), (4, 5, 80), (16, 2, 512), (1, 0, 0)])
def test_values_are_laid_out_in_whole_blocks_or_eight_bytes(block_size, blocks, elements):
    problem = Problem(64, 64, 8, block_size, "float16")
    assert value_layout(problem, blocks, 16).num_elements == elements


def test_work_lists_by_hand():
    assert element_list_entries(np.array([3]), np.array([7])).tolist() == [48 + 3 + 7]
    assert block_list_entries(np.array([3]), np.array([7])).tolist() == [13 + 6 + 7]
    assert aligned(np.array([0, 1, 8, 9])).tolist() == [0, 8, 8, 16]


@given(st.integers(1, 60), st.sampled_from([1, 2, 3, 6]), st.sampled_from([2, 4, 8]), st.integers(0, 3))
def test_workers_share_columns_evenly(grains, groups, grain, ragged):
    columns = max(1, grains * grain - ragged % grain)
    first, width = worker_columns(columns, groups, grain)
    assert width.sum() == columns and np.array_equal(first, np.concatenate([[0], np.cumsum(width)[:-1]]))
    assert width.max() <= -(-grains // groups) * grain and np.all(first[width > 0] % grain == 0)
