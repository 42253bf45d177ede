"""Cuts of a pattern into runs: every block in one run, and divisions as even as can be."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from static_cases import TILES, cuts, patterns

from popsparse_planner.pattern import BlockPattern
from popsparse_planner.static.cuts import (
    CUT_KINDS,
    banded_cut,
    column_bands,
    longest_first,
    optimal_bounds,
    share_tiles,
)
from popsparse_planner.static.work import cut_work


@given(st.data())
def test_every_block_lands_in_exactly_one_run(data):
    pattern = data.draw(patterns())
    cut = data.draw(cuts(pattern, TILES))
    assert sorted(cut.block_order.tolist()) == list(range(pattern.nnz_blocks))
    assert cut.num_runs <= TILES and len(cut.run_band) == cut.num_runs


@given(st.data())
def test_blocks_of_a_row_follow_each_other_inside_a_run_and_bands_do_not_mix(data):
    pattern = data.draw(patterns())
    bands = data.draw(st.integers(1, pattern.block_grid[1]))
    cut = banded_cut(pattern, max(TILES, bands), bands, data.draw(st.sampled_from(CUT_KINDS)), 3.0, 5.0)
    bounds = column_bands(pattern, bands)
    for run in range(cut.num_runs):
        blocks = cut.block_order[cut.run_offsets[run] : cut.run_offsets[run + 1]]
        cells = list(zip(pattern.rows[blocks].tolist(), pattern.cols[blocks].tolist()))
        assert cells == sorted(cells)
        band = int(cut.run_band[run])
        assert all(bounds[band] <= col < bounds[band + 1] for _, col in cells)


@given(patterns(), st.integers(1, TILES))
def test_runs_of_rows_hold_whole_rows(pattern, tiles):
    cut = banded_cut(pattern, tiles, 1, "rows", 10.0, 30.0)
    rows_of_runs = [set(pattern.rows[cut.block_order[a:b]]) for a, b in zip(cut.run_offsets[:-1], cut.run_offsets[1:])]
    assert sum(map(len, rows_of_runs)) == len(set(pattern.rows.tolist()))


@given(patterns(), st.integers(1, TILES))
def test_packed_runs_hold_whole_rows(pattern, tiles):
    cut = banded_cut(pattern, tiles, 1, "packed", 10.0, 30.0)
    assert cut_work(pattern, cut).row_sources.max(initial=0) <= 1


def slowest(pattern, cut, block_cycles, row_cycles):
    work = cut_work(pattern, cut)
    return float((work.num_blocks * block_cycles + work.num_rows * row_cycles).max(initial=0.0))


@given(patterns(), st.integers(1, TILES), st.floats(1, 20), st.floats(0, 40))
def test_even_runs_are_at_most_a_block_and_two_rows_above_the_mean(pattern, tiles, block_cycles, row_cycles):
    cut = banded_cut(pattern, tiles, 1, "even", block_cycles, row_cycles)
    rows = len(set(pattern.rows.tolist()))
    mean = (pattern.nnz_blocks * block_cycles + rows * row_cycles) / tiles
    assert slowest(pattern, cut, block_cycles, row_cycles) <= mean + block_cycles + 2 * row_cycles + 1e-6


def test_even_runs_use_no_more_tiles_than_their_longest_needs():
    pattern = BlockPattern.from_mask(np.ones((8, 4), dtype=bool), block_size=4)
    assert banded_cut(pattern, 12, 1, "even", 1.0, 1.0).num_runs == 11  # 32 blocks, 3 at most


@given(patterns(), st.integers(1, TILES))
def test_consecutive_runs_of_rows_are_as_even_as_brute_force(pattern, tiles):
    counts = np.bincount(pattern.rows, minlength=1)
    weights = [10 * count + 30 for count in counts[counts > 0].tolist()]
    if len(weights) > 7 or not weights:
        return
    cut = banded_cut(pattern, tiles, 1, "rows", 10.0, 30.0)
    assert slowest(pattern, cut, 10.0, 30.0) == brute_force(weights, min(tiles, len(weights)))


def test_a_heavy_row_is_divided_into_pieces_and_packed_rows_are_not():
    mask = np.zeros((9, 32), dtype=bool)
    mask[0] = mask[1:, 0] = True
    pattern = BlockPattern.from_mask(mask, block_size=4)
    assert slowest(pattern, banded_cut(pattern, 5, 1, "packed", 1.0, 0.0), 1.0, 0.0) == 32
    assert slowest(pattern, banded_cut(pattern, 5, 1, "pieces", 1.0, 0.0), 1.0, 0.0) == 8
    assert slowest(pattern, banded_cut(pattern, 20, 1, "pieces", 1.0, 0.0), 1.0, 0.0) == 3


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 8))
def test_longest_first_is_at_most_an_item_above_the_mean(weights, runs):
    run = longest_first(np.array(weights, dtype=np.float64), runs)
    loads = np.bincount(run, weights=weights, minlength=runs)
    assert len(loads) == runs
    assert loads.max() <= sum(weights) / runs + max(weights) * (1 - 1 / runs) + 1e-9


def brute_force(weights, parts):
    """The smallest heaviest part over all contiguous divisions."""
    inner = combinations_with_replacement(range(len(weights) + 1), parts - 1)
    return min(max(sum(weights[a:b]) for a, b in zip((0, *cut), (*cut, len(weights)))) for cut in inner)


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 4))
def test_optimal_bounds_are_as_good_as_brute_force(weights, parts):
    bounds = optimal_bounds(np.array(weights, dtype=np.float64), parts)
    assert bounds[0] == 0 and bounds[-1] == len(weights) and len(bounds) == parts + 1 and np.all(np.diff(bounds) >= 0)
    heaviest = max(sum(weights[a:b]) for a, b in zip(bounds[:-1], bounds[1:]))
    assert heaviest == brute_force(weights, parts)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.integers(1, 50))
def test_optimal_bounds_cover_fractional_weights(weights, parts):
    bounds = optimal_bounds(np.array(weights), parts)
    assert bounds[0] == 0 and bounds[-1] == len(weights) and np.all(np.diff(bounds) >= 0)
    heaviest = max(sum(weights[a:b]) for a, b in zip(bounds[:-1], bounds[1:]))
    assert heaviest <= sum(weights) / parts + max(weights) + 1e-6


@given(st.lists(st.integers(0, 100), min_size=1, max_size=12), st.integers(0, 30))
def test_tiles_are_shared_without_rest_and_no_band_goes_without(weights, more):
    counts = np.array(weights, dtype=np.float64)
    tiles = len(weights) + more
    shares = share_tiles(counts, tiles)
    assert np.all(shares[counts == 0] == 0) and np.all(shares[counts > 0] >= 1)
    assert shares.sum() == (tiles if counts.any() else 0)


def test_tiles_follow_the_largest_remainder():
    assert share_tiles(np.array([50.0, 30.0, 20.0]), 10).tolist() == [5, 3, 2]
    assert share_tiles(np.array([44.0, 28.0, 28.0]), 10).tolist() == [4, 3, 3]
    assert share_tiles(np.array([97.0, 1.0, 1.0, 1.0]), 10).tolist() == [7, 1, 1, 1]


def test_bands_balance_nonzeros_not_columns():
    pattern = BlockPattern.from_mask(np.array([[True, True, False, False, False, True]] * 4), block_size=4)
    bands = np.searchsorted(column_bands(pattern, 3), pattern.cols, side="right") - 1
    assert np.bincount(bands).tolist() == [4, 4, 4]


@pytest.mark.parametrize("kind", CUT_KINDS)
def test_a_cut_of_an_empty_pattern_has_no_runs(kind):
    pattern = BlockPattern.from_indices([], [], shape=(8, 8), block_size=4)
    cut = banded_cut(pattern, 4, 2, kind, 1.0, 1.0)
    assert cut.num_runs == 0 and cut.num_bands == 0
