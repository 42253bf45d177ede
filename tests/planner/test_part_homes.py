"""X and Y kept with their parts of n: every element once, sums dealt evenly, and what that saves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from static_cases import TILES, Touched, small_target, static_cases

from popsparse_planner.codelet_cycles import reduce_grain
from popsparse_planner.errors import PlanError
from popsparse_planner.partition import Cut, Partition
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem
from popsparse_planner.static import part_homes
from popsparse_planner.static.choices import Choice, ChoiceSpace
from popsparse_planner.static.evaluate import StaticModel
from popsparse_planner.static.pieces import dealt_pieces, shared_pieces


@given(static_cases(homes=("parts",)))
def test_every_element_lives_on_one_tile(case):
    pattern, problem, partition = case
    sizes = np.zeros(2)
    for bounds in partition.n_bounds:
        works = Touched(pattern, problem, partition, bounds).works
        sizes += [held.sum() for held in part_homes.held_elements(problem, partition, works, bounds, TILES)]
    mb, kb = problem.block_grid
    assert sizes.tolist() == [kb * problem.n_padded * problem.block_size, mb * problem.n_padded * problem.block_size]


@given(static_cases())
def test_dealt_pieces_divide_a_row_without_rest(case):
    pattern, problem, partition = case
    work, columns = Touched(pattern, problem, partition, partition.n_bounds[0]).works[0], int(partition.part_columns[0])
    entry, first, length = dealt_pieces(work, columns, problem)
    row = work.entry_row[entry]
    assert set(row.tolist()) == set(np.flatnonzero(work.row_sources > 1).tolist())
    assert not np.any(first % reduce_grain(problem.partials_dtype)) and np.all(length > 0)
    assert len(set(zip(row.tolist(), work.entry_run[entry].tolist()))) == len(entry), (
        "a source takes one piece of a row"
    )
    for one in np.unique(row):
        covered = sorted(a for at in np.flatnonzero(row == one) for a in range(first[at], first[at] + length[at]))
        assert covered == list(range(columns * problem.block_size))


@pytest.mark.parametrize(("block_size", "n"), [(1, 64), (4, 64)])
def test_dealt_sums_are_more_even_than_shared_ones(block_size, n):
    """Grains of the busiest tile, in which a short one counts as a whole."""
    side = 1024
    pattern = BlockPattern.random((side, side), density=1 / 8, block_size=block_size, seed=1)
    problem, target = Problem(side, side, n, block_size, "float16", "float16"), small_target(tiles=256)
    partition = ChoiceSpace(pattern, problem, target).partition(Choice(1, 8, "packed"))
    (work,) = StaticModel(pattern, problem, target).works(partition)
    grains = []
    for pieces in (dealt_pieces, shared_pieces):
        entry, _, length = pieces(work, n, problem)
        grains.append(np.bincount(work.entry_run[entry], weights=-(-length // reduce_grain("float16"))).max())
    assert grains[0] <= grains[1] and grains[0] <= 1.35 * side * n / 8 / 256


def test_a_pair_takes_the_columns_of_both_in_one_stream():
    pattern = BlockPattern.random((1024, 1024), density=1 / 8, block_size=8, seed=1)
    problem, target = Problem(1024, 1024, 64, 8, "float16", "float16"), small_target(tiles=64)
    partition = ChoiceSpace(pattern, problem, target).partition(Choice(1, 4, "packed"))
    alone = replace(partition, paired=False)
    model = StaticModel(pattern, problem, target)
    (both,), (one,) = model.works(partition), model.works(alone)
    mine = np.zeros((2, one.cut.num_runs, 128), dtype=bool)
    for table, work in zip(mine, (both, one)):
        table[work.cols_in_run] = True
    assert np.array_equal(mine[0][0::2], mine[1][0::2] | mine[1][1::2]) and np.array_equal(mine[0][0::2], mine[0][1::2])
    gather = [model.evaluate(each).steps[0].cycles for each in (partition, alone)]
    assert partition.paired and gather[0] < 0.6 * gather[1]


def test_pairs_start_at_an_even_tile_and_are_whole():
    odd = Cut(np.zeros(0), np.zeros(2), np.zeros(1))
    for cuts, first_tile in (((), 1), ((odd,), 0)):
        with pytest.raises(PlanError, match="every part must start at an even tile and have an even number of runs"):
            Partition(cuts, [0], [first_tile], np.array([[0, 4]]), paired=True)


@given(static_cases(homes=("parts",)))
def test_nothing_moves_home(case):
    pattern, problem, partition = case
    model = StaticModel(pattern, problem, small_target())
    found = model.evaluate(partition)
    names = {step.name for step in found.steps}
    assert "move" not in names
    if part_homes.in_place(partition, model.works(partition)):
        assert not names & {"partials", "reduce"}
    linear = model.evaluate(replace(partition, homes="linear"))
    assert found.cost.sync_cycles <= linear.cost.sync_cycles and found.cost.other_cycles <= linear.cost.other_cycles


def test_y_cannot_stay_where_it_is_not_summed():
    bounds = np.array([[0, 4]])
    with pytest.raises(PlanError, match="Y that lives on the tiles that sum it needs reduce_at 'sources'"):
        Partition((), [0], [0], bounds, homes="parts")
    with pytest.raises(PlanError, match="unknown homes of X and Y 'rows': expected one of linear, parts"):
        Partition((), [0], [0], bounds, homes="rows")
