"""Neighbouring blocks multiplied as one larger block: what is merged, when the search does it, and what is reported."""

import json

import numpy as np
import pytest
from hypothesis import given
from static_cases import patterns, small_target

from popsparse_planner import BlockPattern, PlanOptions, plan_static
from popsparse_planner.problem import Problem
from popsparse_planner.static.merged import larger_sizes, merged
from popsparse_planner.static.sizes import cheapest_size


@given(patterns(block_sizes=(1, 4, 8)))
def test_merged_blocks_hold_every_block_and_no_empty_one(pattern):
    for size in larger_sizes(pattern.block_size):
        found, ratio = merged(pattern, size), size // pattern.block_size
        assert found.pattern.shape == pattern.shape and found.pattern.block_size == size
        cells = set(zip((pattern.rows // ratio).tolist(), (pattern.cols // ratio).tolist()))
        assert set(zip(found.pattern.rows.tolist(), found.pattern.cols.tolist())) == cells
        assert np.array_equal(found.pattern.rows[found.holder], pattern.rows // ratio)
        assert np.array_equal(found.pattern.cols[found.holder], pattern.cols // ratio)


def test_the_own_size_is_no_merge():
    pattern = BlockPattern.random((64, 64), density=0.3, block_size=4, seed=1)
    for size in (0, 4):
        found = merged(pattern, size)
        assert found.pattern is pattern and found.holder.tolist() == list(range(pattern.nnz_blocks))


@pytest.mark.parametrize(("block_size", "density", "size"), [(1, 1 / 4, 16), (1, 1 / 32, 0), (8, 1 / 32, 0)])
def test_blocks_are_merged_where_zeros_cost_less_than_the_matrix_unit_gains(block_size, density, size):
    pattern = BlockPattern.random((512, 512), density=density, block_size=block_size, seed=1)
    own, free = (
        plan_static(pattern, 128, partials_dtype="float16", target=small_target(tiles=64), options=options)
        for options in (PlanOptions(without=("merged blocks",)), PlanOptions())
    )
    assert own.partition.block_size == 0 and free.partition.block_size == size
    assert free.cost.total_cycles <= own.cost.total_cycles and (size == 0) == (free.cost == own.cost)
    chosen = cheapest_size(pattern, Problem(512, 512, 128, block_size, "float16", "float16"), small_target(tiles=64))
    assert chosen[1].block_size == chosen[0].block_size == (size or block_size)


def test_a_merged_plan_reports_the_pattern_it_was_given():
    pattern = BlockPattern.random((256, 256), density=1 / 4, block_size=1, seed=1)
    plan = plan_static(pattern, 64, target=small_target(tiles=16), partials_dtype="float16")
    assert plan.partition.block_size == 16 and plan.problem.block_size == 1
    assert plan.tile_blocks.sum() == pattern.nnz * plan.partition.num_parts
    assert plan.flops == 2 * pattern.nnz * 64
    assert "merged to blocks of 16" in plan.candidates[0].name
    mask = json.loads(plan.report().to_json())["partition"]["mask"]
    assert sum(mask["blocks"]) == pattern.nnz and max(mask["tile"]) < 16
    assert type(plan).from_json(plan.to_json()) == plan
