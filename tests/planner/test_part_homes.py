"""X and Y kept with their parts of n: every element once, sums dealt evenly, and what that saves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from static_cases import TILES, Touched, small_target, static_cases

from popsparse_planner.codelet_cycles import reduce_grain
from popsparse_planner.errors import PlanError
from popsparse_planner.partition import Partition
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
