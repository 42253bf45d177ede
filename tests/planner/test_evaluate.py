"""The cost and memory of a partition: parts that add up, and every tile's work recomputed run by run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from static_cases import TILES, Touched, patterns, small_target, static_cases, two_cuts

from popsparse_planner.codelet_cycles import block_vertex_cycles
from popsparse_planner.cost import PARTS
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem
from popsparse_planner.static.choices import Choice, ChoiceSpace
from popsparse_planner.static.evaluate import StaticModel, single_rows_span
from popsparse_planner.static.field_limits import field_overflow
from popsparse_planner.static.work import cut_work


@given(static_cases())
def test_the_cost_is_the_sum_of_its_steps(case):
    pattern, problem, partition = case
    target = small_target()
    found = StaticModel(pattern, problem, target).evaluate(partition)
    by_kind = dict.fromkeys(("compute", "exchange", "reduce"), 0.0)
    for step in found.steps:
        by_kind[step.kind] += step.cycles * step.repeats
    for kind, cycles in by_kind.items():
        assert getattr(found.cost, f"{kind}_cycles") == pytest.approx(cycles)
    assert found.cost.sync_cycles == target.model["sync_cycles"] * sum(step.repeats for step in found.steps)
    assert all(getattr(found.cost, part) >= 0 for part in PARTS)
    assert found.fits == (found.memory.peak_bytes <= target.tile_bytes and found.overflow is None)


@given(static_cases())
def test_steps_follow_each_other_as_data_flows(case):
    pattern, problem, partition = case
    once = replace(partition, n_bounds=partition.n_bounds[:1])
    names = [step.name for step in StaticModel(pattern, problem, small_target()).evaluate(once).steps]
    flow = ["gather", "dot", "cast", "partials", "reduce", "move"]
    assert names == [name for name in flow if name in names] and "dot" in names


@given(static_cases())
def test_dot_cycles_of_blocks_are_those_of_each_run(case):
    pattern, problem, partition = case
    assume(problem.block_size > 1)
    model, bounds = StaticModel(pattern, problem, small_target()), partition.n_bounds[0]
    expected = [0] * TILES
    kind = (problem.dtype, problem.partials_dtype, problem.block_size)
    for tile, start, stop, rows, _, blocks in Touched(pattern, problem, partition, bounds).runs():
        if len(blocks):
            expected[tile] = int(block_vertex_cycles(*kind, -(-(stop - start) // 6), len(rows), len(blocks)))
    assert model.dot_cycles(partition, model.works(partition), bounds).tolist() == expected


@given(patterns())
def test_memory_holds_what_a_single_tile_needs(pattern):
    """One tile, one part, one pass: every buffer by hand; where Y is kept, products are written straight to it."""
    problem = Problem(*pattern.shape, 8, pattern.block_size, "float16", "float16")
    target = small_target(tiles=1)
    kept = ChoiceSpace(pattern, problem, target).partition(Choice(1, 1))
    partition = replace(kept, homes="linear")
    written = StaticModel(pattern, problem, target).evaluate(kept).memory.of_tile(0)
    assert "partials" not in written or written["partials"] == 0
    of_tile = StaticModel(pattern, problem, target).evaluate(partition).memory.of_tile(0)
    b, rows, cols = problem.block_size, set(pattern.rows.tolist()), set(pattern.cols.tolist())
    mb, kb = pattern.block_grid
    assert of_tile["input"] == kb * b * 8 * 2 and of_tile["output"] == mb * b * 8 * 2
    assert of_tile["values"] == -(-pattern.nnz * 2 // 8) * 8
    entries = 48 + len(rows) + pattern.nnz_blocks if b == 1 else 13 + 2 * len(rows) + pattern.nnz_blocks
    assert of_tile["constants"] == (-(-2 * entries // 8) * 8 if pattern.nnz_blocks else 0)
    if pattern.nnz_blocks:
        assert of_tile["x_slices"] == len(cols) * b * 8 * 2 and of_tile["partials"] == len(rows) * b * 8 * 2


@given(static_cases())
def test_blocks_need_no_second_look(case):
    pattern, problem, partition = case
    model = StaticModel(pattern, problem, small_target())
    exact, quick = (model.evaluate(partition, exact=exact) for exact in (True, False))
    if problem.block_size > 1:
        assert exact.cost == quick.cost and exact.memory.to_dict() == quick.memory.to_dict()
    else:
        assert quick.cost.total_cycles == pytest.approx(exact.cost.total_cycles, rel=0.25)


@given(static_cases())
def test_rows_that_are_cast_reach_from_the_first_lone_row_to_the_last(case):
    work = cut_work(case[0], case[2].cuts[0])
    for run, span in enumerate(single_rows_span(work)):
        alone = np.flatnonzero(work.entry_sources[work.entry_offsets[run] : work.entry_offsets[run + 1]] == 1)
        assert span == (alone[-1] - alone[0] + 1 if len(alone) else 0)


def test_a_model_keeps_works_until_told_to_forget():
    pattern = BlockPattern.random((64, 64), density=0.3, block_size=4, seed=0)
    problem = Problem(64, 64, 16, 4)
    model, partition = StaticModel(pattern, problem, small_target()), two_cuts(pattern, problem)
    first = model.works(partition)
    assert all(a is b for a, b in zip(first, model.works(partition)))
    model.forget()
    assert first[0] is not model.works(partition)[0]
    assert model.evaluate(partition).cost == StaticModel(pattern, problem, small_target()).evaluate(partition).cost


def overflow_of(block_size, shape, n, **pattern):
    target = small_target(tiles=1, tile_bytes=2**40)
    made = BlockPattern.from_indices(**pattern, shape=shape, block_size=block_size)
    problem = Problem(*shape, n, block_size, "float16", "float16")
    partition = ChoiceSpace(made, problem, target).partition(Choice(1, 1))
    return field_overflow(problem, partition, (cut_work(made, partition.cuts[0]),))


def test_every_16_bit_field_is_checked():
    long_row = {"rows": np.zeros(70000, dtype=int), "cols": np.arange(70000)}
    assert "blocks of a row is 70,000, a 16-bit field holds 65,535" in overflow_of(1, (1, 70000), 4, **long_row)
    tall = {"rows": np.arange(70000), "cols": np.zeros(70000, dtype=int)}
    assert "rows of a tile is 70,000" in overflow_of(1, (70000, 1), 4, **tall)
    wide = {"rows": np.arange(70000) % 7, "cols": np.arange(70000)}
    assert "block columns of a tile is 70,000" in overflow_of(1, (7, 70000), 4, **wide)
    assert "columns of a tile is 70,000" in overflow_of(4, (4, 4), 70000, rows=[0], cols=[0])
    corner = {"rows": [0] * 40, "cols": list(range(40))}
    message = overflow_of(1, (1, 40), 8000, **corner)
    assert "offset into the slice of X (2-byte elements, 8-byte units) is 78,000" in message
    assert overflow_of(1, (1, 40), 6000, **corner) is None
