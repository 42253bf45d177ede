"""What each run of a cut has to do, compared with plain loops over its blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from static_cases import TILES, cuts, patterns

from popsparse_planner.pattern import BlockPattern
from popsparse_planner.static import work as work_module
from popsparse_planner.static.cuts import banded_cut
from popsparse_planner.static.work import cut_work


def naive_runs(pattern, cut):
    """{row: [columns]} of each run."""
    for run in range(cut.num_runs):
        rows = {}
        for block in cut.block_order[cut.run_offsets[run] : cut.run_offsets[run + 1]]:
            rows.setdefault(int(pattern.rows[block]), []).append(int(pattern.cols[block]))
        yield rows


def check(pattern, cut):
    work, entry, pairs = cut_work(pattern, cut), 0, []
    sources = np.zeros(pattern.block_grid[0], dtype=int)
    for run, rows in enumerate(naive_runs(pattern, cut)):
        cols = sorted({col for row in rows.values() for col in row})
        pairs += [(run, col) for col in cols]
        assert work.num_blocks[run] == sum(map(len, rows.values()))
        assert (work.num_rows[run], work.num_cols[run], work.entry_offsets[run]) == (len(rows), len(cols), entry)
        for row, row_cols in rows.items():
            assert (work.entry_run[entry], work.entry_row[entry], work.entry_blocks[entry]) == (run, row, len(row_cols))
            start = int(work.entry_start[entry])
            assert pattern.cols[cut.block_order[start : start + len(row_cols)]].tolist() == row_cols
            sources[row] += 1
            entry += 1
    assert work.entry_offsets[-1] == entry == len(work.entry_run)
    assert list(zip(*(column.tolist() for column in work.cols_in_run))) == pairs
    assert work.row_sources.tolist() == sources.tolist()
    assert work.entry_sources.tolist() == sources[work.entry_row].tolist()


@given(st.data())
def test_the_work_of_every_run_is_what_plain_loops_find(data):
    pattern = data.draw(patterns())
    check(pattern, data.draw(cuts(pattern, TILES)))


@pytest.mark.parametrize("limit", [0, 1 << 26])
def test_both_ways_to_find_distinct_columns_agree(monkeypatch, limit):
    monkeypatch.setattr(work_module, "_BITMAP_CELLS", limit)
    pattern = BlockPattern.random((64, 96), density=0.3, block_size=4, seed=3)
    check(pattern, banded_cut(pattern, 7, 3, "even", 1.0, 1.0))


def test_an_empty_pattern_has_no_work():
    pattern = BlockPattern.from_indices([], [], shape=(8, 8), block_size=4)
    work = cut_work(pattern, banded_cut(pattern, 4, 2, "rows", 1.0, 1.0))
    assert len(work.num_blocks) == len(work.entry_run) == 0 and work.row_sources.tolist() == [0, 0]
