"""Patterns encoded on the emulated GPU: the same lists, word for word, as the host makes of the same pattern."""

from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.encoding import KINDS, Memory, few_tiles, frame_of, pattern_of, placed

from popsparse_planner import BlockPattern
from popsparse_planner import cuda_dynamic as sizes_of
from popsparse_planner.cuda_decode import decode_stream
from popsparse_planner.cuda_machine import CudaMachine
from popsparse_planner.cuda_streams import element_stream, row_stream
from popsparse_planner.cuda_tiles import Tile, tiles
from popsparse_py.backends.cuda_device import CudaDevice
from popsparse_py.backends.cuda_encode import StreamEncoder


def check_lists(device: CudaDevice, pattern: BlockPattern, sizes: sizes_of.StreamSizes, wanted: List[Any]) -> None:
    """Fails unless the device makes `wanted` (stream, begins, rows; in the order of a sorted pattern)."""
    blocks, frame = pattern.nnz_blocks, sizes.grid.frame
    memory = Memory(device)
    encoder = StreamEncoder(device, sizes, memory)
    for order in (np.arange(blocks), np.random.default_rng(1).permutation(blocks)):
        encoder.enqueue(placed(memory, pattern, frame.slots, order), 0)
        assert memory.get(encoder.fault, np.zeros(2, np.int32)).tolist() == [0, blocks]
        assert np.array_equal(memory.get(encoder.begins, wanted[1]), wanted[1])
        stream = memory.get(encoder.stream, np.zeros((sizes.grid.pieces, 2), np.uint32))[: len(wanted[0])].astype(
            np.int64
        )
        per_block = frame.block_size**2 // sizes.offset_unit
        stream[:, 1] = order[stream[:, 1] // per_block] * per_block + stream[:, 1] % per_block
        assert np.array_equal(stream, wanted[0])
        if wanted[2] is not None:
            assert np.array_equal(memory.get(encoder.rows, wanted[2]), wanted[2])
        for pointer, array in zip(encoder.slab_list, wanted[3:]):
            assert np.array_equal(memory.get(pointer, array), array)


def of_host(pattern: BlockPattern, tile: Tile, *, transposed: bool = False) -> List[np.ndarray]:
    """stream, begins, rows, and the slabs that each cluster needs with where they begin."""
    made = row_stream(pattern, tile, transposed=transposed)
    return [*made.arrays, made.lists.slabs, made.lists.begins]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("b", "transposed"), [(16, False), (32, True), (48, True), (48, False)])
