"""What tests of encoders need: patterns, and memory of an emulated device."""

from typing import Any, Dict, List, Tuple

import numpy as np

from popsparse_planner import BlockPattern
from popsparse_planner.cuda_dynamic import Frame
from popsparse_planner.cuda_machine import CudaMachine
from popsparse_planner.cuda_tiles import Tile, tiles
from popsparse_py.backends.cuda_device import CudaDevice, DeviceArray

KINDS = ("empty", "full", "random", "one heavy row", "ragged")


class Memory:
    """Memory of a device that lives as long as this, and copies of it."""

    def __init__(self, device: CudaDevice) -> None:
        self.device = device
        self.arrays: Dict[int, DeviceArray] = {}

    def __call__(self, num_bytes: int) -> int:
        return self._kept(self.device.empty(num_bytes))

    def put(self, array: np.ndarray) -> int:
        """Address of a copy of `array`."""
        return self._kept(self.device.put(array))

    def write(self, pointer: int, array: np.ndarray) -> None:
        """Copy `array` to what lies there."""
        self.device.native.upload(pointer, np.ascontiguousarray(array), 0)

    def get(self, pointer: int, like: Any) -> np.ndarray:
        """What lies there, as an array of that shape and type."""
        found = np.empty_like(like)
        self.device.native.download(found, pointer, 0)
        return found

    def _kept(self, array: DeviceArray) -> int:
        self.arrays[array.pointer] = array
        return array.pointer


def pattern_of(kind: str, rows: int, columns: int, b: int) -> BlockPattern:
    """A pattern by name."""
    rng = np.random.default_rng(b)
    mask = rng.random((rows, columns)) < {"empty": 0, "full": 1}.get(kind, 0.3)
    if kind == "one heavy row":
        mask[rows // 2] = True
    short = (b // 2, b // 3) if kind == "ragged" else (0, 0)
    shape = (rows * b - short[0], columns * b - short[1])
    return BlockPattern.from_mask(mask, block_size=b, shape=shape)


def frame_of(pattern: BlockPattern, slots: int, *, transposed: bool = False) -> Frame:
    """The frame of a product with that pattern."""
    shape = pattern.shape[::-1] if transposed else pattern.shape
    return Frame(shape, pattern.block_size, slots, transposed)


def few_tiles(kernel: str, block_size: int, rows: int, machine: CudaMachine) -> List[Tile]:
    """Tiles of a kernel: heavy and light rows mixed, neighbours together with fewer slots in use, another width."""
    every = [tile for tile in tiles(kernel, block_size, rows, machine) if tile.cluster == 1]
    return list(dict.fromkeys([every[0], *(tile for tile in every if tile.together)][:3:2] + every[-2:-1]))


def indices(pattern: BlockPattern, slots: int, order: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """row, col, nnz, blocks in that order; slots that do not count hold what is no block."""
    unused = np.full(slots - pattern.nnz_blocks, -7, np.int32)
    row, col = (np.concatenate([i[order].astype(np.int32), unused]) for i in (pattern.rows, pattern.cols))
    return row, col, np.array([pattern.nnz_blocks], np.int32)


def placed(memory: Memory, pattern: BlockPattern, slots: int, order: np.ndarray) -> Tuple[int, int, int]:
    """Addresses of row, col, nnz on the device."""
    row, col, nnz = indices(pattern, slots, order)
    return memory.put(row), memory.put(col), memory.put(nnz)
