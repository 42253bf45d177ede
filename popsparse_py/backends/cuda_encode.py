"""Patterns encoded on a CUDA device: work lists made there from index tensors, by address, without the host waiting."""

from __future__ import annotations

from typing import Callable, List, Tuple, Union

from popsparse_planner.cuda_dynamic import (
    ENCODE_SHARED_BYTES,
    ENCODE_THREADS,
    Launch,
    StreamSizes,
    UnitGrid,
    VectorSizes,
    encode_cluster,
)
from popsparse_planner.cuda_vectors import STEP_VALUES

from .cuda_device import CudaDevice
from .cuda_operands import Operands

Allocate = Callable[[int], int]  # address of so many bytes of the device, which live as long as what asked for them
Places = Tuple[int, int, int]  # addresses of row, col (slots) and nnz (1), int32


class PatternBits:
    """What encoders keep of a pattern (PatternArguments in cpp/cuda/encode_arguments.cuh)."""

    def __init__(self, grid: UnitGrid, allocate: Allocate) -> None:
        self.grid = grid
        sizes = [4 * grid.rows * grid.words, 4 * grid.block_words, 4 * grid.rows * (grid.words + 1), 8]
        self._bits = [allocate(size) if size else 0 for size in sizes]

    @property
    def fault(self) -> int:
        """Address of the word that says what was wrong with the pattern (Fault there), and of slots that count."""
        return self._bits[3]

    def words(self, places: Places, launch: Launch) -> List[int]:
        """As the kernels take them."""
        grid, (row, col, nnz) = self.grid, places
        along = (col, row) if grid.frame.transposed else (row, col)
        return [
            *(*along, nnz, grid.frame.slots, grid.frame.block_size, grid.height, grid.width, grid.classes),
            *(*self._bits, launch.first, launch.last),
        ]

    def start(
        self, device: CudaDevice, name: str, places: Places, launch: Launch, rest: List[int], stream: int
    ) -> None:
        """Start phases of an encoder; rest: its arguments behind those of the pattern."""
        product = Operands(0, 0, 0, 0, 0).product(0, self.grid.frame.shape)
        blocks = (launch.blocks // launch.cluster, launch.cluster, ENCODE_THREADS, ENCODE_SHARED_BYTES)
        arguments, boxes = [*self.words(places, launch), *rest], (0, 0, 0, launch.cluster, False)
        device.launch(name, blocks, product, arguments, boxes=boxes, stream=stream)


class Encoder:
    """Makes the work lists of one kernel for any pattern of the sizes; they lie where `allocate` says."""

    name = ""

    def __init__(
        self, device: CudaDevice, sizes: Union[StreamSizes, VectorSizes], begins: int, allocate: Allocate
    ) -> None:
        self.device = device
        self._bits, dealt = PatternBits(sizes.grid, allocate), sizes.dealt
        self.fault = self._bits.fault
        lists = [allocate(4 * n) for n in (sizes.grid.rows, sizes.grid.rows, dealt.owners * dealt.slots, begins)]
        self.begins = lists[3]
        self._dealt = [*lists, *dealt, int(dealt.ranked)]  # DealArguments there
        self._launches = sizes.launches(int(device.facts["multiprocessors"]), encode_cluster(device.machine))
        self._rest: List[int] = []  # the kernel's own arguments

    def enqueue(self, places: Places, stream: int) -> None:
        """Start encoding the pattern that is there when the stream comes to it."""
        for launch in self._launches:
            self._bits.start(self.device, self.name, places, launch, [*self._dealt, *self._rest], stream)


class StreamEncoder(Encoder):
    """The lists of the kernels that take blocks one by one: begins, rows and stream, as cuda_streams makes them."""

    name = "encode_stream"

    def __init__(self, device: CudaDevice, sizes: StreamSizes, allocate: Allocate) -> None:
        super().__init__(device, sizes, sizes.begins, allocate)
        self.sizes = sizes
        self.rows = allocate(4 * sizes.dealt.owners * sizes.dealt.slots)
        self.stream = allocate(8 * sizes.grid.pieces)
        self._rest = [
            *(self.rows, self.stream, sizes.ranges, sizes.range_units),
            *(int(sizes.grid.frame.transposed), sizes.offset_unit),
            *self._slabs(allocate),
            *(sizes.slab_rows, sizes.cluster_owners),
        ]

    def _slabs(self, allocate: Allocate) -> List[int]:
        """Bits of slabs and where they start, and slab_list, SlabList of cpp/cuda/arguments.cuh; null without lists."""
        words, clusters, slabs = self.sizes.slab_words, self.sizes.clusters, self.sizes.slabs
        found = [words, words + 1, clusters * slabs, clusters + 1]
        pointers = [allocate(4 * count) if clusters else 0 for count in found]
        self.slab_list = pointers[2:]
        return pointers


class VectorEncoder(Encoder):
    """The lists of the gathered kernel, and the values packed for it."""

    name = "encode_vectors"

    def __init__(self, device: CudaDevice, sizes: VectorSizes, allocate: Allocate) -> None:
        super().__init__(device, sizes, sizes.dealt.owners + 1, allocate)
        self.sizes = sizes
        self.rows = allocate(32 * sizes.dealt.owners * sizes.dealt.slots)
        before = allocate(4 * sizes.grid.rows * (sizes.windows + 1))
        self.stream, self.k_rows = allocate(4 * sizes.steps), allocate(32 * sizes.steps)
        self.codes, self.packed = allocate(4 * sizes.grid.pieces), allocate(2 * STEP_VALUES * sizes.steps)
        self._rest = [
            *(self.rows, before, self.stream, self.k_rows, self.codes, self.packed),
            *(sizes.steps, sizes.window_rows, sizes.slab_rows, sizes.ring_rows, int(sizes.grid.frame.transposed)),
        ]

    def pack(self, values: int, stream: int) -> None:
        """Start packing the values (slots, b, b) at this address for the pattern that was encoded last."""
        frame = self.sizes.grid.frame
        blocks = min(-(-frame.slots * frame.block_size**2 // ENCODE_THREADS), 65535)
        product = Operands(0, 0, self.packed, 0, 0, fault=self.fault).product(values, (0, 0))
        rest = [self.codes, self.fault + 4, frame.block_size, self.sizes.grid.width, int(frame.transposed)]
        self.device.launch("encode_pack_values", (blocks, 1, ENCODE_THREADS, 0), product, rest, stream=stream)
