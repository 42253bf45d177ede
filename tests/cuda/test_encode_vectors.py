"""Lists of the gathered kernel encoded on the emulated GPU: every value once, in steps that the ring can serve."""

from typing import Any, List, NamedTuple

import numpy as np
import pytest
from cuda.emulated import Emulated
from cuda.encoding import KINDS, Memory, few_tiles, frame_of, pattern_of, placed

from popsparse_planner import BlockPattern
from popsparse_planner.cuda_dynamic import VectorSizes, vector_sizes
from popsparse_planner.cuda_dynamic_plan import steps_by_window
from popsparse_planner.cuda_vectors import neighbours, vector_side
from popsparse_py.backends.cuda_device import CudaDevice
from popsparse_py.backends.cuda_encode import VectorEncoder


class Lists(NamedTuple):
    """What an encoder made."""

    begins: np.ndarray
    rows: np.ndarray
    stream: np.ndarray
    k_rows: np.ndarray
    packed: np.ndarray


def numbers_of(pattern: BlockPattern) -> np.ndarray:
    """uint16 (blocks, b, b) values above 0, neighbours different."""
    b = pattern.block_size
    return (np.arange(pattern.nnz_blocks * b * b).reshape(-1, b, b) % 65521 + 1).astype(np.uint16)


def encoded(device: CudaDevice, pattern: BlockPattern, sizes: VectorSizes, order: np.ndarray) -> Lists:
    """The lists of a pattern with blocks in that order."""
    memory = Memory(device)
    encoder = VectorEncoder(device, sizes, memory)
    encoder.enqueue(placed(memory, pattern, sizes.grid.frame.slots, order), 0)
    encoder.pack(memory.put(numbers_of(pattern)[order]), 0)
    owners = sizes.dealt.owners
    return Lists(
        memory.get(encoder.begins, np.zeros(owners + 1, np.uint32)),
        memory.get(encoder.rows, np.zeros((owners, sizes.dealt.slots, 8), np.int32)),
        memory.get(encoder.stream, np.zeros(sizes.steps, np.uint32)),
        memory.get(encoder.k_rows, np.zeros((sizes.steps, 2, 8), np.uint16)),
        memory.get(encoder.packed, np.zeros((sizes.steps, 8, 4, 2, 2), np.uint16)),
    )


def dense_of(pattern: BlockPattern, *, transposed: bool) -> np.ndarray:
    """W or its transpose, without rows beyond those of Y, and pieces beyond those of X."""
    b, grid = pattern.block_size, np.zeros((*pattern.block_grid, pattern.block_size, pattern.block_size), int)
    grid[pattern.rows, pattern.cols] = numbers_of(pattern)
    whole = grid.transpose(0, 2, 1, 3).reshape(grid.shape[0] * b, grid.shape[1] * b)
    found: np.ndarray = whole.T if transposed else whole
    rows, rows_of_x = pattern.shape[::-1] if transposed else pattern.shape
    return found[:rows, : -(-rows_of_x // vector_side(b)) * vector_side(b)]


def check_steps(made: Lists, sizes: VectorSizes, wanted: np.ndarray) -> None:
    """Fails unless the steps hold `wanted`, each value once."""
    found = np.zeros_like(wanted)
    slabs = -(-wanted.shape[1] // sizes.slab_rows)
    for owner in range(sizes.dealt.owners):
        steps = np.arange(made.begins[owner], made.begins[owner + 1])
        last = (made.stream[steps] & 0xFFFFFF).astype(int)
        assert np.all(np.diff(last) >= 0) and np.all(last < slabs)
        for step, newest in zip(steps, last.tolist()):
            rows = made.rows[owner, made.stream[step] >> 24]
            for half in range(2):
                ring = made.k_rows[step, half].astype(int)
                assert all(len(set(ring[ring % 8 == bank].tolist())) <= 1 for bank in range(8))
                age = (newest - ring // sizes.slab_rows) % (sizes.ring_rows // sizes.slab_rows)
                assert np.all(age < sizes.window_rows // sizes.slab_rows)
                columns = (newest - age) * sizes.slab_rows + ring % sizes.slab_rows
                numbers = made.packed[step, :, :, half, :].reshape(8, 8)
                used = numbers.any(axis=0)
                assert half == 1 or set(columns[~used]) <= set(columns[used])  # no row that the step has no use for
                for v in np.flatnonzero(used):
                    held = (numbers[:, v] > 0) & (rows >= 0)
                    assert not found[rows[held], columns[v]].any()
                    found[rows[held], columns[v]] = numbers[held, v]
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("b", "transposed", "kind"),
    [(4, True, kind) for kind in KINDS]
    + [(b, turned, "ragged") for b, turned in ((1, False), (8, False), (12, False), (12, True), (24, True))]
    + [(1, True, "random"), (8, False, "full")],
)
def test_steps_hold_every_value_once(emulated: Emulated, b: int, transposed: bool, kind: str) -> None:
    device = emulated.device("Hopper" if b % 3 else "Ampere", seed=b)
    pattern = pattern_of(kind, max(160 // b, 20), 600 // b, b)
    frame = frame_of(pattern, pattern.nnz_blocks + 3, transposed=transposed)
    wanted = dense_of(pattern, transposed=transposed)
    for tile in few_tiles("vectors", b, frame.shape[0], device.machine)[: 2 if kind == "random" else 1]:
        sizes = vector_sizes(frame, tile, device.machine)
        orders = [np.arange(pattern.nnz_blocks), np.random.default_rng(1).permutation(pattern.nnz_blocks)]
        found: List[Any] = [encoded(device, pattern, sizes, order) for order in orders]
        check_steps(found[0], sizes, wanted)
        steps = int(found[0].begins[-1])
        assert steps <= sizes.steps
        assert steps == steps_by_window(neighbours(pattern, transposed=transposed), sizes.window_rows).sum()
        assert all(np.array_equal(one[:steps], other[:steps]) for one, other in zip(found[0][2:], found[1][2:]))
