"""Plans of target "cuda": counts that follow from the work lists, and the times that are predicted."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cuda_patterns import AMPERE, HOPPER, patterns, some_tiles
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern, DTypeError, FormatError, PlanError, ShapeError, TargetError
from popsparse_planner.cuda_cost import CudaCost, CudaCount, cost_of, dense_seconds, row_count
from popsparse_planner.cuda_decode_vectors import LAST_STEP, decode_steps, decode_vector_stream
from popsparse_planner.cuda_plan import CudaPlan, kernels_for, plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile
from popsparse_planner.cuda_streams import row_stream, row_uses
from popsparse_planner.cuda_tiles import Tile, deal
from popsparse_planner.cuda_vectors import vector_stream


@given(patterns((1, 8, 16, 64)), st.booleans(), st.integers(1, 300), st.data())
@settings(deadline=None, max_examples=30)
def test_counts_are_those_of_the_lists(pattern: BlockPattern, transposed: bool, n: int, data: st.DataObject) -> None:
    for kernel in ("vectors",) if pattern.block_size < 16 else ("rows", "blocks")[: 1 + pattern.block_size // 64]:
        tile = data.draw(some_tiles(kernel, pattern, HOPPER, transposed))
        plan = plan_cuda(pattern, n, transposed=transposed, kernel=kernel, tile=tile)
        count = plan.count
        assert plan.tile == tile
        if kernel == "vectors":
            made = vector_stream(pattern, tile, plan.machine, transposed=transposed)
            work, values, streamed, reads = made.steps, 128, made.steps * (256 + 32 + 4), made.steps * 16
        else:
            made = row_stream(pattern, tile, transposed=transposed)  # type: ignore[assignment]
            work, values, streamed = len(made.stream), tile.side**2, len(made.stream) * (2 * tile.side**2 + 8)
            owner = np.repeat(np.arange(len(made.begins) - 1), np.diff(made.begins.astype(np.int64)))
            reads = tile.side * len(set(zip(owner.tolist(), (made.stream[:, 0] & 0xFFFFFF).tolist())))
            same = (owner[1:] == owner[:-1]) & (np.diff(made.stream[:, 0].astype(np.int64) & 0xFFFFFF) == 0)
            assert reads == tile.side * (work - np.count_nonzero(same))  # blocks of the same rows of X are neighbours
        columns = -(-n // tile.columns) * tile.columns
        filled = len(made.lists.slabs) * tile.cluster * tile.slab_rows * columns * 2
        assert count.flops == 2 * work * values * columns
        assert count.filled_bytes == filled
        assert count.shared_bytes == filled + reads * columns * 2 + columns // tile.columns * streamed
        assert count.l2_bytes == filled / tile.cluster + columns // tile.columns * streamed
        assert count.blocks == made.groups * columns // tile.columns
        assert count.slabs == made.groups * -(-plan.shape[1] // tile.slab_rows)
        assert count.slabs_copied == len(made.lists.slabs) * tile.cluster
        of_warps = np.diff(made.begins.astype(np.int64)).reshape(-1, tile.owners)
        assert count.balance * of_warps.sum() == pytest.approx(of_warps.max(axis=1).sum() * tile.owners) or not work


def test_neighbours_together_need_few_slabs() -> None:
    band = np.abs(np.subtract.outer(np.arange(256), np.arange(256))) <= 4
    plan = plan_cuda(BlockPattern.from_mask(band, block_size=16), 4096)
    assert plan.tile is not None
    assert plan.tile.together
    assert plan.count.slabs_copied < plan.count.slabs / 4
    assert f"{plan.count.slabs_copied:,} of {plan.count.slabs:,} slabs of X copied" in plan.explain()


def test_deal_evens_out_heavy_rows() -> None:
    work = np.array([9, 1, 1, 1, 5, 5, 3, 3])
    place, owners = deal(work, Tile(16, 4, 4, 2))
    assert owners == 4
    assert np.bincount(place // 4, weights=work).tolist() == [10, 6, 6, 6]
    assert len(set(place.tolist())) == 8
    assert set((place % 4).tolist()) == {0, 1}  # slots that are not used get no rows
    place, owners = deal(work, Tile(16, 2, 2, 2, together=True))
    assert owners == 4
    assert np.bincount(place // 2, weights=work).tolist() == [10, 2, 8, 8]


def test_counts_of_a_worked_product() -> None:
    """256 x 128 W of 16 x 16 blocks, 40 of them, times 100 columns: one block of threads twice over 128 rows of X."""
    pattern = BlockPattern.from_indices(np.arange(40) % 16, np.arange(40) // 16, shape=(256, 128), block_size=16)
    (use,) = row_uses(pattern, [Tile(16, 8, 4, 4)])
    count = row_count(use, (256, 128), 100)
    assert count.mma_flops == 2 * 40 * 256 * 128
    assert count.l2_bytes == 2 * 128 * 128 + 2 * (2 * 40 * 256 + 40 * 8)
    # Rows 8 apart belong to one warp: 3 blocks that one of them has are met by 24, and 2 by 16, of 40.
    assert count.shared_bytes == 2 * 128 * 128 + use.reads * 128 * 2 + 2 * (2 * 40 * 256 + 40 * 8)
    assert use.reads == 24 * 16
    assert count.memory_bytes == 2 * (256 * 100 + 128 * 100 + 40 * 256) + 40 * 8
    assert (count.blocks, count.slabs, count.slabs_copied) == (2, 1, 1)
    assert count.balance == 1.0  # a warp has a row of 3 blocks and one of 2
    assert count.rounds(132) == 66


def test_idle_multiprocessors_and_heavy_warps_take_time() -> None:
    gpu = load_gpu_profile()
    even = CudaCount(0.0, 5.5e7, 3e6, 6.1e8, 0.0, filled_bytes=1e6, blocks=132)
    ragged = replace(even, blocks=133, balance=2.0)
    assert cost_of(ragged, gpu).l2_seconds == pytest.approx(cost_of(even, gpu).l2_seconds * 264 / 133)
    assert cost_of(ragged, gpu).operations_seconds == pytest.approx(cost_of(even, gpu).operations_seconds * 528 / 133)
    assert cost_of(ragged, gpu).shared_seconds == pytest.approx(cost_of(even, gpu).shared_seconds * 5 / 3 * 264 / 133)


@pytest.mark.parametrize(("b", "n", "transposed"), [(1, 20, False), (4, 8, True), (8, 16, False), (16, 3, True)])
def test_counts_of_few_columns_are_those_of_the_lists(b: int, n: int, transposed: bool) -> None:
    pattern = BlockPattern.random((1024, 20480), density=0.02, block_size=b)
    m, k = pattern.shape[::-1] if transposed else pattern.shape
    plan = plan_cuda(pattern, n, transposed=transposed, kernel="decode_vectors")
    made = decode_steps(pattern, n, plan.machine, 132, transposed=transposed)
    lists, cut = decode_vector_stream(made, transposed=transposed), made.cut
    streamed = 2 * lists.sources.size + lists.starts.nbytes + lists.rows.nbytes
    assert plan.count.memory_bytes == 2 * (m + k) * n + streamed
    columns = 16 if n <= 16 else 32
    assert plan.count.l2_bytes == 2 * columns * cut.blocks * cut.ranges * cut.range_rows + streamed
    assert plan.count.mma_flops == 2 * lists.sources.size * columns * 8 // made.pieces.side
    assert plan.count.launches == 1
    assert plan.count.blocks == cut.blocks * cut.ranges <= (128 if cut.clustered else 132)


def test_counts_of_few_columns_of_blocks_of_16() -> None:
    """16384 rows of X in 8 ranges, each held by 16 blocks of threads, 128 rows of Y at once by each."""
    pattern = BlockPattern.random((4096, 16384), density=1 / 16, block_size=16)
    plan = plan_cuda(pattern, 8)
    values = pattern.nnz
    assert (plan.kernel, plan.count.blocks, plan.count.launches) == ("decode", 128, 1)
    assert plan.count.l2_bytes == 16 * 16384 * 8 * 2 + 2 * values + 8 * pattern.nnz_blocks
    added = 8 * 8 * 4096 * 8
    assert plan.count.shared_bytes == 16 * 16384 * 8 * 2 + values / 16 * 8 * 2 + added


def test_partial_results_go_to_a_second_kernel_where_no_cluster_adds_them() -> None:
    pattern = BlockPattern.random((1024, 20480), density=0.02, block_size=8)
    plan = plan_cuda(pattern, 20, kernel="decode_vectors", machine=AMPERE)
    made = decode_steps(pattern, 20, AMPERE, 132)
    assert made.cut.adds_apart
    assert plan.count.launches == 2
    held = 2 * 32 * made.cut.blocks * made.cut.ranges * made.cut.range_rows
    assert plan.count.l2_bytes == held + made.streamed_bytes + 8 * made.cut.ranges * 1024 * 20


def test_neighbours_in_a_step_lie_in_different_banks() -> None:
    """A row of single elements at rows of X of which 8 that follow one another lie in the same banks."""
    columns = np.arange(64) * 8 + np.arange(64) // 8
    pattern = BlockPattern.from_indices(np.zeros(64, int), columns, shape=(8, 512), block_size=1)
    lists = decode_vector_stream(decode_steps(pattern, 8, AMPERE, 132))
    row = int(np.argwhere(lists.rows == 0)[0, 1])
    named = (lists.starts[:, :, row] & ~np.uint16(LAST_STEP)).reshape(8, 8)
    assert np.array_equal(np.sort(named % 8, axis=1), np.tile(np.arange(8), (8, 1)))


def test_the_largest_bound_is_the_time() -> None:
    gpu = load_gpu_profile()
    cost = cost_of(CudaCount(4.3e6, 5.5e7, 0.0, 6.1e8, 0.0), gpu)
    assert cost.bound == "l2"
    assert cost.total_seconds == pytest.approx(1e-5 + gpu["launch_seconds"])
    assert cost_of(CudaCount(0.0, 0.0, 0.0, 0.0, 5e9), gpu).bound == "operations"
    assert dense_seconds((4096, 4096), 4096, "bfloat16", gpu) == pytest.approx(174e-6 + 2.5e-6, rel=0.01)


def test_transposing_x_and_y_takes_time() -> None:
    pattern, gpu = BlockPattern.random((4096, 2048), density=Fraction(1, 16), block_size=4), load_gpu_profile()
    plain, turned = plan_cuda(pattern, 4096), plan_cuda(pattern, 4096, by_rows=True)
    assert turned.count.turned_bytes == 2 * 2 * (4096 + 2048) * 4096
    more = turned.count.turned_bytes / gpu["memory_bytes_per_second"] + 2 * gpu["launch_seconds"]
    assert turned.cost.total_seconds == pytest.approx(plain.cost.total_seconds + more)
    assert turned.dense_seconds == plain.dense_seconds  # takes them as they are
    assert "X (n, k) and Y (n, m) are transposed: 100.7 MB more through HBM" in turned.explain()
    assert not turned.takes_rows
    for b in (8, 16, 64):
        large = BlockPattern.random((4096, 2048), density=Fraction(1, 16), block_size=b)
        assert plan_cuda(large, 4096, by_rows=True).takes_rows
        assert plan_cuda(large, 4096, by_rows=True).cost == plan_cuda(large, 4096).cost


def test_auto_knows_where_dense_is_faster() -> None:
    dense = plan_cuda(BlockPattern.random((1024, 1024), density=0.5, block_size=1), 1024)
    sparse = plan_cuda(BlockPattern.random((4096, 4096), density=Fraction(1, 32), block_size=32), 4096)
    assert dense.dense_is_faster
    assert not sparse.dense_is_faster
    assert "dense is faster, auto uses a dense copy" in dense.explain()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(("b", "n"), [(1, 64), (8, 64), (16, 8), (16, 512)])
def test_plan_goes_through_json(b: int, n: int, dtype: str) -> None:
    plan = plan_cuda(BlockPattern.random((256, 512), density=0.1, block_size=b), n, dtype=dtype)
    assert CudaPlan.from_json(plan.to_json()) == plan
    assert plan.kernel in kernels_for(b, n, dtype)
    assert isinstance(plan.cost, CudaCost)
    assert plan.fits
    assert not replace(plan, memory_bytes=1 << 60).fits
    with pytest.raises(FormatError):
        CudaPlan.from_json(plan.to_json().replace("cuda-plan", "other-plan"))


def test_wrong_requests_are_named() -> None:
    pattern = BlockPattern.random((64, 64), density=0.5, block_size=16)
    with pytest.raises(
        DTypeError, match="dtype float64 has no cuda kernel: expected one of bfloat16, float16, float32"
    ):
        plan_cuda(pattern, 8, dtype="float64")
    with pytest.raises(ShapeError, match="expected n of at least 1, got 0"):
        plan_cuda(pattern, 0)
    with pytest.raises(PlanError, match=r"kernel 'decode' does not take bfloat16 .* n = 64: expected one of rows"):
        plan_cuda(pattern, 64, kernel="decode")
    with pytest.raises(PlanError, match=r"no kernel of rows takes Tile\(side=16, .*slots=5, .* for 64 rows of Y"):
        plan_cuda(pattern, 64, tile=Tile(16, 8, 5, 5))
    with pytest.raises(TargetError, match="GPU 'h300' is unknown: expected one of h200"):
        load_gpu_profile("h300")
    with pytest.raises(PlanError, match="X has 33,554,432 rows: the cuda kernels number at most 16,777,215"):
        row_stream(BlockPattern.from_indices([0], [0], shape=(16, 1 << 25), block_size=16), Tile(16, 8, 4, 4))
