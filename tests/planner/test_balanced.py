"""The balanced search: its space of choices, its closed form, and how it goes on from one choice to the next."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from static_cases import TILES, patterns, problems, small_target

from popsparse_planner import BlockPattern, PlanOptions, load_target
from popsparse_planner.problem import Problem
from popsparse_planner.static.balanced import BalancedSearch
from popsparse_planner.static.choices import Choice, ChoiceSpace
from popsparse_planner.static.cuts import CUT_KINDS
from popsparse_planner.static.evaluate import StaticModel


@st.composite
def spaces(draw):
    pattern = draw(patterns())
    return ChoiceSpace(pattern, draw(problems(pattern)), small_target())


@settings(max_examples=25)
@given(spaces(), st.integers(1, 3))
def test_choices_are_ranked_by_finite_cycles_and_bytes(space, passes):
    ranked = space.ranked(passes)
    assert {one.choice.cut for one in ranked} == set(CUT_KINDS)
    assert all(math.isfinite(one.cycles) and one.cycles > 0 and one.num_bytes > 0 for one in ranked)
    assert len({one.choice for one in ranked}) == len(ranked)
    keys = [(one.num_bytes > space.target.tile_bytes, one.cycles) for one in ranked]
    assert keys == sorted(keys)


@settings(max_examples=25)
@given(spaces(), st.data())
def test_every_choice_and_neighbour_is_a_partition(space, data):
    choice = data.draw(st.sampled_from(space.ranked(1))).choice
    for one in [choice, *space.neighbours(choice)]:
        assert one.parts * one.bands <= TILES and one.reduce_at == "home"
        partition = space.partition(one)
        assert partition.num_parts == one.parts and partition.qk <= one.bands
        tiles = partition.part_first_tile[-1] + partition.cuts[0].num_runs
        assert tiles <= TILES and partition.qm <= TILES // one.parts


def test_neighbours_differ_in_one_respect():
    space = ChoiceSpace(
        BlockPattern.random((512, 512), density=0.3, block_size=4), Problem(512, 512, 64, 4), small_target()
    )
    choice = Choice(4, 3, "rows", reduce_at="sources")
    for other in space.neighbours(choice):
        changed = [
            name for name in ("parts", "bands", "cut", "passes") if getattr(other, name) != getattr(choice, name)
        ]
        assert len(changed) == 1 and other.reduce_at == "home"
    assert 1 in {other.bands for other in space.neighbours(choice)}, "one band needs no sums"


def test_choices_have_names_for_reports():
    assert Choice(4, 3).name == "4 parts of n, 3 bands of k, even runs"
    assert Choice(1, 1, "packed", 5, "sources").name.endswith("packed runs, 5 passes")


@pytest.mark.parametrize("block_size", [1, 16])
def test_the_closed_form_is_near_on_uniform_patterns(block_size):
    side = 2048 if block_size > 1 else 1024
    pattern = BlockPattern.random((side, side), density=1 / 8, block_size=block_size, seed=1)
    problem, target = Problem(side, side, 64, block_size), load_target("bow")
    space, model = ChoiceSpace(pattern, problem, target), StaticModel(pattern, problem, target)
    cycles, sizes = [], []
    for one in space.ranked(1)[:80:4]:
        partition = space.partition(one.choice)
        found = model.evaluate(partition, exact=False)
        every_choice = model._layout_cost(partition).total_cycles + target.model["call_cycles"]
        cycles.append((found.cost.total_cycles - every_choice) / one.cycles)
        sizes.append(found.memory.peak_bytes / one.num_bytes)
    assert 0.9 < np.median(cycles) < 1.25 and min(cycles) > 0.8 and max(cycles) < 1.6
    assert 0.9 < np.median(sizes) < 1.25 and min(sizes) > 0.8 and max(sizes) < 1.7


def searched(pattern, n=32, **target):
    search = BalancedSearch(
        pattern, Problem(*pattern.shape, n, pattern.block_size), small_target(**target), PlanOptions()
    )
    return search, search.run()


def test_nothing_is_evaluated_twice():
    pattern = BlockPattern.random((200, 200), density=0.3, block_size=8, seed=1)
    search, results = searched(pattern)
    contents = {
        (
            one.partition.cuts[0].block_order.tobytes(),
            one.partition.cuts[0].run_offsets.tobytes(),
            one.partition.n_bounds.tobytes(),
            one.partition.reduce_at,
        )
        for one in results
    }
    assert len(contents) == len(results) == len(search.tried)


def test_results_come_best_first_and_carry_their_estimates():
    _, results = searched(BlockPattern.random((200, 200), density=0.3, block_size=8, seed=1))
    assert [one.rank for one in results] == sorted(one.rank for one in results)
    assert results[0].evaluation.fits and results[0].estimated_cycles is not None
    assert all(one.estimated_cycles is None or math.isfinite(one.estimated_cycles) for one in results)


def test_what_cannot_fit_is_not_searched():
    """X and Y alone overfill the tiles: one candidate says by how much."""
    _, results = searched(
        BlockPattern.random((640, 640), density=0.3, block_size=16, seed=1), n=4096, tile_bytes=100_000
    )
    assert len(results) == 1 and not results[0].evaluation.fits


def test_a_first_fit_is_found_without_a_search():
    pattern = BlockPattern.random((200, 200), density=0.3, block_size=8, seed=1)
    problem = Problem(200, 200, 64, 8)
    search = BalancedSearch(pattern, problem, small_target(tile_bytes=21_000), PlanOptions())
    found = search.first_fit()
    assert found.evaluation.memory.peak_bytes <= 21_000 and len(search.tried) < 20
    tiny = BalancedSearch(pattern, problem, small_target(tile_bytes=12_500), PlanOptions())
    assert tiny.first_fit() is None


def test_the_search_does_not_depend_on_the_order_of_sets():
    pattern = BlockPattern.random((200, 200), density=0.3, block_size=8, seed=1)
    names = [[one.name for one in searched(pattern)[1]] for _ in range(2)]
    assert names[0] == names[1]


def test_an_uneven_pattern_is_balanced():
    """The fullest tile of a skewed pattern multiplies at most a quarter longer than the mean."""
    pattern = BlockPattern.random((1024, 1024), density=0.1, block_size=8, seed=1, kind="power_law")
    _, results = searched(pattern, 64)
    cycles = results[0].evaluation.dot_cycles
    assert cycles.max() <= 1.25 * np.mean(cycles[cycles > 0])
