"""Products on a CUDA device by address: W's work lists and values in its memory, kernels started on a stream."""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

import numpy as np

from popsparse_planner.cuda_cost import element_bytes
from popsparse_planner.cuda_machine import RING_THREADS, SLAB_COLUMNS
from popsparse_planner.cuda_plan import CudaPlan
from popsparse_planner.cuda_sampled import CELL, SAMPLED_THREADS, STAGES, cells_of, sampled_stream
from popsparse_planner.cuda_streams import element_side, element_stream, row_stream
from popsparse_planner.cuda_tiles import SlabLists, Tile
from popsparse_planner.cuda_vectors import vector_stream
from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern

from .cuda_decode import start_decode, start_decode_vectors
from .cuda_device import CudaDevice, DeviceArray
from .cuda_operands import Operands, Scratch

ELEMENTS_COLUMNS, ELEMENTS_WARPS, ELEMENTS_THREADS = 128, 4, 128
GATHER_THREADS = 256
BOX_ELEMENTS = ("float16", "bfloat16", "float32")  # Boxes of cpp/cuda/driver.hpp


class CudaProduct:
    """The work lists of one plan and pattern on the device. PlanError if the pattern is not one of the plan's."""

    def __init__(self, device: CudaDevice, plan: CudaPlan, pattern: BlockPattern) -> None:
        self.device, self.plan = device, plan
        self.fault = 0  # address of the word that an encoder writes
        self.values = 0  # address of those that the kernel reads
        self._packed: Optional[DeviceArray] = None
        start = {
            "blocks": self._start_rows,
            "rows": self._start_rows,
            "vectors": self._start_vectors,
            "elements": self._start_elements,
            "decode": lambda pattern: start_decode(self, pattern),
            "decode_vectors": lambda pattern: start_decode_vectors(self, pattern),
        }
        self.arrays: List[DeviceArray] = []
        self._enqueue: Callable[[Operands, int, Scratch], None] = start[plan.kernel](pattern)

    @property
    def lists_bytes(self) -> int:
        """Bytes of the work lists, and of values in another order where the kernel needs one."""
        return sum(array.num_bytes for array in self.arrays)

    def set_values(self, values: int, stream: int = 0) -> None:
        """Use the values (nnz_blocks, b, b) at this address from now on; those that a kernel reads in another order are
        copied, on the stream.
        """
        self.values = values
        if self._packed is not None:
            count = self._packed.num_bytes // self._packed_bytes
            grid = (min(-(-count // GATHER_THREADS), 65535), 1, GATHER_THREADS, 0)
            product = Operands(0, 0, self._packed.pointer, 0, 0).product(values, (0, 0))
            if count:
                gather = "gather_tf32" if self.plan.arithmetic == "tf32" else "gather_values"
                self.device.launch(gather, grid, product, (self.arrays[0].pointer, count), stream=stream)
            self.values = self._packed.pointer

    def enqueue(self, operands: Operands, stream: int, scratch: Scratch) -> None:
        """Start y = activation(W x + bias) on the stream."""
        self._enqueue(operands, stream, scratch)

    @property
    def _packed_bytes(self) -> int:
        """Of a packed value."""
        return element_bytes(self.plan.dtype)

    def pack(self, sources: np.ndarray) -> None:
        """Keep a copy of the values in the kernel's order; sources: element of values for each of them, -1: zero."""
        self.put((sources,))
        self._packed = self.device.empty(self._packed_bytes * len(sources))

    def put(self, arrays: Tuple[np.ndarray, ...]) -> List[int]:
        """Addresses of work lists, brought to the device."""
        placed = [self.device.put(array) for array in arrays]
        self.arrays += placed
        return [array.pointer for array in placed]

    def _name(self, kernel: str) -> str:
        turned = "transposed_" if self.plan.transposed else ""
        return f"{kernel}_{turned}{self.plan.arithmetic}"

    @property
    def _tile(self) -> Tile:
        if self.plan.tile is None:
            raise PlanError(f"a plan of kernel {self.plan.kernel!r} needs a tile: plan again")
        return self.plan.tile

    def _put_lists(self, lists: SlabLists) -> List[int]:
        """SlabList of cpp/cuda/arguments.cuh: null where every slab is needed."""
        return [0, 0] if lists.complete else self.put((lists.slabs, lists.begins))

    def _start_rows(self, pattern: BlockPattern) -> Callable[[Operands, int, Scratch], None]:
        lists = row_stream(pattern, self._tile, transposed=self.plan.transposed)
        rest = [*self.put(lists.arrays), lists.pitch, *self._put_lists(lists.lists)]
        return self._ring(self._rows_name, lists.groups, rest)

    @property
    def _rows_name(self) -> str:
        """The row kernel of the plan's tile, or that for warpgroups."""
        wide = "_wide" if self._tile.columns > SLAB_COLUMNS else ""
        kernel = f"rows{self._tile.side}{wide}" if self.plan.kernel == "rows" else self.plan.kernel
        return self._name(f"{kernel}_by_rows" if self.plan.takes_rows else kernel)

    def _start_vectors(self, pattern: BlockPattern) -> Callable[[Operands, int, Scratch], None]:
        lists = vector_stream(pattern, self._tile, self.device.machine, transposed=self.plan.transposed)
        self.pack(lists.sources)
        rest = [*self.put(lists.arrays), *self._put_lists(lists.lists)]
        return self._ring(self._vectors_name, lists.groups, rest)

    @property
    def _vectors_name(self) -> str:
        return f"vectors_{'by_rows_' if self.plan.takes_rows else ''}{self.plan.arithmetic}"

    def _ring(self, name: str, groups: int, rest: List[int]) -> Callable[[Operands, int, Scratch], None]:
        machine, tile, takes_rows = self.device.machine, self._tile, self.plan.takes_rows
        boxes = (0, 0, 0, 1, False)
        if machine.tensor_maps:  # of X that a block of threads copies to all of its cluster
            lines = (tile.columns if takes_rows else tile.slab_rows) // tile.cluster
            panel = SLAB_COLUMNS * 2 // tile.element_bytes  # elements of 128 bytes
            boxes = (lines, panel, BOX_ELEMENTS.index(self.plan.dtype), tile.cluster, takes_rows)

        def enqueue(operands: Operands, stream: int, scratch: Scratch) -> None:
            grid = (-(-operands.n // tile.columns), groups, RING_THREADS, machine.ring_bytes(tile.slab_bytes))
            product = operands.product(self.values, self.plan.shape)
            self.device.launch(name, grid, product, rest, boxes=boxes, stream=stream)

        return enqueue

    def _start_elements(self, pattern: BlockPattern) -> Callable[[Operands, int, Scratch], None]:
        side = element_side(pattern.block_size, self.plan.dtype)
        lists = element_stream(pattern, side, transposed=self.plan.transposed)
        return self._elements(lists.side, [*self.put(lists.arrays), lists.pitch, len(lists.rows)])

    def _elements(self, side: int, rest: List[int]) -> Callable[[Operands, int, Scratch], None]:
        """By pieces of side x side; rest ends in the number of block rows."""
        name = self._name(f"elements{side}") if side > 1 else f"elements1_{self.plan.dtype}"

        def enqueue(operands: Operands, stream: int, scratch: Scratch) -> None:
            grid = (-(-operands.n // ELEMENTS_COLUMNS), -(-rest[-1] // ELEMENTS_WARPS), ELEMENTS_THREADS, 0)
            self.device.launch(name, grid, operands.product(self.values, self.plan.shape), rest, stream=stream)

        return enqueue


class CudaSampler:
    """dY X^T at the blocks of one pattern, work lists on the device. dtype: of dY, X and the values."""

    def __init__(self, device: CudaDevice, pattern: BlockPattern, dtype: str) -> None:
        self.device, self.pattern, self.dtype = device, pattern, dtype
        self._arrays: List[DeviceArray] = []
        self._grid, self._rest = self._start_elements() if dtype == "float32" else self._start_cells()

    def enqueue(self, dy: Tuple[int, int], x: Tuple[int, int], n: int, values: int, stream: int) -> None:
        """Start values (nnz_blocks, b, b) = dy (m, n) x (k, n)^T; dy, x: address and pitch, a multiple of 16 bytes."""
        if self._grid[1]:
            product = Operands(x[0], x[1], dy[0], dy[1], n).product(values, self.pattern.shape)
            self.device.launch(f"sampled_{self.dtype}", self._grid, product, self._rest, stream=stream)

    def _put(self, array: Optional[np.ndarray]) -> int:
        if array is None:
            return 0
        self._arrays.append(self.device.put(array))
        return self._arrays[-1].pointer

    def _start_cells(self) -> Tuple[Tuple[int, int, int, int], List[int]]:
        lists = sampled_stream(self.pattern, self.device.machine.shared_bytes)
        grid = (1, lists.groups, SAMPLED_THREADS, STAGES * lists.stage_bytes)
        return grid, [*(self._put(array) for array in lists.arrays), lists.pitch, lists.stage_bytes]

    def _start_elements(self) -> Tuple[Tuple[int, int, int, int], List[int]]:
        cells = cells_of(self.pattern)
        count = len(cells.rows)
        rows = (np.stack([cells.rows, cells.columns], axis=1) * CELL).astype(np.int32)
        grid = (1, -(-count // ELEMENTS_WARPS), ELEMENTS_THREADS, 0)
        lists = (rows, cells.offsets.astype(np.uint32), cells.places)
        return grid, [*(self._put(array) for array in lists), cells.pitch, count]
