"""Plans and work lists of target "cuda": every block once, in order, and bytes that follow from the lists."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern, DTypeError, FormatError, PlanError, ShapeError, TargetError
from popsparse_planner.cuda_cost import CudaCost, CudaCount, cost_of, dense_seconds, row_count
from popsparse_planner.cuda_decode import decode_row_bytes, decode_stream
from popsparse_planner.cuda_machine import CudaMachine, cuda_machine
from popsparse_planner.cuda_plan import CudaPlan, kernels_for, plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile
from popsparse_planner.cuda_sampled import CELLS_AT_ONCE, NO_CELL, SAMPLED_SLOTS, cells_of, sampled_stream
from popsparse_planner.cuda_streams import block_stream, deal, element_side, element_stream, row_stream
from popsparse_planner.cuda_vectors import vector_stream

HOPPER, AMPERE = cuda_machine((9, 0), 232448), cuda_machine((8, 6), 101376)
SHARED = st.sampled_from([101376, 166912, 232448])


@st.composite
def patterns(draw: st.DrawFn, sizes: tuple) -> BlockPattern:
    b = draw(st.sampled_from(sizes))
    rows, columns = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random((rows, columns)) < draw(st.floats(0, 1))
    ragged = draw(st.integers(0, b - 1)), draw(st.integers(0, b - 1))
    return BlockPattern.from_mask(mask, block_size=b, shape=(rows * b - ragged[0], columns * b - ragged[1]))


def dense_of(pattern: BlockPattern, *, transposed: bool) -> np.ndarray:
    """Number of the stored value at each place of W or its transpose, -1 where there is none."""
    b, (mb, kb) = pattern.block_size, pattern.block_grid
    grid = np.full((mb, kb, b, b), -1)
    grid[pattern.rows, pattern.cols] = np.arange(pattern.nnz_blocks * b * b).reshape(-1, b, b)
    whole = grid.transpose(0, 2, 1, 3).reshape(mb * b, kb * b)
    return whole.T if transposed else whole


@given(patterns((16, 32, 48, 64)), st.booleans(), st.sampled_from([HOPPER, AMPERE]))
@settings(deadline=None, max_examples=30)
def test_row_stream_holds_every_value_once(pattern: BlockPattern, transposed: bool, machine: CudaMachine) -> None:
    slots = machine.row_slots(16), machine.row_slots(32)
    lists = row_stream(pattern, slots, transposed=transposed)
    per_warp = slots[lists.side // 32]
    wanted, found = dense_of(pattern, transposed=transposed), -np.ones_like(dense_of(pattern, transposed=transposed))
    inside = np.arange(lists.side)[:, None] * lists.pitch + np.arange(lists.side)
    for warp in range(lists.groups * 8):
        part = lists.stream[lists.begins[warp] : lists.begins[warp + 1]].astype(np.int64)
        k_rows, slot = part[:, 0] & 0xFFFFFF, part[:, 0] >> 24
        assert np.all(np.diff(k_rows // 128) >= 0)  # slabs pass once
        for k_row, s, offset in zip(k_rows, slot, part[:, 1]):
            row = lists.rows[warp * per_warp + s]
            assert found[row, k_row] == -1
            place = slice(row, row + lists.side), slice(k_row, k_row + lists.side)
            found[place] = offset * 16 + (inside.T if transposed else inside)
    assert np.array_equal(found, wanted)
    assert sorted(lists.rows[lists.rows >= 0]) == list(range(0, len(wanted), lists.side))


@given(patterns((64, 128)), st.booleans())
@settings(deadline=None, max_examples=10)
def test_block_stream_gives_every_block_to_one_warpgroup(pattern: BlockPattern, transposed: bool) -> None:
    lists = block_stream(pattern, 4, transposed=transposed)
    found = set()
    for group in range(lists.groups * 2):
        part = lists.stream[lists.begins[group] : lists.begins[group + 1]].astype(np.int64)
        assert np.all(np.diff((part[:, 0] & 0xFFFFFF) // 128) >= 0)
        for word, offset in part.tolist():
            found.add((int(lists.rows[group * 4 + (word >> 24)]), word & 0xFFFFFF, offset * 16))
    wanted = dense_of(pattern, transposed=transposed)[::64, ::64]
    assert found == {(r * 64, c * 64, wanted[r, c]) for r, c in np.argwhere(wanted >= 0).tolist()}
    assert len(lists.stream) == len(found)


@given(patterns((1, 2, 3, 4, 8, 12)), st.booleans())
@settings(deadline=None, max_examples=30)
def test_vector_stream_holds_every_value_once(pattern: BlockPattern, transposed: bool) -> None:
    slots = HOPPER.vector_slots
    lists = vector_stream(pattern, slots, transposed=transposed)
    wanted = dense_of(pattern, transposed=transposed)
    found = -np.ones_like(wanted)
    sources = lists.sources.reshape(lists.steps, 8, 4, 2, 2)  # step, row, lane of the row, half of k, neighbour
    for warp in range(lists.groups * 8):
        steps = np.arange(lists.begins[warp], lists.begins[warp + 1])
        slab = (lists.stream[steps] & 0xFFFFFF).astype(np.int64)
        assert np.all(np.diff(slab) >= 0)
        for step in steps:
            rows = lists.rows[warp * slots + (lists.stream[step] >> 24)]
            for vector in range(16):
                column = (int(lists.stream[step]) & 0xFFFFFF) * 128 + int(lists.k_rows[step, vector])
                numbers = sources[step, :, vector % 8 // 2, vector // 8, vector % 2]
                used = numbers >= 0
                assert np.all(found[rows[used], column] == -1)
                found[rows[used], column] = numbers[used]
    assert np.array_equal(found, wanted)


@given(patterns((16, 32)), st.sampled_from([8, 16, 32]), st.integers(1, 12))
@settings(deadline=None, max_examples=20)
def test_decode_stream_holds_every_block_once(pattern: BlockPattern, columns: int, blocks: int) -> None:
    shared = blocks * 16 * decode_row_bytes(columns)
    lists = decode_stream(pattern, columns, shared)
    assert lists.range_rows * decode_row_bytes(columns) <= shared
    assert lists.ranges * lists.range_rows >= pattern.shape[1]
    found = set()
    for which in range(lists.ranges):
        for row in range(lists.block_rows):
            begin, end = lists.begins[which, row : row + 2]
            for k_row, offset in lists.stream[begin:end].tolist():
                assert k_row + 16 <= lists.range_rows
                found.add((row * 16, which * lists.range_rows + k_row, offset * 16))
    wanted = dense_of(pattern, transposed=False)
    cells = np.argwhere(wanted[::16, ::16] >= 0) * 16
    assert found == {(r, c, wanted[r, c]) for r, c in cells.tolist()}
    assert len(lists.stream) == len(found)


@given(patterns((1, 3, 4, 8, 16)), st.booleans())
@settings(deadline=None, max_examples=20)
def test_element_stream_holds_every_value_once(pattern: BlockPattern, transposed: bool) -> None:
    side = element_side(pattern.block_size, "float32")
    lists = element_stream(pattern, side, transposed=transposed)
    wanted = dense_of(pattern, transposed=transposed)
    found = -np.ones_like(wanted)
    for place, row in enumerate(lists.rows):
        for k_row, offset in lists.stream[lists.begins[place] : lists.begins[place + 1]].tolist():
            found[row, k_row] = offset
    assert np.array_equal(found[::side, ::side], wanted[::side, ::side])
    work = np.diff(lists.begins.astype(np.int64))
    assert np.all(np.diff(work) <= 0)  # the heaviest rows start first


@given(patterns((1, 4, 12, 16, 32)), SHARED)
@settings(deadline=None, max_examples=30)
def test_sampled_stream_covers_every_value_once(pattern: BlockPattern, shared: int) -> None:
    lists, cells = sampled_stream(pattern, shared), cells_of(pattern)
    assert 2 * lists.stage_bytes <= shared
    wanted = dense_of(pattern, transposed=False)
    padded = np.full([-(-side // 16) * 16 for side in wanted.shape], -1)
    padded[: wanted.shape[0], : wanted.shape[1]] = wanted
    seen = np.zeros(len(cells.rows), dtype=int)
    table = lists.cells.reshape(lists.groups, 8, SAMPLED_SLOTS, 2)
    for group in range(lists.groups):
        begin, of_dy, end = lists.begins[2 * group : 2 * group + 3]
        panels = lists.panels[begin:end]
        used = table[group][table[group][..., 0] != NO_CELL]
        assert 0 < len(used) <= CELLS_AT_ONCE
        for word, offset in used.tolist():
            row, column = panels[word & 0xFFFF], panels[word >> 16]
            assert (word & 0xFFFF) < of_dy <= (word >> 16)
            cell = padded[row : row + 16, column : column + 16]
            if lists.places is None:
                assert cell[0, 0] == offset * 16
                index = int(np.flatnonzero(cells.offsets == offset)[0])
            else:
                assert np.array_equal(lists.places[offset].reshape(16, 16), cell)
                index = offset
            seen[index] += 1
    assert np.all(seen == 1)


def test_deal_evens_out_heavy_rows() -> None:
    place, warps = deal(np.array([9, 1, 1, 1, 5, 5, 3, 3]), 4, 2)
    assert warps == 4
    sums = np.bincount(place // 2, weights=[9, 1, 1, 1, 5, 5, 3, 3])
    assert sums.tolist() == [10, 6, 6, 6]
    assert len(set(place.tolist())) == 8


def test_counts_of_a_worked_product() -> None:
    """256 x 128 W of 16 x 16 blocks, 40 of them, times 100 columns: one block of threads twice over 128 rows of X."""
    pattern = BlockPattern.from_indices(np.arange(40) % 16, np.arange(40) // 16, shape=(256, 128), block_size=16)
    count = row_count(pattern, (256, 128), 100, HOPPER)
    assert count.mma_flops == 2 * 40 * 256 * 128
    assert count.l2_bytes == 2 * 128 * 128 + 2 * (2 * 40 * 256 + 40 * 8)
    assert count.shared_bytes == 2 * 128 * 128 + 40 * 16 * 128 * 2
    assert count.memory_bytes == 2 * (256 * 100 + 128 * 100 + 40 * 256) + 40 * 8


def test_the_largest_bound_is_the_time() -> None:
    gpu = load_gpu_profile()
    cost = cost_of(CudaCount(4.3e6, 5.5e7, 0.0, 6.1e8, 0.0), gpu)
    assert cost.bound == "l2"
    assert cost.total_seconds == pytest.approx(1e-5 + gpu["launch_seconds"])
    assert cost_of(CudaCount(0.0, 0.0, 0.0, 0.0, 5e9), gpu).bound == "operations"
    assert dense_seconds((4096, 4096), 4096, "bfloat16", gpu) == pytest.approx(174e-6 + 2.5e-6, rel=0.01)


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
    with pytest.raises(TargetError, match="GPU 'h300' is unknown: expected one of h200"):
        load_gpu_profile("h300")
    with pytest.raises(PlanError, match="X has 33,554,432 rows: the cuda kernels number at most 16,777,215"):
        row_stream(BlockPattern.from_indices([0], [0], shape=(16, 1 << 25), block_size=16), (4, 2))
