"""Fixed cells: every row and column has one place, all kinds of pattern load them alike, capacity follows the tail."""

import math

import numpy as np
import pytest

from popsparse_planner import BlockPattern, PlanError
from popsparse_planner.dynamic.buckets import cell_counts
from popsparse_planner.dynamic.capacity import (
    approximate_quantile,
    cell_quantile,
    cell_tail,
    fullest_cell,
    spill_probability,
)
from popsparse_planner.dynamic.frame import Frame, frame_partition, frame_work, part_columns, spread


@pytest.mark.parametrize(("count", "groups"), [(1, 1), (7, 3), (64, 8), (100, 100), (129, 10)])
def test_neighbours_go_to_different_groups(count, groups):
    group = spread(count, groups, 5)
    for first in range(0, count, groups):
        assert len(set(group[first : first + groups])) == min(groups, count - first)
    sizes = np.bincount(group, minlength=groups)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() == -(-count // groups)


def test_mixing_is_the_same_everywhere_and_depends_on_the_seed():
    assert spread(12, 4, 1).tolist() == spread(12, 4, 1).tolist()
    assert spread(64, 16, 1).tolist() != spread(64, 16, 5).tolist()
    assert not spread(8, 4, 1).flags.writeable


def test_every_block_has_one_cell_with_its_row_and_column():
    frame = Frame((13, 9), 4, 2, 3, 1, 8)
    rows, cols = (index.ravel() for index in np.indices(frame.grid))
    cell = frame.cell_of(rows, cols)
    assert np.array_equal(cell, frame.col_group[cols] * 4 + frame.row_group[rows])
    work, turned = frame_work(frame), frame_work(frame, transposed=True)
    for one in range(frame.num_cells):
        here = cell == one
        assert work.entry_row[work.entry_run == one].tolist() == sorted(set(rows[here]))
        assert work.cols_in_run[1][work.cols_in_run[0] == one].tolist() == sorted(set(cols[here]))
        assert turned.entry_row[turned.entry_run == one].tolist() == sorted(set(cols[here]))
    assert set(work.row_sources) == {2}
    assert set(turned.row_sources) == {4}
    assert frame.num_tiles == 24
    assert (frame.cell_rows, frame.cell_cols) == (4, 5)


def test_partition_covers_all_columns():
    frame = Frame((4, 4), 2, 2, 3, 2, 8)
    assert frame.num_columns == 48
    assert frame_partition(frame, "home").n_bounds.tolist() == [[0, 8, 16, 24], [24, 32, 40, 48]]
    assert Frame.from_dict(frame.to_dict()) == frame


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 4), 5, 1, 1, 1, 4), r"qm must lie in \[1, 4\] for \(4, 4\) blocks, got 5"),
        (((4, 4), 1, 0, 1, 1, 4), r"qk must lie in \[1, 4\] for \(4, 4\) blocks, got 0"),
        (((4, 4), 1, 1, 0, 1, 4), "qn, passes and columns must be at least 1, got 0, 1, 4"),
    ],
)
def test_bad_frames_are_told(arguments, message):
    with pytest.raises(PlanError, match=message):
        Frame(*arguments)


@pytest.mark.parametrize("kind", ["banded", "row_skew", "col_skew", "hot_corner"])
def test_skewed_patterns_load_cells_about_as_evenly_as_uniform_ones(kind):
    frame, shape = Frame((128, 128), 8, 8, 1, 1, 4), (2048, 2048)
    even = BlockPattern.random(shape, density=1 / 8, kind="uniform")
    skewed = BlockPattern.random(shape, density=1 / 8, kind=kind)
    assert cell_counts(frame, skewed).max() <= 1.3 * cell_counts(frame, even).max()


def test_diagonal_finds_no_cell_to_pile_up_in():
    frame, size = Frame((256, 256), 16, 16, 1, 1, 4), 256
    diagonal = BlockPattern.from_indices(np.arange(size), np.arange(size), shape=(size, size), block_size=1)
    assert cell_counts(frame, diagonal).max() <= 7  # mean 1; cells of contiguous or cyclic groups would hold 16


@pytest.mark.parametrize(("total", "drawn", "cell"), [(100, 30, 10), (4096, 1024, 37), (64, 64, 8), (50, 1, 25)])
def test_tail_equals_the_hypergeometric_sum(total, drawn, cell):
    x, above = cell_tail(total, drawn, cell)
    for value, tail in list(zip(x, above))[:: max(1, len(x) // 7)]:
        exact = sum(
            math.comb(cell, i) * math.comb(total - cell, drawn - i)
            for i in range(int(value) + 1, min(drawn, cell) + 1)
            if drawn - i <= total - cell
        )
        assert tail == pytest.approx(exact / math.comb(total, drawn), rel=1e-6, abs=1e-12)


def test_capacity_keeps_its_probability_in_simulation():
    frame, shape, density = Frame((64, 64), 8, 8, 1, 1, 4), (64, 64), 1 / 4
    capacity = cell_quantile(4096, 1024, 64, 64, 0.99)
    fullest = [
        int(cell_counts(frame, BlockPattern.random(shape, density=density, block_size=1, seed=seed)).max())
        for seed in range(400)
    ]
    spilled = sum(count > capacity for count in fullest) / 400
    assert spilled <= 0.02
    assert spill_probability(4096, 1024, 64, 64, capacity) <= 0.01
    assert abs(np.median(fullest) - fullest_cell(4096, 1024, 64, 64)) <= 1


def test_quantile_of_a_whole_matrix_is_all_it_holds():
    assert cell_quantile(100, 40, 100, 1, 0.99) == 40
    assert cell_quantile(100, 0, 10, 10, 0.99) == 0
    assert fullest_cell(100, 0, 10, 10) == 0
    assert spill_probability(100, 40, 10, 10, 10) == 0.0
    assert spill_probability(100, 90, 10, 10, 1) == 1.0


def test_closed_form_is_near_the_quantile():
    for cells in (16, 64, 256):
        exact = cell_quantile(65536, 4096, 65536 // cells, cells, 0.995)
        near = approximate_quantile(np.array(4096 / cells), np.array(1 / cells), 1 / 16, np.array(0.005 / cells))
        assert float(near) == pytest.approx(exact, rel=0.05, abs=1.5)


def test_parts_of_n_are_whole_grains():
    assert part_columns(64, "float16", 3) == 24
    assert part_columns(10, "float16", 1) == 12
    assert part_columns(10, "float32", 5) == 2
