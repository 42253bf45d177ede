"""Dynamic plans on the embedded model: any pattern on one compiled plan, all three passes, against float64."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from reference import SUMMED_PARTIALS, C, assert_close, half_spacing

import popsparse_py as ps
from popsparse_planner.dynamic_search import plan_dynamic
from popsparse_planner.errors import (
    CapacityError,
    DTypeError,
    FormatError,
    PatternError,
    PlanError,
    ProgramError,
    ShapeError,
    TileMemoryError,
)
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import PlanOptions
from popsparse_py.backends.ipu_model import IpuModelBackend
from popsparse_py.formats import BlockSparseMatrix

from .products import DTYPES, KINDS, matrix_of, operand, random_matrix, small_target

pytest.importorskip("popsparse_py._core", reason="the native core is not built")

GRADIENTS = PlanOptions(grad_input=True, grad_weight=True)
SHAPE = (100, 76)  # ragged for every block size but 1 and 4


def plan_of(shape=SHAPE, n=10, block_size=8, density=1 / 4, tiles=24, dtypes=("float16", "float32"), **changes):
    dtype, partials = dtypes
    return plan_dynamic(
        *shape,
        n,
        block_size=block_size,
        density=density,
        dtype=dtype,
        partials_dtype=partials,
        target=changes.pop("target", small_target(tiles)),
        options=changes.pop("options", GRADIENTS),
        **changes,
    )


def tight(plan):
    """The plan with buckets that its capacity fills to the last block."""
    capacity = -(-plan.capacity_blocks // plan.frame.num_cells)
    layout = replace(plan.layout, capacity=capacity, packet_blocks=max(1, capacity // 4))
    return replace(plan, draft=replace(plan.draft, layout=layout), kept={})


def compiled(plan):
    return IpuModelBackend().compile(plan)


def sampled_reference(pattern, dy, x):
    """(exact, magnitude), each (nnz_blocks, b, b): dY X^T and |dY| |X|^T at the blocks, 0 in the padding."""
    (mb, kb), b = pattern.block_grid, pattern.block_size
    found = []
    for left, right in ((dy.astype(float), x.astype(float)), (np.abs(dy.astype(float)), np.abs(x.astype(float)))):
        dense = np.zeros((mb * b, kb * b))
        dense[: dy.shape[0], : x.shape[0]] = left @ right.T
        found.append(dense.reshape(mb, b, kb, b).transpose(0, 2, 1, 3)[pattern.rows, pattern.cols])
    return found


def assert_sampled(values, pattern, dy, x, roundings=2):
    """Every gradient is a float32 sum over n, rounded to the data type where it is stored and where it travels."""
    exact, magnitude = sampled_reference(pattern, dy, x)
    dtype = values.dtype.name
    relative = C * (roundings * half_spacing(dtype) + 2 * dy.shape[1] * half_spacing("float32"))
    tiny = SUMMED_PARTIALS * float(np.nextafter(np.zeros(1, dtype), np.ones(1, dtype))[0])
    assert values.shape == exact.shape
    assert (np.abs(values.astype(float) - exact) <= relative * magnitude + tiny).all()


def assert_all_passes(kernel, w, n):
    """Forward, grad-input and grad-weight of a loaded matrix."""
    (m, k), dtype = w.shape, w.dtype
    x, dy = operand(k, n, dtype), operand(m, n, dtype, seed=2)
    dense, partials = w.to_dense(), kernel.plan.problem.partials_dtype
    assert_close(kernel.run(x).y, dense, x, partials, 1 + kernel.num_steps)
    assert_close(kernel.run_transposed(dy).y, dense.T, dy)
    assert_sampled(kernel.run_sampled(dy, x).y, w.pattern, dy, x)


@pytest.mark.parametrize("dtypes", DTYPES)
@pytest.mark.parametrize("block_size", [1, 4, 8, 16])
def test_fifty_changes_of_pattern_on_one_compiled_plan(block_size, dtypes):
    """Seven patterns of each kind at four densities, up to the last block that the plan has room for."""
    plan = tight(plan_of(block_size=block_size, dtypes=dtypes))
    kernel, programs, steps = compiled(plan), set(), set()
    for seed in range(51):
        kind = KINDS[seed % len(KINDS)]
        w = random_matrix(SHAPE, block_size, (1 + seed % 4) / 16, kind, dtypes[0], seed=seed)
        kernel.load(w)
        assert_all_passes(kernel, w, 10)
        programs.add(id(kernel.program))
        steps.add(kernel.num_steps)
    assert len(programs) == 1
    assert 0 in steps and max(steps) > 0


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("block_size", [1, 4, 8, 16])
def test_capacity_filled_to_the_last_block(block_size, dtype):
    """Every bucket is full: what one cell has too much fills the others to the last slot."""
    shape = (128, 128)
    plan = tight(plan_of(shape, 12, block_size, 1 / 4, 32, (dtype, "float32")))
    kernel, steps = compiled(plan), 0
    for kind in KINDS:
        w = random_matrix(shape, block_size, 1 / 4, kind, dtype, seed=1)
        assert w.pattern.nnz_blocks == plan.capacity_blocks
        kernel.load(w)
        steps += kernel.num_steps
        assert_all_passes(kernel, w, 12)
    assert steps > 0


def test_spills_cross_far_cells():
    """A pattern that fills few cells: packets take hops of every length."""
    plan = tight(plan_of((256, 256), 8, 8, 1 / 8, 40))
    rows, cols = (index.ravel() for index in np.indices((32, 32)))
    chosen = np.sort(np.argsort(plan.frame.cell_of(rows, cols), kind="stable")[: plan.capacity_blocks])
    w = matrix_of(BlockPattern((256, 256), 8, rows[chosen], cols[chosen]))
    kernel = compiled(plan)
    kernel.load(w)
    trace = kernel.run(operand(256, 8)).trace
    assert any(step.name.startswith("hop") for step in trace.steps)
    assert trace["propagation_steps"] == kernel.num_steps >= 8
    assert_all_passes(kernel, w, 8)


@pytest.mark.parametrize("block_size", [1, 4, 16])
def test_serial_passes_propagate_each(block_size):
    plan = plan_of((256, 192), 1024, block_size, 1 / 8, target=small_target(16, tile_bytes=180_000))
    assert plan.fits
    assert plan.frame.passes > 1
    kernel = compiled(plan)
    for kind in ("uniform", "power_law"):
        w = random_matrix((256, 192), block_size, 1 / 8, kind)
        kernel.load(w)
        x, dy = operand(192, 1024), operand(256, 1024, seed=2)
        assert_close(kernel.run(x).y, w.to_dense(), x)
        assert_close(kernel.run_transposed(dy).y, w.to_dense().T, dy)
        assert_sampled(kernel.run_sampled(dy, x).y, w.pattern, dy, x, roundings=2 + plan.frame.passes)


def test_tiles_beyond_the_columns_keep_a_share_of_the_buckets():
    """Few columns and blocks: smaller buckets need more tiles a cell than n = 64 has grains of four columns."""
    plan = plan_of((1024, 1024), 64, 16, 1 / 4, target="bow")
    assert plan.frame.qn > 16 and plan.frame.num_columns > 64
    kernel, w = compiled(plan), random_matrix((1024, 1024), 16, 1 / 4, "hot_corner")
    kernel.load(w)
    assert_all_passes(kernel, w, 64)


def test_empty_and_single_patterns_are_patterns_too():
    kernel = compiled(plan_of())
    for rows, cols in (([], []), ([3], [2]), ([12, 12], [0, 9])):
        w = matrix_of(BlockPattern.from_indices(np.array(rows, int), np.array(cols, int), shape=SHAPE, block_size=8))
        kernel.load(w)
        assert_all_passes(kernel, w, 10)


def test_same_bits_every_time_and_on_any_number_of_threads():
    w, x = random_matrix(SHAPE, 4, 1 / 4), operand(76, 10)
    results = []
    for threads in (1, 2, 2):
        kernel = IpuModelBackend(threads).compile(tight(plan_of(block_size=4)))
        kernel.load(w)
        results += [kernel.run(x).y.tobytes(), kernel.run(x).y.tobytes()]
    assert len(set(results)) == 1


def test_counted_cycles_are_near_the_planned_ones():
    for block_size, n in ((16, 256), (4, 128), (1, 128)):
        plan = plan_dynamic(512, 512, n, block_size=block_size, density=1 / 8, options=GRADIENTS)
        kernel = compiled(plan)
        kernel.load(random_matrix((512, 512), block_size, 1 / 8, seed=3))
        x, dy = operand(512, n), operand(512, n)
        for result in (kernel.run(x), kernel.run_transposed(dy), kernel.run_sampled(dy, x)):
            assert result.trace["total_cycles"] == pytest.approx(result.trace["planned_cycles"], rel=0.15)


def test_propagation_is_counted_step_by_step():
    plan = tight(plan_of((128, 128), 16, 8, 1 / 4, 16))
    kernel = compiled(plan)
    quiet, spilling = random_matrix((128, 128), 8, 1 / 64), random_matrix((128, 128), 8, 1 / 4, "power_law")
    kernel.load(quiet)
    first = kernel.run(operand(128, 16)).trace
    kernel.load(spilling)
    second = kernel.run(operand(128, 16)).trace
    forecast = plan.explain_pattern(spilling.pattern)
    assert (first["propagation_steps"], first["spilled_blocks"]) == (0, 0)
    assert second["propagation_steps"] == forecast.steps > 0
    assert second["spilled_blocks"] == forecast.spilled_blocks > 0
    assert second["sync_cycles"] > first["sync_cycles"]
    delivered = [step for step in second.steps if step.name.startswith("deliver")]
    assert delivered
    assert not [step for step in first.steps if step.name.startswith("deliver")]


def test_no_tile_holds_more_than_was_planned():
    for block_size, tiles in ((1, 40), (4, 24), (16, 64)):
        plan = plan_of((256, 192), 64, block_size, 1 / 8, tiles)
        kernel = compiled(plan)
        kernel.load(random_matrix((256, 192), block_size, 1 / 8))
        traces = [kernel.run(operand(192, 64)).trace, kernel.run_transposed(operand(256, 64)).trace]
        traces.append(kernel.run_sampled(operand(256, 64), operand(192, 64)).trace)
        assert max(trace["peak_tile_bytes"] for trace in traces) <= plan.memory.peak_bytes


# --- products by name ------------------------------------------------------------------------------------------------


def test_products_share_one_kernel_of_the_plan():
    plan = plan_of((96, 64), 8, 8, 1 / 4)
    a, b = random_matrix((96, 64), 8, 1 / 4, seed=1), random_matrix((96, 64), 8, 1 / 4, "banded", seed=2)
    x, dy = operand(64, 8), operand(96, 8)
    for w in (a, b, a):
        assert_close(ps.spmm(w, x, plan=plan), w.to_dense(), x)
        assert_close(ps.spmm(w.T, dy, plan=plan), w.to_dense().T, dy)
        assert_sampled(ps.sddmm(w.pattern, dy, x, plan=plan), w.pattern, dy, x)
    assert len(plan.kept) == 1
    a.values = np.asarray(a.values) * 2
    assert_close(ps.spmm(a, x, plan=plan), a.to_dense(), x)
    assert ps.run(plan, a, x).trace.target == "ipu_model"


def test_square_transposes_are_served_from_the_same_buckets():
    plan = plan_of((64, 64), 8, 8, 1 / 4)
    w, x = random_matrix((64, 64), 8, 1 / 4), operand(64, 8)
    assert_close(ps.spmm(w, x, plan=plan), w.to_dense(), x)
    assert_close(ps.spmm(w.T, x, plan=plan), w.to_dense().T, x)
    kernel = next(iter(plan.kept.values()))
    assert kernel._holds(w)
    plain = plan_of((64, 64), 8, 8, 1 / 4, options=PlanOptions())
    assert_close(ps.spmm(w.T, x, plan=plain), w.to_dense().T, x)


def test_sddmm_plans_for_itself():
    pattern = BlockPattern.random((100, 76), density=1 / 4, block_size=4)
    dy, x = operand(100, 7, "float32"), operand(76, 7, "float32", seed=3)
    assert_sampled(ps.sddmm(pattern, dy, x, target="ipu_model"), pattern, dy, x)


@pytest.mark.parametrize(
    ("dy", "x", "error", "message"),
    [
        (operand(100, 7), operand(76, 7, "float32"), DTypeError, "dy and x must both be float16 or float32"),
        (operand(76, 7), operand(100, 7), ShapeError, r"expected dy \(100, n\) and x \(76, n\) for a pattern of shape"),
        (operand(100, 7), operand(76, 6), ShapeError, r"got \(100, 7\), \(76, 6\)"),
    ],
)
def test_bad_operands_of_sddmm_are_told(dy, x, error, message):
    with pytest.raises(error, match=message):
        ps.sddmm(BlockPattern.random((100, 76), density=1 / 4, block_size=4), dy, x, target="ipu_model")


def test_sddmm_of_nothing_is_refused():
    empty = BlockPattern.from_indices([], [], shape=(8, 8), block_size=4)
    with pytest.raises(PlanError, match="the pattern has no blocks: there is nothing to sample"):
        ps.sddmm(empty, operand(8, 4), operand(8, 4), target="ipu_model")


# --- bad input -------------------------------------------------------------------------------------------------------


def test_refused_matrices_leave_the_old_one_in_force():
    plan = plan_of()
    kernel, w, x = compiled(plan), random_matrix(SHAPE, 8, 1 / 4), operand(76, 10)
    kernel.load(w)
    before = kernel.run(x).y.tobytes()
    broken = matrix_of(w.pattern)
    values = np.array(broken.values)
    broken._values = values
    values[3, 1, 1] = np.nan
    refused = [
        (random_matrix(SHAPE, 8, 1 / 2), CapacityError, "plan with capacity_blocks=65 or more"),
        (random_matrix((76, 100), 8, 1 / 4), ShapeError, r"shape \(76, 100\), the plan is for \(100, 76\)"),
        (random_matrix(SHAPE, 4, 1 / 8), PatternError, "blocks of 4, the plan of 8"),
        (random_matrix(SHAPE, 8, 1 / 4, dtype="float32"), DTypeError, "W has dtype float32, the plan is for float16"),
        (broken, FormatError, "values of W hold NaN or infinity, first in block 3"),
    ]
    for other, error, message in refused:
        with pytest.raises(error, match=message):
            kernel.load(other)
        assert kernel.run(x).y.tobytes() == before
    with pytest.raises(CapacityError) as caught:
        kernel.load(refused[0][0])
    assert plan_of(density=None, capacity_blocks=caught.value.needed_capacity_blocks).fits


def test_passes_that_were_not_planned_are_refused():
    kernel = compiled(plan_of(options=PlanOptions()))
    kernel.load(random_matrix(SHAPE, 8, 1 / 4))
    with pytest.raises(PlanError, match=r"no grad_input pass: plan with options=PlanOptions\(grad_input=True\)"):
        kernel.run_transposed(operand(100, 10))
    with pytest.raises(PlanError, match="no grad_weight pass"):
        kernel.run_sampled(operand(100, 10), operand(76, 10))
    with pytest.raises(PlanError, match=r"the transpose of a .* matrix and the plan has no grad_input pass"):
        ps.spmm(random_matrix(SHAPE, 8, 1 / 4).T, operand(100, 10), plan=kernel.plan)


def test_operands_of_other_shapes_are_told():
    kernel = compiled(plan_of())
    with pytest.raises(PlanError, match="no values are loaded"):
        kernel.run(operand(76, 10))
    kernel.load(random_matrix(SHAPE, 8, 1 / 4))
    with pytest.raises(ShapeError, match="x has 100 rows"):
        kernel.run(operand(100, 10))
    with pytest.raises(ShapeError, match="the plan is for n = 10"):
        kernel.run(operand(76, 12))
    with pytest.raises(DTypeError, match="x has dtype float32"):
        kernel.run(operand(76, 10, "float32"))


def test_plans_that_cannot_run_are_told():
    with pytest.raises(PlanError, match="strategy 'popsparse' is a baseline"):
        compiled(plan_of(n=16, strategy="popsparse", options=PlanOptions()))
    with pytest.raises(TileMemoryError, match=r"tile .* needs"):
        compiled(plan_of((1024, 1024), 4096, tiles=2))


def test_concurrent_loads_and_runs_never_mix():
    plan = tight(plan_of((64, 64), 8, 8, 1 / 4))
    x = operand(64, 8)
    matrices = [random_matrix((64, 64), 8, 1 / 4, kind, seed=seed) for seed, kind in enumerate(KINDS[:4])]
    wrong = []

    def multiply(w):
        for _ in range(8):
            y = ps.spmm(w, x, plan=plan)
            try:
                assert_close(y, w.to_dense(), x)
            except AssertionError as error:
                wrong.append(error)

    threads = [threading.Thread(target=multiply, args=(w,)) for w in matrices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(plan.kept) == 1


def test_sets_that_are_not_paired_are_refused():
    program = compiled(plan_of((64, 64), 16, 8, 1 / 4, tiles=16)).program
    step = next(step for step in program.steps if step.name == "gather")
    slices = step.copies[0]
    assert slices.paired
    columns = {name: getattr(slices, name)[1:] for name in ("source_begin", "destination_begin", "length")}
    with pytest.raises(ProgramError, match="'x' is said to go to"):
        replace(program, steps=(replace(step, copies=(replace(slices, **columns),)),))


def test_loaded_matrix_is_a_block_sparse_matrix_of_any_origin():
    plan = plan_of((64, 64), 4, 4, 1 / 2, options=PlanOptions())
    dense = np.zeros((64, 64), dtype=np.float16)
    dense[3:7, 10:30] = 1
    w = BlockSparseMatrix.from_dense(dense, 4)
    assert_close(ps.spmm(w, operand(64, 4), plan=plan), dense, operand(64, 4))
