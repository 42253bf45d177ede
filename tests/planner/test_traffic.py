"""Bytes and pieces of every exchange, compared with a simulation that moves single elements."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from static_cases import TILES, Touched, per_tile, small_target, static_cases, two_cuts

from popsparse_planner.layout import LinearLayout, value_layout, y_layout
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem, column_grain, item_bytes
from popsparse_planner.static import traffic
from popsparse_planner.static.evaluate import StaticModel
from popsparse_planner.static.pieces import shared_pieces
from popsparse_planner.static.traffic import Segments, Traffic


def passes_of(case):
    """The element-wise simulation of every pass of a case."""
    pattern, problem, partition = case
    return [Touched(pattern, problem, partition, bounds) for bounds in partition.n_bounds]


def mixed_case(dtype="float16", n=24):
    """Two parts of n on a different number of tiles."""
    pattern = BlockPattern.random((60, 44), density=0.4, block_size=4, seed=2)
    problem = Problem(60, 44, n, 4, dtype, dtype)
    return pattern, problem, two_cuts(pattern, problem)


@given(static_cases())
def test_slices_of_x_element_by_element(case):
    check_gather(case)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_slices_of_x_with_two_cuts(dtype):
    check_gather(mixed_case(dtype))


def check_gather(case):
    _, problem, partition = case
    size = item_bytes(problem.dtype)
    for touched in passes_of(case):
        found = traffic.gather_x(problem, partition, touched.works, touched.bounds, touched.x_home, TILES)
        received, local, sent, pieces = touched.gather()
        assert found.received.tolist() == [size * count for count in per_tile(received)]
        assert found.local.tolist() == [size * count for count in per_tile(local)]
        assert found.sent.tolist() == [size * count for count in per_tile(sent)]
        assert found.fragments.tolist() == per_tile(pieces)


@given(static_cases())
def test_values_element_by_element(case):
    pattern, problem, partition = case
    elements, home = problem.block_size**2, value_layout(problem, pattern.nnz_blocks, TILES)
    for touched in passes_of(case):
        received, local, pieces, leaving = Counter(), Counter(), Counter(), set()
        for part, cut_index in enumerate(partition.part_cut):
            cut = partition.cuts[cut_index]
            for run in range(cut.num_runs):
                tile = int(partition.part_first_tile[part]) + run
                wanted = range(int(cut.run_offsets[run]) * elements, int(cut.run_offsets[run + 1]) * elements)
                homes = [address // home.per_tile for address in wanted]
                pieces[tile] += len(set(homes))
                local[tile] += homes.count(tile)
                received[tile] += len(homes) - homes.count(tile)
                leaving.update(address for address in wanted if address // home.per_tile != tile)
        size = item_bytes(problem.dtype)
        found = traffic.broadcast_values(problem, partition, touched.works, home, TILES)
        assert found.received.tolist() == [size * count for count in per_tile(received)]
        assert found.local.tolist() == [size * count for count in per_tile(local)]
        assert found.fragments.tolist() == per_tile(pieces)
        most = Counter(address // home.per_tile for address in leaving)
        assert all(sent >= size * count for sent, count in zip(found.sent, per_tile(most)))


@given(static_cases(homes=("linear",)))
def test_every_element_of_a_pass_has_its_number_of_sources(case):
    for touched in passes_of(case):
        found = traffic.output_segments(case[1], case[2], touched.works, touched.bounds)
        counted = {}
        for start, length, sources in zip(found.start, found.length, found.sources):
            counted.update(dict.fromkeys(range(start, start + length), sources))
        assert np.all(np.diff(found.start) > 0)
        assert counted == {address: len(tiles) for address, tiles in touched.partials().items()}


@given(static_cases(homes=("linear",)))
def test_what_arrives_at_the_homes_of_y_element_by_element(case):
    problem = case[1]
    home = y_layout(problem, TILES)
    for touched in passes_of(case):
        segments = traffic.output_segments(problem, case[2], touched.works, touched.bounds)
        weight = np.where(segments.sources > 1, segments.sources * 4.0, segments.sources * 2.0)
        found = traffic.delivered(segments, weight, segments.sources, home, TILES)
        received, pieces = Counter(), Counter()
        for start, length, sources in zip(segments.start, segments.length, segments.sources):
            homes = [address // home.per_tile for address in range(start, start + length)]
            for tile in set(homes):
                pieces[tile] += sources
                received[tile] += homes.count(tile) * sources * (4 if sources > 1 else 2)
        assert found.received.tolist() == per_tile(received)
        assert found.fragments.tolist() == [pieces[tile] if received[tile] else 0 for tile in range(TILES)]


@given(static_cases(homes=("linear",)))
def test_rows_that_leave_their_tiles_element_by_element(case):
    problem = case[1]
    bytes_of = np.array([0.0, 2.0, 4.0])
    for touched in passes_of(case):
        home = touched.y_home
        sent, local = Counter(), Counter()
        for address, tiles in touched.partials().items():
            for tile in tiles:
                (local if address // home.per_tile == tile else sent)[tile] += 4 if len(tiles) > 1 else 2
        found = traffic.leaving_rows(problem, case[2], touched.works, touched.bounds, home, TILES, bytes_of)
        assert found[0].tolist() == per_tile(sent) and found[1].tolist() == per_tile(local)


@given(static_cases(homes=("linear",)))
def test_segments_are_cut_at_the_borders_of_homes(case):
    problem = case[1]
    for touched in passes_of(case):
        home = touched.y_home
        segments = traffic.output_segments(problem, case[2], touched.works, touched.bounds)
        pieces = []
        for start, length, sources in zip(segments.start, segments.length, segments.sources):
            homes = [address // home.per_tile for address in range(start, start + length)]
            pieces += [(tile, homes.count(tile), sources) for tile in sorted(set(homes))]
        assert list(zip(*(column.tolist() for column in traffic.split_at_homes(segments, home)))) == pieces


@given(static_cases(homes=("linear",)))
def test_sources_of_a_row_divide_it_without_rest(case):
    _, problem, partition = case
    touched = passes_of(case)[0]
    work, columns = touched.works[0], int(partition.part_columns[0])
    entry, first, length = shared_pieces(work, columns, problem)
    assert entry.tolist() == np.flatnonzero(work.entry_sources > 1).tolist()
    assert not np.any(first % column_grain(problem.dtype)) and not np.any(length % column_grain(problem.dtype))
    for row in np.unique(work.entry_row[entry]):
        mine = np.flatnonzero(work.entry_row[entry] == row)
        covered = sorted(address for at in mine for address in range(first[at], first[at] + length[at]))
        assert covered == list(range(columns * problem.block_size))
        assert length[mine].max() - length[mine].min() <= column_grain(problem.dtype)


@given(static_cases(homes=("linear",)))
def test_what_is_summed_at_sources_arrives_there_and_goes_home(case):
    """Sums at the sources: each piece gets the partials of the other sources, and ends at the homes of Y."""
    _, problem, partition = case
    model = StaticModel(case[0], problem, small_target())
    for touched in passes_of(case):
        step, _ = model._reduce_at_sources(partition, touched.works, touched.bounds)
        shared = {address: tiles for address, tiles in touched.partials().items() if len(tiles) > 1}
        size = item_bytes(problem.partials_dtype)
        assert step.received.sum() == step.sent.sum() == size * sum(len(tiles) - 1 for tiles in shared.values())
        assert step.local.sum() == size * len(shared)
        move = model._move_home(partition, touched.works, touched.bounds)
        assert (move.received + move.local).sum() == item_bytes(problem.dtype) * len(shared)
        assert move.received.sum() == move.sent.sum()


def test_steps_of_traffic_add_up():
    one = Traffic(*(np.array([value, 0.0]) for value in (1.0, 2.0, 3.0, 4.0)))
    both = one + one
    assert [getattr(both, name)[0] for name in ("received", "local", "sent", "fragments")] == [2.0, 4.0, 6.0, 8.0]


def test_a_worked_example_of_delivery():
    segments = Segments(np.array([0, 10]), np.array([10, 6]), np.array([1, 3]))
    found = traffic.delivered(segments, np.array([2.0, 12.0]), segments.sources, LinearLayout(16, 8), 3)
    assert found.received.tolist() == [16.0, 2 * 2.0 + 6 * 12.0, 0.0]
    assert found.fragments.tolist() == [1.0, 4.0, 0.0]
