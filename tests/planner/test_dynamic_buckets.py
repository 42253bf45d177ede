"""Encoding and decoding are inverses; what does not fit at home travels; what fits nowhere is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern, CapacityError, PatternError, PlanOptions, ShapeError, plan_dynamic
from popsparse_planner.bucket_layout import BucketLayout, most_operations, packet_blocks_for
from popsparse_planner.dynamic.buckets import cell_counts, check_pattern, encode_buckets
from popsparse_planner.dynamic.decode import decode_buckets
from popsparse_planner.dynamic.frame import Frame
from popsparse_planner.dynamic.propagation import (
    STOP,
    num_operations,
    num_shifts,
    operations_of,
    step_operations,
    weight_step_operations,
)
from popsparse_planner.dynamic.spills import place_blocks

KINDS = ("uniform", "row_balanced", "banded", "row_skew", "col_skew", "hot_corner", "power_law")


def layout_of(frame, block_size, capacity):
    packet = packet_blocks_for(capacity)
    return BucketLayout(block_size, "float16", capacity, frame.cell_rows, frame.qn, frame.columns, packet)


def assert_inverse(frame, layout, n_groups, pattern):
    """Every block is found again, in one slot of one bucket, from the lists alone."""
    made = encode_buckets(frame, layout, n_groups, pattern)
    rows, cols, bucket, slot = decode_buckets(frame, layout, made.lists, made.placement.displacements)
    assert np.array_equal(rows, pattern.rows)
    assert np.array_equal(cols, pattern.cols)
    assert np.array_equal(bucket, made.bucket)
    assert np.array_equal(slot, made.slot)
    assert len(np.unique(bucket * layout.capacity + slot)) == len(slot)
    assert slot.max(initial=0) < layout.capacity
    return made


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_decode_inverts_encode(data):
    block_size = data.draw(st.sampled_from((1, 4, 16)))
    grid = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    qm, qk = data.draw(st.integers(1, grid[0])), data.draw(st.integers(1, grid[1]))
    frame = Frame(grid, qm, qk, data.draw(st.integers(1, 4)), 1, 8, data.draw(st.integers(0, 3)))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random(grid) < data.draw(st.floats(0, 1))
    pattern = BlockPattern.from_mask(mask, block_size=block_size)
    fullest = int(cell_counts(frame, pattern).max())
    capacity = data.draw(st.integers(max(1, -(-pattern.nnz_blocks // frame.num_cells)), max(1, fullest)))
    n_groups = data.draw(st.sampled_from((1, 2))) if block_size == 1 else 1
    layout = layout_of(frame, block_size, capacity)
    if block_size == 1 and capacity < fullest:
        layout = replace(layout, capacity=max(capacity, -(-3 * pattern.nnz_blocks // (2 * frame.num_cells))))
    assert_inverse(frame, layout, n_groups, pattern)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("block_size", "n_groups"), [(1, 1), (1, 3), (1, 6), (4, 1), (16, 1)])
def test_capacity_filled_to_the_last_block(kind, block_size, n_groups):
    frame, side = Frame((32, 32), 4, 2, 2, 1, 48), 32 * block_size
    pattern = BlockPattern.random((side, side), density=1 / 4, block_size=block_size, kind=kind, seed=3)
    assert pattern.nnz_blocks == 8 * 32
    made = assert_inverse(frame, layout_of(frame, block_size, 32), n_groups, pattern)
    assert np.bincount(made.bucket, minlength=8).tolist() == [32] * 8


def test_worst_pattern_within_capacity_is_placed():
    """All blocks in as few cells as can hold them: most buckets serve other cells."""
    frame, capacity = Frame((64, 64), 8, 8, 1, 1, 8), 24
    rows, cols = (index.ravel() for index in np.indices(frame.grid))
    chosen = np.sort(np.argsort(frame.cell_of(rows, cols), kind="stable")[: 64 * capacity])
    pattern = BlockPattern((256, 256), 4, rows[chosen], cols[chosen])
    made = assert_inverse(frame, layout_of(frame, 4, capacity), 1, pattern)
    assert made.placement.spilled_blocks == 64 * capacity - 24 * 24
    operations = operations_of(list(made.placement.displacements), 64, weight=True)
    assert len(operations) <= most_operations(64)


def test_one_displacement_covers_spills_that_share_one():
    layout = BucketLayout(16, "float16", 10, 4, 1, 8, 4)
    counts = np.full(8, 5)
    counts[[2, 5, 7]] = 12, 13, 11
    placement = place_blocks(counts, layout)
    assert placement.displacements == (1,)
    assert placement.home.tolist() == [2, 5, 7]
    assert placement.donor.tolist() == [1, 4, 6]
    assert placement.num_blocks.tolist() == [2, 3, 1]
    assert placement.overfull_cells.tolist() == [2, 5, 7]
    assert placement.spilled_blocks == 6


def test_displacement_is_chosen_by_where_there_is_room():
    layout = BucketLayout(16, "float16", 4, 4, 1, 8, 4)
    placement = place_blocks(np.array([4, 4, 6, 0]), layout)
    assert placement.displacements == (3,)  # cell 3 is one cell behind cell 2, which is three ahead
    assert placement.donor.tolist() == [3]


def test_large_spill_takes_as_many_packets_as_it_needs():
    layout = BucketLayout(16, "float16", 10, 4, 1, 8, 2)
    placement = place_blocks(np.array([15, 0, 0, 0]), layout)
    assert placement.num_steps == 3
    assert sorted(placement.num_blocks) == [1, 2, 2]


def test_no_spill_needs_no_step():
    placement = place_blocks(np.array([3, 4]), BucketLayout(16, "float16", 4, 4, 1, 8, 1))
    assert (placement.num_steps, placement.spilled_blocks) == (0, 0)
    assert operations_of([], 2) == [STOP]


def test_operations_bring_packets_there_and_back():
    """Every list, followed bit by bit, ends at the home cell, and in grad-weight at the sender again."""
    for cells in (2, 3, 8, 21, 352):
        shifts = num_shifts(cells)
        for displacement in {1, cells // 2, cells - 1}:
            where, delivered = 0, []
            buffer = 0
            for operation in weight_step_operations(displacement, cells):
                kind, rest = divmod(operation - 1, 2 * shifts)
                bit, source = divmod(rest, 2)
                assert source == buffer
                if kind == 0:
                    where, buffer = (where + (1 << bit)) % cells, 1 - buffer
                elif kind == 1:
                    where, buffer = (where + (1 << bit)) % cells, 0
                    delivered.append(where)
                else:
                    assert where == 0
            assert delivered == [displacement % cells]
            assert (
                step_operations(displacement, cells)
                == weight_step_operations(displacement, cells)[: len(step_operations(displacement, cells))]
            )
            assert max(weight_step_operations(displacement, cells)) < num_operations(cells, with_store=True)


def test_buckets_too_small_name_the_least_that_fits():
    layout = BucketLayout(16, "float16", 4, 4, 1, 8, 1)
    with pytest.raises(
        CapacityError, match=r"20 blocks do not fit 4 buckets of 4: the fullest cell has 20; buckets of"
    ):
        place_blocks(np.array([20, 0, 0, 0]), layout)
    with pytest.raises(CapacityError) as caught:
        place_blocks(np.array([20, 0, 0, 0]), layout)
    needed = caught.value.needed_bucket_blocks
    assert place_blocks(np.array([20, 0, 0, 0]), replace(layout, capacity=needed)).spilled_blocks == 20 - needed
    with pytest.raises(CapacityError):
        place_blocks(np.array([20, 0, 0, 0]), replace(layout, capacity=needed - 1))


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        (BlockPattern.random((64, 48), density=0.1), ShapeError, r"shape \(64, 48\), the plan is for \(64, 64\)"),
        (
            BlockPattern.random((64, 64), density=0.1, block_size=8),
            PatternError,
            r"blocks of 8, the plan of 16: use reblock\(16\)",
        ),
        (
            BlockPattern.random((64, 64), density=1 / 2),
            CapacityError,
            r"has 8 blocks \(density 0.5\), the plan has room for 4 \(density 0.25\): plan with capacity_blocks=8",
        ),
    ],
)
def test_other_patterns_are_refused(pattern, error, message):
    with pytest.raises(error, match=message):
        check_pattern(pattern, (64, 64), 16, 4)


def test_uniform_patterns_at_the_planned_density_stay_at_home():
    plan = plan_dynamic(1024, 1024, 256, block_size=16, density=1 / 8)
    steps = [
        plan.explain_pattern(BlockPattern.random((1024, 1024), density=1 / 8, seed=seed)).steps for seed in range(200)
    ]
    assert sum(count > 0 for count in steps) <= 4
    assert plan.propagation_probability <= 0.005


def test_transposed_and_forward_passes_share_one_layout():
    plan = plan_dynamic(512, 256, 64, block_size=4, density=1 / 8, options=PlanOptions(grad_input=True))
    assert set(plan.pass_costs) == {"forward", "grad_input"}
    assert plan.layout.overflow(plan.frame.cell_cols) == ""
    assert "does not fit a 16-bit field" in replace(plan.layout, columns=70_000).overflow(1)