def test_row_lists_are_those_of_the_host(emulated: Emulated, kind: str, b: int, transposed: bool) -> None:
    device, pattern = emulated.device("Hopper", seed=b), pattern_of(kind, 37 * 16 // b, 21, b)
    frame = frame_of(pattern, pattern.nnz_blocks + 3, transposed=transposed)
    for tile in few_tiles("rows", b, frame.shape[0], device.machine):
        check_lists(device, pattern, sizes_of.row_sizes(frame, tile), of_host(pattern, tile, transposed=transposed))


def test_other_lists_are_those_of_the_host(emulated: Emulated) -> None:
    device = emulated.device("Hopper", seed=5)
    machine: CudaMachine = device.machine
    wide = pattern_of("random", 5, 9, 128)
    frame = frame_of(wide, 45, transposed=True)
    for tile in few_tiles("blocks", 128, frame.shape[0], machine):
        check_lists(device, wide, sizes_of.row_sizes(frame, tile), of_host(wide, tile, transposed=True))
    for b in (1, 12, 16):
        small = pattern_of("one heavy row", 17, 40, b)
        sizes = sizes_of.element_sizes(frame_of(small, 400), "float32")
        check_lists(device, small, sizes, list(element_stream(small, sizes.side).arrays))
    few = pattern_of("random", 6, 40, 32)
    for shared in (machine.shared_bytes, 6000, 24 * 32):  # one range, eight, one for each piece
        decode = decode_stream(few, 16, shared, 132)
        sizes = sizes_of.decode_sizes(frame_of(few, 200), 16, shared, 132)
        assert sizes.ranges == decode.ranges
        check_lists(device, few, sizes, [decode.stream, decode.begins, None])


WAYS = {
    "one block": [(0, 6, 1)],
    "one cluster": [(0, 6, 4, 4)],
    "four": [(0, 1, 3), (1, 2, 3), (2, 5, 1), (5, 6, 3)],
    "each phase": [(phase, phase + 1, 1 if phase == 4 else 3) for phase in range(6)],
}


@pytest.mark.parametrize("way", WAYS)
def test_phases_may_be_started_together_or_not(emulated: Emulated, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device, pattern = emulated.device("Hopper", seed=2), pattern_of("random", 30, 50, 16)
    launches = [sizes_of.Launch(*one) for one in WAYS[way]]
    monkeypatch.setattr(sizes_of.StreamSizes, "launches", lambda self, multiprocessors, cluster: launches)
    tile = tiles("rows", 16, 480, device.machine)[0]
    sizes = sizes_of.row_sizes(frame_of(pattern, 600), tile)
    check_lists(device, pattern, sizes, of_host(pattern, tile))
    assert emulated.launches == 2 * len(launches)


@pytest.mark.parametrize("cluster", [1, 8])
def test_launches_cover_every_phase_once(cluster: int) -> None:
    found = []
    for size, slots in ((64, 16), (4096, 3000), (4096, 16384), (16384, 65536), (65536, 1 << 20)):
        frame = sizes_of.Frame((size, size), 16, slots)
        machine = CudaMachine("Hopper", 128, True, 232448)
        launches = sizes_of.row_sizes(frame, tiles("rows", 16, size, machine)[0]).launches(132, cluster)
        assert [phase for launch in launches for phase in range(launch.first, launch.last)] == list(range(6))
        assert all(launch.blocks == launch.cluster for launch in launches if launch.last - launch.first > 1)
        found.append(len(launches))
    assert found == ([1, 4, 4, 6, 6] if cluster == 1 else [1, 1, 1, 4, 6])


FAULTS: Dict[str, Tuple[int, Callable[[np.ndarray, np.ndarray], Tuple[np.ndarray, np.ndarray, int]]]] = {
    "more blocks than slots": (1, lambda row, col: (row, col, len(row) + 1)),
    "fewer than none": (1, lambda row, col: (row, col, -1)),
    "a row beyond the grid": (2, lambda row, col: (np.where(row == row[-1], 9, row), col, len(row))),
    "a column before the grid": (2, lambda row, col: (row, np.where(col == col[3], -1, col), len(row))),
    "a block twice": (4, lambda row, col: (np.append(row[1:], row[5]), np.append(col[1:], col[5]), len(row))),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_faults_are_found_and_nothing_is_multiplied(emulated: Emulated, fault: str) -> None:
    device, pattern = emulated.device("Hopper", seed=3), pattern_of("random", 9, 21, 16)
    memory = Memory(device)
    bits, spoil = FAULTS[fault]
    row, col, nnz = spoil(pattern.rows.astype(np.int32), pattern.cols.astype(np.int32))
    places = memory.put(row), memory.put(col), memory.put(np.array([nnz], np.int32))
    sizes = sizes_of.row_sizes(frame_of(pattern, len(row)), tiles("rows", 16, 144, device.machine)[0])
    encoder = StreamEncoder(device, sizes, memory)
    encoder.enqueue(places, 0)
    assert memory.get(encoder.fault, np.zeros(2, np.int32))[0] == bits
    assert not memory.get(encoder.begins, np.zeros(sizes.begins, np.uint32)).any()
    rows = memory.get(encoder.rows, np.zeros(sizes.dealt.owners * sizes.dealt.slots, np.int32))
    assert sorted(rows[rows >= 0]) == list(range(0, 144, 16))  # all of Y is written
