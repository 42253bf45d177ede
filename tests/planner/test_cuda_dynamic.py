"""Plans for patterns that are encoded on the GPU: sizes that hold every pattern, and what is counted."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern, CapacityError, PlanError
from popsparse_planner.cuda_dynamic import Frame, element_sizes, most_steps, vector_sizes
from popsparse_planner.cuda_dynamic_plan import plan_cuda_dynamic, steps_by_window
from popsparse_planner.cuda_dynamic_sampled import cell_sizes
from popsparse_planner.cuda_machine import cuda_machine
from popsparse_planner.cuda_plan import plan_cuda
from popsparse_planner.cuda_sampled import cells_of, sampled_stream
from popsparse_planner.cuda_tiles import tiles
from popsparse_planner.cuda_vectors import neighbours

HOPPER, AMPERE = cuda_machine((9, 0), 232448), cuda_machine((8, 0), 166912)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Few blocks, or all at one distance, which is what takes the most steps."""
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 300))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random((rows, columns)) < draw(st.floats(0, 1))
    if draw(st.booleans()):
        mask[:] = False
        mask[:: draw(st.integers(1, 9)), :: draw(st.integers(1, 64))] = True
    return mask


@given(masks(), st.sampled_from([1, 2, 3, 4, 8, 12, 20, 24]), st.booleans(), st.sampled_from([HOPPER, AMPERE]))
@settings(deadline=None, max_examples=60)
def test_no_pattern_takes_more_steps(mask: np.ndarray, b: int, transposed: bool, machine: object) -> None:
    pattern = BlockPattern.from_mask(mask, block_size=b)
    shape = pattern.shape[::-1] if transposed else pattern.shape
    assert isinstance(machine, type(HOPPER))
    tile = tiles("vectors", b, shape[0], machine)[0]
    sizes = vector_sizes(Frame(shape, b, pattern.nnz_blocks, transposed), tile, machine)
    steps = steps_by_window(neighbours(pattern, transposed=transposed), sizes.window_rows)
    assert steps.sum() <= sizes.steps


def test_the_bound_on_steps_is_reached() -> None:
    # A block for each window of 512 rows and each group of 8 rows: a step for each.
    apart = BlockPattern.from_mask(np.arange(2048) % 512 == 0 * np.arange(8)[:, None], block_size=1)
    sizes = vector_sizes(Frame((8, 2048), 1, 4), tiles("vectors", 1, 8, HOPPER)[0], HOPPER)
    assert steps_by_window(neighbours(apart & first_row(apart)), sizes.window_rows).sum() == sizes.steps == 4
    assert most_steps(replace(sizes.grid, frame=Frame((8, 2048), 1, 8 * 2048)), 512) == 4 * 32  # all of W


def first_row(pattern: BlockPattern) -> BlockPattern:
    """The blocks of the first row of blocks."""
    mask = np.zeros(pattern.block_grid, bool)
    mask[0] = True
    return BlockPattern.from_mask(mask, block_size=pattern.block_size)


def test_dynamic_plans_count_their_encoder() -> None:
    plan = plan_cuda_dynamic((4096, 4096), 16, 4096, 4096)
    assert (plan.kernel, plan.capacity) == ("rows", 4096)
    assert plan.total_seconds == plan.product.cost.total_seconds + plan.encode_cost.total_seconds
    assert plan.encode.launches == len(plan.sizes.launches(132, 8))
    assert plan.encode_cost.total_seconds < 0.25 * plan.product.cost.total_seconds
    assert not plan.dense_is_faster
    assert f"encoded on the GPU in {plan.encode.launches} launches" in plan.explain().replace("\n", " ")
    full = plan_cuda_dynamic((4096, 4096), 16, 65536, 4096)
    assert full.dense_is_faster
    assert full.explain().endswith(": dense is faster")


@pytest.mark.parametrize(("b", "kernel"), [(1, "vectors"), (4, "vectors"), (16, "rows"), (64, "blocks")])
def test_slabs_that_are_copied_are_counted(b: int, kernel: str) -> None:
    capacity = max(1, (512 // b) ** 2 // 500)
    full = BlockPattern.random((512, 512), density=Fraction(capacity, (512 // b) ** 2), block_size=b)
    for transposed in (False, True):
        plan = plan_cuda_dynamic((512, 512), b, capacity, 100, transposed=transposed, kernel=kernel)
        count = plan.product.count
        if kernel == "vectors":
            assert count.slabs_copied == count.slabs
        else:
            assert count == plan_cuda(full, 100, transposed=transposed, kernel=kernel).count
        assert plan.sizes.grid.frame.slots == capacity


@given(masks(), st.sampled_from([1, 3, 8, 12, 16]), st.sampled_from([50000, 166912, 232448]))
@settings(deadline=None, max_examples=15)
def test_no_pattern_takes_more_blocks_of_threads_to_sample(mask: np.ndarray, b: int, shared_bytes: int) -> None:
    pattern = BlockPattern.from_mask(mask, block_size=b)
    frame = Frame(pattern.shape, b, max(1, pattern.nnz_blocks))
    for dtype in ("float16", "float32"):
        sizes, cells = cell_sizes(frame, dtype, shared_bytes), cells_of(pattern)
        assert 2 * sizes.stage_bytes <= shared_bytes
        of_bands = np.bincount(cells.rows // sizes.band_rows, minlength=sizes.bands)
        assert (-(-of_bands // sizes.at_once)).sum() <= sizes.groups


def test_sampling_reads_less_than_twice_what_host_lists_read() -> None:
    for b, density in ((16, 1 / 4), (16, 1 / 16), (16, 1 / 64), (32, 1 / 16), (8, 1 / 16)):
        pattern = BlockPattern.random((4096, 4096), density=density, block_size=b)
        there = sampled_stream(pattern, 232448)
        sizes = cell_sizes(Frame((4096, 4096), b, pattern.nnz_blocks), "float16", 232448)
        cells = cells_of(pattern)
        read = 0
        for band in range(sizes.bands):
            columns = cells.columns[cells.rows // sizes.band_rows == band]
            columns = np.sort(columns)
            parts = [columns[i : i + sizes.at_once] for i in range(0, len(columns), sizes.at_once)]
            read += sum(sizes.band_rows + len(set(part.tolist())) for part in parts)
        assert read < 2 * there.begins[2::3].sum()


def test_plans_that_cannot_be_are_refused() -> None:
    with pytest.raises(PlanError, match="encoded on the device are sampled below 2,147,483,648"):
        cell_sizes(Frame((1 << 16, 1 << 15), 1, 1 << 31), "float16", 232448)
    with pytest.raises(CapacityError, match="expected a capacity of at least 1 block, got 0"):
        plan_cuda_dynamic((64, 64), 16, 0, 8)
    with pytest.raises(PlanError, match=r"W has room for 2,147,483,648 values in .* steps of 128"):
        frame = Frame((8, 1 << 28), 1, 1 << 31)
        vector_sizes(frame, tiles("vectors", 1, 8, HOPPER)[0], HOPPER)
    with pytest.raises(PlanError, match="W has room for 4,294,967,296 values: the cuda kernels number at most"):
        element_sizes(Frame((1 << 16, 1 << 16), 16, 1 << 24), "float32")
    with pytest.raises(PlanError, match=r"W has room for 2,147,483,648 pieces of 1 x 1: expected fewer"):
        element_sizes(Frame((1 << 16, 1 << 15), 1, 1 << 31), "float32")
