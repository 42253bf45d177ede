"""Plans and work lists of target "cuda": every block once, in order, and bytes that follow from the lists."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern, DTypeError, FormatError, PlanError, ShapeError, TargetError
from popsparse_planner.cuda_cost import CudaCost, CudaCount, cost_of, dense_seconds, row_count
from popsparse_planner.cuda_decode import decode_stream, range_bytes
from popsparse_planner.cuda_decode_vectors import LAST_STEP, decode_steps, decode_vector_stream
from popsparse_planner.cuda_machine import CudaMachine, cuda_machine
from popsparse_planner.cuda_plan import CudaPlan, kernels_for, plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile
from popsparse_planner.cuda_sampled import CELLS_AT_ONCE, NO_CELL, SAMPLED_SLOTS, cells_of, sampled_stream
from popsparse_planner.cuda_streams import element_side, element_stream, row_stream, row_uses
from popsparse_planner.cuda_tiles import SlabLists, Tile, deal, tiles
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


def inside_of(pattern: BlockPattern, side: int, *, transposed: bool) -> np.ndarray:
    """dense_of without what lies in pieces of this side that are wholly beyond the edges."""
    whole = dense_of(pattern, transposed=transposed)
    m, k = pattern.shape[::-1] if transposed else pattern.shape
    whole[-(-m // side) * side :], whole[:, -(-k // side) * side :] = -1, -1
    return whole


def dense_of(pattern: BlockPattern, *, transposed: bool) -> np.ndarray:
    """Number of the stored value at each place of W or its transpose, -1 where there is none."""
    b, (mb, kb) = pattern.block_size, pattern.block_grid
    grid = np.full((mb, kb, b, b), -1)
    grid[pattern.rows, pattern.cols] = np.arange(pattern.nnz_blocks * b * b).reshape(-1, b, b)
    whole = grid.transpose(0, 2, 1, 3).reshape(mb * b, kb * b)
    return whole.T if transposed else whole


@st.composite
def some_tiles(draw: st.DrawFn, kernel: str, pattern: BlockPattern, machine: CudaMachine, transposed: bool) -> Tile:
    """One of the tiles that a plan chooses from."""
    rows = pattern.shape[1 if transposed else 0]
    return draw(st.sampled_from(tiles(kernel, pattern.block_size, rows, machine)))


def assert_ascending(lists: SlabLists) -> None:
    for begin, end in zip(lists.begins[:-1], lists.begins[1:]):
        assert np.all(np.diff(lists.slabs[begin:end]) > 0)


def row_of_x(lists: SlabLists, cluster: int, k_row: int, slab_rows: int) -> int:
    """The row of X that a list of work names by a slab's position and a row of the slab."""
    return int(lists.slabs[int(lists.begins[cluster]) + k_row // slab_rows]) * slab_rows + k_row % slab_rows


@given(patterns((16, 32, 48, 64, 128)), st.booleans(), st.sampled_from([HOPPER, AMPERE]), st.data())
@settings(deadline=None, max_examples=40)
def test_row_stream_holds_every_value_once(
    pattern: BlockPattern, transposed: bool, machine: CudaMachine, data: st.DataObject
) -> None:
    wide = pattern.block_size % 64 == 0 and machine.has_groups
    kernel = data.draw(st.sampled_from(["rows", "blocks"] if wide else ["rows"]))
    tile = data.draw(some_tiles(kernel, pattern, machine, transposed))
    made = row_stream(pattern, tile, transposed=transposed)
    assert_ascending(made.lists)
    wanted = inside_of(pattern, tile.side, transposed=transposed)
    found = -np.ones_like(wanted)
    inside = np.arange(tile.side)[:, None] * made.pitch + np.arange(tile.side)
    needed = set()
    for owner in range(made.groups * tile.owners):
        part = made.stream[made.begins[owner] : made.begins[owner + 1]].astype(np.int64)
        k_rows, slot = part[:, 0] & 0xFFFFFF, part[:, 0] >> 24
        assert np.all(np.diff(k_rows // tile.slab_rows) >= 0)  # slabs pass once
        cluster = owner // tile.owners // tile.cluster
        for position, s, offset in zip(k_rows.tolist(), slot, part[:, 1]):
            row, k_row = made.rows[owner * tile.slots + s], row_of_x(made.lists, cluster, position, tile.slab_rows)
            assert found[row, k_row] == -1
            place = slice(row, row + tile.side), slice(k_row, k_row + tile.side)
            found[place] = offset * 16 + (inside.T if transposed else inside)
            needed.add((cluster, position // tile.slab_rows))
    assert np.array_equal(found, wanted)
    assert sorted(made.rows[made.rows >= 0]) == list(range(0, pattern.shape[transposed], tile.side))
    assert len(needed) == len(made.lists.slabs)  # nothing is copied for nobody
    assert made.groups % tile.cluster == 0


@given(patterns((1, 2, 3, 4, 8, 12)), st.booleans(), st.sampled_from([HOPPER, AMPERE]), st.data())
@settings(deadline=None, max_examples=40)
def test_vector_stream_holds_every_value_once(
    pattern: BlockPattern, transposed: bool, machine: CudaMachine, data: st.DataObject
) -> None:
    tile = data.draw(some_tiles("vectors", pattern, machine, transposed))
    made = vector_stream(pattern, tile, machine, transposed=transposed)
    assert_ascending(made.lists)
    wanted = inside_of(pattern, math.gcd(pattern.block_size, 8), transposed=transposed)
    found, needed = -np.ones_like(wanted), set()
    ring_rows = machine.stages(tile.slab_bytes) * 128
    sources = made.sources.reshape(made.steps, 8, 4, 2, 2)  # step, row, lane of the row, half of k, neighbour
    for warp in range(made.groups * 8):
        steps = np.arange(made.begins[warp], made.begins[warp + 1])
        last = (made.stream[steps] & 0xFFFFFF).astype(np.int64)
        assert np.all(np.diff(last) >= 0)
        cluster = warp // 8 // tile.cluster
        for step, newest in zip(steps, last.tolist()):
            rows = made.rows[warp * tile.slots + (made.stream[step] >> 24)]
            for half in made.k_rows[step].reshape(2, 8):  # read at once: a bank is asked for one row
                assert all(len(set(half[half % 8 == bank].tolist())) <= 1 for bank in range(8))
            for vector, ring_row in enumerate(made.k_rows[step].tolist()):
                age = (newest - ring_row // 128) % (ring_rows // 128)
                assert age < machine.span
                column = row_of_x(made.lists, cluster, (newest - age) * 128 + ring_row % 128, 128)
                numbers = sources[step, :, vector % 8 // 2, vector // 8, vector % 2]
                used = numbers >= 0
                assert np.all(found[rows[used], column] == -1)
                found[rows[used], column] = numbers[used]
                needed.add((cluster, newest - age))
    assert np.array_equal(found, wanted)
    assert len(needed) == len(made.lists.slabs)
    used = np.sort(made.rows[made.rows >= 0])
    assert np.array_equal(used, np.arange(len(used)))  # each row of Y once
    assert len(used) >= pattern.shape[transposed]


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


@given(patterns((16, 32)), st.sampled_from([8, 16, 32]), st.integers(1, 12))
@settings(deadline=None, max_examples=20)
def test_decode_stream_holds_every_block_once(pattern: BlockPattern, columns: int, blocks: int) -> None:
    shared = range_bytes(blocks * 16, columns)
    lists = decode_stream(pattern, columns - 3, shared, 132)
    assert range_bytes(lists.range_rows, columns) <= shared
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


@given(patterns((1, 2, 4, 8, 12, 16)), st.booleans(), st.sampled_from([1, 9, 32]), st.integers(1, 9), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_decode_vector_stream_holds_every_value_once(
    pattern: BlockPattern, transposed: bool, n: int, most: int, blocks: int
) -> None:
    shared = range_bytes(most * 16, 32)
    cut = decode_steps(pattern, n, shared, 132, transposed=transposed)
    lists = decode_vector_stream(cut, blocks, transposed=transposed)
    assert range_bytes(cut.range_rows, 16 if n <= 16 else 32) <= shared
    wanted = dense_of(pattern, transposed=transposed)
    found = np.full((len(wanted), cut.ranges * cut.range_rows), -1)
    numbers = lists.sources.reshape(-1, 8, 4, 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 8, 16)  # step, row, vector
    side, cells = cut.pieces.side, []
    for step, starts in enumerate(lists.starts.astype(int)):
        if step == 0 or lists.starts[step - 1, 0, 0] & LAST_STEP:
            cells.append(step)
        which = (len(cells) - 1) // cut.steps_of_cell.shape[1]
        for group, first in enumerate(lists.rows[len(cells) - 1].tolist()):
            inside = ((starts[:, group] & ~LAST_STEP)[:, None] + np.arange(side)).ravel()
            filled = inside < cut.range_rows  # the others name rows of zeros
            stored = numbers[step, group * side : (group + 1) * side]
            assert np.all(stored[:, ~filled] == -1)
            if first >= 0:
                place = slice(first, first + side), which * cut.range_rows + inside[filled]
                assert np.all(found[place] == -1)
                found[place] = stored[: len(wanted) - first, filled]
            else:
                assert not filled.any()
    assert len(cells) == len(lists.rows)
    assert np.array_equal(found[:, : wanted.shape[1]], wanted)
    begins = lists.begins.reshape(cut.ranges, -1, 2)
    assert begins.shape[1] == 16 * blocks + 1
    assert np.array_equal(begins[..., 0], np.append(cells, cut.steps)[begins[..., 1]])
    assert np.array_equal(begins[:, 0, 1], np.arange(cut.ranges) * cut.steps_of_cell.shape[1])
    assert np.array_equal(begins[1:, 0], begins[:-1, -1])
    assert np.all(np.diff(begins[:, :, 1].astype(int)) <= -(-cut.steps_of_cell.shape[1] // (16 * blocks)))  # dealt


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
    cut = decode_steps(pattern, n, plan.machine.shared_bytes, 132, transposed=transposed)
    blocks = cut.blocks(132)
    lists = decode_vector_stream(cut, blocks, transposed=transposed)
    streamed = 2 * lists.sources.size + lists.starts.nbytes + lists.rows.nbytes
    assert plan.count.memory_bytes == 2 * (m + k) * n + streamed
    columns = 16 if n <= 16 else 32
    held = 2 * columns * blocks * cut.ranges * cut.range_rows
    assert plan.count.l2_bytes == held + streamed + (8 * cut.ranges * m * n if cut.ranges > 1 else 0)
    assert plan.count.mma_flops == 2 * lists.sources.size * columns * 8 // cut.pieces.side
    assert plan.count.launches == (2 if cut.ranges > 1 else 1)


def test_neighbours_in_a_step_lie_in_different_banks() -> None:
    """A row of single elements at rows of X of which 8 that follow one another lie in the same banks."""
    columns = np.arange(64) * 8 + np.arange(64) // 8
    pattern = BlockPattern.from_indices(np.zeros(64, int), columns, shape=(8, 512), block_size=1)
    lists = decode_vector_stream(decode_steps(pattern, 8, 232448, 132), 1)
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


def test_auto_knows_where_dense_is_faster() -> None:
    dense = plan_cuda(BlockPattern.random((1024, 1024), density=0.5, block_size=1), 1024)
    sparse = plan_cuda(BlockPattern.random((4096, 4096), density=Fraction(1, 32), block_size=32), 4096)
    assert dense.dense_is_faster
    assert not sparse.dense_is_faster
    assert "dense is faster, auto uses a dense copy" in dense.explain()


# Speed-ups over a dense product of 4096^3 in bfloat16 that the kernels were designed for, at densities 1/4 to 1/64 of a
# random pattern, None: no goal. The plans of those in FALLS_SHORT say less, by no more than this factor: X's reads from
# shared memory bound them.
GOALS = {
    1: (None, None, None, 0.95, 1.8),
    4: (None, 0.9, 1.7, 3.3, 6.0),
    8: (0.9, 1.7, 3.3, 5.0, 6.5),
    16: (1.7, 2.6, 3.6, 5.0, 7.0),
    32: (1.8, 2.7, 3.9, 5.6, 7.5),
    64: (2.0, 3.1, 5.0, 7.5, 8.0),
    128: (2.5, 4.7, 7.5, 8.2, 8.5),
}
FALLS_SHORT = {(1, 64): 0.93, (4, 32): 0.91, (4, 64): 0.78, (8, 16): 0.93, (8, 32): 0.99}


@pytest.mark.parametrize("b", sorted(GOALS))
def test_goals_are_predicted(b: int) -> None:
    for exponent, goal in enumerate(GOALS[b], start=2):
        if goal is not None:
            pattern = BlockPattern.random((4096, 4096), density=Fraction(1, 2**exponent), block_size=b, seed=1)
            plan = plan_cuda(pattern, 4096)
            share = FALLS_SHORT.get((b, 2**exponent), 1.0)
            assert plan.speedup_vs_dense >= share * goal, plan.explain()


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
