"""Partitions: divisions of n, and what makes a cut or a partition wrong."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popsparse_planner.errors import PlanError
from popsparse_planner.partition import Cut, Partition, even_bounds
from popsparse_planner.problem import Problem, column_grain
from popsparse_planner.static.choices import pass_bounds


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 2, 4]))
def test_even_bounds_differ_by_at_most_one_grain(grains, parts, grain):
    parts = min(parts, grains)
    sizes = np.diff(even_bounds(grains * grain, parts, grain))
    assert sizes.sum() == grains * grain and len(sizes) == parts and np.all(sizes % grain == 0)
    assert sizes.max() - sizes.min() <= grain and np.all(np.diff(sizes) <= 0)


def test_even_bounds_by_hand():
    assert even_bounds(20, 3, 4).tolist() == [0, 8, 16, 20]
    assert even_bounds(7, 1).tolist() == [0, 7]


@pytest.mark.parametrize("parts", [0, 6])
def test_even_bounds_refuse_empty_parts(parts):
    with pytest.raises(PlanError, match=f"20 columns in grains of 4 cannot be cut into {parts} parts") as caught:
        even_bounds(20, parts, 4)
    assert caught.value.parts == parts


@given(st.integers(1, 300), st.sampled_from(["float16", "float32"]), st.integers(1, 40), st.integers(1, 20))
def test_passes_cover_n_once_and_none_is_wider_than_the_first(n, dtype, passes, parts):
    problem = Problem(8, 8, n, 4, dtype, dtype)
    grain = column_grain(dtype)
    passes = min(passes, problem.n_padded // grain)
    parts = min(parts, -(-problem.n_padded // grain // passes))
    bounds = pass_bounds(problem, passes, parts)
    assert bounds[0, 0] == 0 and bounds[-1, -1] == problem.n_padded and bounds.shape[1] == parts + 1
    assert np.array_equal(bounds[1:, 0], bounds[:-1, -1]) and len(bounds) <= passes
    widths = np.diff(bounds, axis=1)
    assert np.all(widths >= 0) and np.all(widths % grain == 0) and widths.max() == widths[0].max()


def cut(**changes):
    return Cut(**{"block_order": [0, 1, 2], "run_offsets": [0, 2, 3], "run_band": [0, 1], **changes})


def test_a_cut_counts_runs_and_bands():
    assert cut().num_runs == 2 and cut().num_bands == 2
    assert cut(run_offsets=[0, 0, 3]).num_runs == 2, "a run may be empty"
    none = Cut([], [0], [])
    assert none.num_runs == 0 and none.num_bands == 0


def test_cuts_and_partitions_are_read_only():
    partition = whole()
    for array in (partition.cuts[0].block_order, partition.part_first_tile, partition.n_bounds):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("offsets", [[1, 2, 3], [0, 2, 4], [0, 3, 2, 3]])
def test_run_offsets_must_cover_the_blocks(offsets):
    with pytest.raises(PlanError, match="run offsets must rise from 0 to 3 blocks"):
        cut(run_offsets=offsets, run_band=[0] * (len(offsets) - 1))


def test_every_run_needs_a_band():
    with pytest.raises(PlanError, match="2 runs need as many bands, got 1"):
        cut(run_band=[0])


def whole(**changes):
    fields = {"cuts": (cut(),), "part_cut": [0, 0], "part_first_tile": [0, 2], "n_bounds": [[0, 8, 16], [16, 24, 24]]}
    return Partition(**{**fields, **changes})


def test_a_partition_knows_its_parts_passes_and_widest_columns():
    partition = whole()
    assert (partition.num_parts, partition.num_passes, partition.part_columns.tolist()) == (2, 2, [8, 8])


@pytest.mark.parametrize("changes", [{"values": "nowhere"}, {"reduce_at": "nowhere"}])
def test_unknown_places_are_refused(changes):
    with pytest.raises(PlanError, match=re.escape("unknown placement") + ".*'nowhere'"):
        whole(**changes)


@pytest.mark.parametrize("bounds", [[0, 8, 16], [[0, 16]]])
def test_bounds_must_fit_the_parts(bounds):
    with pytest.raises(PlanError, match=r"n_bounds of shape \(.*\) do not fit 2 parts of n"):
        whole(n_bounds=bounds)
