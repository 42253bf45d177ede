"""Random patterns: the right number of distinct blocks, where the kind says."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner import pattern_kinds
from popsparse_planner.errors import PatternError
from popsparse_planner.pattern import BlockPattern

KINDS = ("uniform", "row_balanced", "banded", "row_skew", "col_skew", "hot_corner", "power_law")
SIDES = st.integers(1, 60)
DENSITIES = st.one_of(st.floats(1e-6, 1.0), st.fractions(Fraction(1, 1000), 1), st.just(1))


def random_pattern(kind, side=512, density=1 / 16, **changes):
    return BlockPattern.random((side, side), density=density, kind=kind, **{"block_size": 1, **changes})


@given(st.sampled_from(KINDS), SIDES, SIDES, DENSITIES, st.integers(0, 2**32), st.sampled_from([1, 3, 16]))
def test_every_kind_has_the_requested_number_of_blocks(kind, m, k, density, seed, block_size):
    pattern = BlockPattern.random((m, k), density=density, block_size=block_size, seed=seed, kind=kind)
    mb, kb = pattern.block_grid
    assert pattern.nnz_blocks == round(density * mb * kb)  # the constructor checks that they are distinct and inside


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("density", [Fraction(1, 3), 0.999, 1])
def test_dense_patterns_end(kind, density):
    assert random_pattern(kind, density=density).nnz_blocks == round(density * 512 * 512)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind):
    assert random_pattern(kind, seed=3) == random_pattern(kind, seed=3)
    assert random_pattern(kind, seed=3) != random_pattern(kind, seed=4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("density", [0.05, 0.2])
def test_large_grids_draw_the_same_cells(kind, density, monkeypatch):
    marked = random_pattern(kind, side=96, density=density)
    monkeypatch.setattr(pattern_kinds, "_MASK_CELLS", 0)
    assert random_pattern(kind, side=96, density=density) == marked


@given(SIDES, SIDES, DENSITIES)
def test_row_balanced_rows_differ_by_at_most_one_block(m, k, density):
    pattern = BlockPattern.random((m, k), density=density, block_size=2, kind="row_balanced")
    per_row = np.diff(pattern.row_offsets())
    assert per_row.max() - per_row.min() <= 1


@pytest.mark.parametrize(("mb", "kb"), [(64, 64), (40, 100), (100, 40)])
@pytest.mark.parametrize("density", [0.001, 0.1, 0.5])
def test_banded_blocks_lie_near_the_scaled_diagonal(mb, kb, density):
    pattern = BlockPattern.random((mb, kb), density=density, block_size=1, kind="banded")
    reach = np.abs(pattern.cols - pattern.rows * kb / mb)
    assert reach.max(initial=0.0) <= max(1, density * kb) + 1e-9


def share(pattern, inside):
    return float(np.count_nonzero(inside)) / pattern.nnz_blocks


def test_few_draws_follow_the_formulas():
    """At density 1/1000 almost no draw is rejected, so shares are those of a single draw."""
    skewed = random_pattern("row_skew", side=2048, density=0.001)
    assert share(skewed, skewed.rows < 512) == pytest.approx(0.25 ** (2 / 3), abs=0.03)
    skewed = random_pattern("col_skew", side=2048, density=0.001)
    assert share(skewed, skewed.cols < 512) == pytest.approx(0.25 ** (2 / 3), abs=0.03)
    assert share(skewed, skewed.rows < 512) == pytest.approx(0.25, abs=0.03)
    hot = random_pattern("hot_corner", side=2048, density=0.001)
    assert share(hot, (hot.rows < 512) & (hot.cols < 512)) == pytest.approx(0.5 + 0.5 / 16, abs=0.03)
    uniform = random_pattern("uniform", side=2048, density=0.001)
    assert share(uniform, uniform.rows < 512) == pytest.approx(0.25, abs=0.03)


def test_power_law_rows_follow_the_weights_in_a_shuffled_order():
    pattern = random_pattern("power_law", side=2048, density=0.001)
    per_row = np.diff(pattern.row_offsets())
    weights = np.arange(1, 2049) ** -0.8
    heaviest = np.sort(per_row)[::-1][:64].sum()
    assert heaviest / pattern.nnz_blocks == pytest.approx(weights[:64].sum() / weights.sum(), abs=0.03)
    assert not np.array_equal(np.argsort(-per_row, kind="stable")[:8], np.arange(8))


@pytest.mark.parametrize("kind", ["row_skew", "col_skew", "hot_corner", "power_law"])
def test_keys_and_rejection_have_the_same_distribution(kind, monkeypatch):
    """Mean number of blocks per row and column of a 20 x 20 grid, over 400 seeds, one way and the other."""

    def means():
        total = sum(random_pattern(kind, side=20, density=0.2, seed=seed).to_mask().astype(int) for seed in range(400))
        rows, cols = np.sort(total.sum(axis=1)) / 400, total.sum(axis=0) / 400
        return np.concatenate([rows, cols])

    by_rejection = means()
    monkeypatch.setattr(pattern_kinds, "_KEYS_ABOVE", 0.0)
    assert np.abs(means() - by_rejection).max() < 0.5


@pytest.mark.parametrize(
    ("density", "text"),
    [
        (0, "density must lie in (0, 1], got 0"),
        (1.5, "density must lie in (0, 1], got 1.5"),
        (Fraction(-1, 2), "density must lie in (0, 1], got -1/2"),
        (float("nan"), "density must lie in (0, 1], got nan"),
        ("1/16", "density must be a number in (0, 1], got '1/16'"),
        (True, "density must be a number in (0, 1], got True"),
    ],
)
def test_bad_densities_are_named(density, text):
    with pytest.raises(PatternError, match=re.escape(text)):
        random_pattern("uniform", density=density)


def test_an_unknown_kind_lists_the_kinds():
    text = f"unknown kind of pattern 'diagonal': expected one of {', '.join(KINDS)}"
    with pytest.raises(PatternError, match=text):
        random_pattern("diagonal")


def test_a_region_that_is_too_small_is_refused():
    with pytest.raises(PatternError, match="cannot draw 1,001 distinct blocks from a region of 1,000"):
        pattern_kinds.distinct_uniform(1000, 1001, np.random.Generator(np.random.PCG64(0)))
