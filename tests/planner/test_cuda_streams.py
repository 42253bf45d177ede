"""Work lists of target "cuda": every value once, in the order that the kernels need."""

import math
from dataclasses import replace

import numpy as np
from cuda_patterns import AMPERE, HOPPER, SHARED, assert_ascending, dense_of, inside_of, patterns, row_of_x, some_tiles
from hypothesis import given, settings
from hypothesis import strategies as st

from popsparse_planner import BlockPattern
from popsparse_planner.cuda_decode import decode_stream, range_bytes
from popsparse_planner.cuda_decode_vectors import LAST_STEP, decode_steps, decode_vector_stream
from popsparse_planner.cuda_machine import CudaMachine
from popsparse_planner.cuda_sampled import CELLS_AT_ONCE, NO_CELL, SAMPLED_SLOTS, cells_of, sampled_stream
from popsparse_planner.cuda_streams import element_side, element_stream, row_stream
from popsparse_planner.cuda_vectors import vector_stream


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


@given(
    patterns((1, 2, 4, 8, 12, 16)),
    st.booleans(),
    st.sampled_from([1, 9, 32]),
    st.integers(2, 12),
    st.sampled_from([1, 4, 40]),
    st.sampled_from([HOPPER, AMPERE]),
)
@settings(deadline=None, max_examples=40)
def test_decode_vector_stream_holds_every_value_once(
    pattern: BlockPattern, transposed: bool, n: int, most: int, multiprocessors: int, family: CudaMachine
) -> None:
    machine, columns = replace(family, shared_bytes=range_bytes(most * 16, 32)), 16 if n <= 16 else 32
    made = decode_steps(pattern, n, machine, multiprocessors, transposed=transposed)
    lists, cut = decode_vector_stream(made, transposed=transposed), made.cut
    assert made.shared_bytes(columns) <= machine.shared_bytes
    assert not cut.clustered or (family is HOPPER and cut.ranges in (2, 4, 8))
    wanted = inside_of(pattern, made.pieces.side, transposed=transposed)
    found = np.full((len(wanted), max(cut.ranges * cut.range_rows, wanted.shape[1])), -1)
    numbers = lists.sources.reshape(-1, 8, 4, 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 8, 16)  # step, row, vector
    side, cells = made.pieces.side, []
    for step, starts in enumerate(lists.starts.astype(int)):
        if step == 0 or lists.starts[step - 1, 0, 0] & LAST_STEP:
            cells.append(step)
        which, part = np.unravel_index(len(cells) - 1, made.steps_of_cell.shape)[:2]
        for group, named in enumerate(lists.rows[len(cells) - 1].tolist()):
            first = int(lists.lines[part, named // side]) if cut.clustered and named >= 0 else named
            inside = ((starts[:, group] & ~LAST_STEP)[:, None] + np.arange(side)).ravel()
            filled = inside < cut.range_rows  # the others name rows of zeros
            stored = numbers[step, group * side : (group + 1) * side]
            assert np.all(stored[:, ~filled] == -1)
            if first >= 0:
                held = filled & (which * cut.range_rows + inside < wanted.shape[1])
                place = slice(first, first + side), which * cut.range_rows + inside[held]
                assert np.all(found[place] == -1)
                found[place] = stored[: len(wanted) - first, held]
            else:
                assert not filled.any()
    assert len(cells) == len(lists.rows)
    assert np.array_equal(found[:, : wanted.shape[1]], wanted)
    begins, of_range = lists.begins.reshape(cut.ranges, -1, 2), made.steps_of_cell[0].size
    assert begins.shape[1] == 16 * cut.blocks + 1
    assert np.array_equal(begins[..., 0], np.append(cells, made.steps)[begins[..., 1]])
    assert np.array_equal(begins[:, 0, 1], np.arange(cut.ranges) * of_range)
    assert np.array_equal(begins[1:, 0], begins[:-1, -1])


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
        begin, of_dy, count = lists.begins[3 * group : 3 * group + 3]
        panels = lists.panels[begin : begin + count]
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
