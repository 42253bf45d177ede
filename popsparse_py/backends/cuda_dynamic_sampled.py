"""dY X^T at the blocks of a pattern that lies on the device: encoded there, then as for static patterns."""

from __future__ import annotations

from typing import Tuple

from popsparse_planner.cuda_dynamic import encode_cluster
from popsparse_planner.cuda_dynamic_sampled import CellSizes
from popsparse_planner.cuda_sampled import CELL, CELLS_AT_ONCE, SAMPLED_THREADS, STAGES

from .cuda_device import CudaDevice
from .cuda_encode import Allocate, PatternBits, Places
from .cuda_operands import Operands
from .cuda_product import ELEMENTS_THREADS, ELEMENTS_WARPS


class CudaDynamicSampler:
    """The work lists of one shape, block size and capacity. dtype: of dY, X and the values.

    `enqueue` writes the values of slots that count, none where the pattern is not sound: `fault` is the address of an
    int32 that says so.
    """

    def __init__(self, device: CudaDevice, sizes: CellSizes, dtype: str, allocate: Allocate) -> None:
        self.device, self.sizes, self.dtype = device, sizes, dtype
        self._bits = PatternBits(sizes.grid, allocate)
        self.fault = self._bits.fault
        grid, groups, words = sizes.grid, sizes.groups, sizes.grid.words
        self._bands = [allocate(4 * count) for count in (sizes.bands * words, sizes.bands * (words + 1))]
        self._begins, self._first = allocate(4 * (sizes.bands + 1)), allocate(4 * groups)
        self._places = allocate(4 * CELL**2 * groups * sizes.at_once) if sizes.has_places else 0
        by_cells = dtype != "float32"
        panels, counts, cells = 4 * sizes.panels * groups, 12 * groups, 8 * CELLS_AT_ONCE * groups
        self._lists = [allocate(size) if by_cells else 0 for size in (panels, counts, cells)]
        self._ones = [0 if by_cells else allocate(size) for size in (8 * groups, 4 * groups)]
        self._pitch = grid.frame.block_size
        self._launches = sizes.launches(int(device.facts["multiprocessors"]), encode_cluster(device.machine))

    def encode(self, places: Places, stream: int) -> None:
        """Start encoding the pattern that row, col (slots) and nnz (1) name when the stream comes to it."""
        sizes = self.sizes
        own = [*self._bands, self._begins, self._first, *self._lists, *self._ones, self._places]
        rest = [*own, sizes.band_rows, sizes.at_once, sizes.groups]
        for launch in self._launches:
            self._bits.start(self.device, "encode_cells", places, launch, rest, stream)

    def enqueue(self, dy: Tuple[int, int], x: Tuple[int, int], n: int, values: int, stream: int) -> None:
        """Start values (slots, b, b) = dy (m, n) x (k, n)^T; dy, x: address and pitch, a multiple of 16 bytes."""
        sizes, (panels, counts, cells), (rows, offsets) = self.sizes, self._lists, self._ones
        product = Operands(x[0], x[1], dy[0], dy[1], n).product(values, sizes.grid.frame.shape)
        if self.dtype == "float32":
            grid = (1, -(-sizes.groups // ELEMENTS_WARPS), ELEMENTS_THREADS, 0)
            rest = [rows, offsets, self._places, self._pitch, sizes.groups]
        else:
            grid = (1, sizes.groups, SAMPLED_THREADS, STAGES * sizes.stage_bytes)
            rest = [panels, counts, cells, self._places, self._pitch, sizes.stage_bytes]
        self.device.launch(f"sampled_{self.dtype}", grid, product, rest, stream=stream)
