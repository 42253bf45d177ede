"""Products with a pattern that lies on the device: encoded there, multiplied by the kernels of static patterns."""

from __future__ import annotations

from typing import Callable, List, Optional

from popsparse_planner.cuda_decode import DECODE_THREADS, decode_columns, range_bytes
from popsparse_planner.cuda_dynamic import StreamSizes
from popsparse_planner.cuda_dynamic_plan import CudaDynamicPlan
from popsparse_planner.cuda_plan import decode_blocks

from .cuda_decode import start_ranges
from .cuda_device import CudaDevice
from .cuda_encode import Allocate, Encoder, Places, StreamEncoder, VectorEncoder
from .cuda_operands import Operands, Scratch
from .cuda_product import CudaProduct

_EVERY_SLAB = (0, 0)  # SlabList of cpp/cuda/arguments.cuh


class CudaDynamicProduct(CudaProduct):
    """The work lists of one plan for any pattern of its shape, block size and capacity.

    What `allocate` gives has to live as long as the product, and until the stream has used it. `encode` makes the lists
    of a pattern; a product after it is of that pattern, NaN where the pattern is not sound.
    """

    def __init__(self, device: CudaDevice, plan: CudaDynamicPlan, allocate: Allocate) -> None:
        self.device, self.plan = device, plan.product
        self.arrays = []
        self.values, self._packed = 0, None
        self._vectors: Optional[VectorEncoder] = None
        if isinstance(plan.sizes, StreamSizes):
            stream = StreamEncoder(device, plan.sizes, allocate)
            self._encoder: Encoder = stream
            self._enqueue = self._of_stream(stream)
        else:
            self._encoder = self._vectors = VectorEncoder(device, plan.sizes, allocate)
            self._enqueue = self._of_vectors(self._vectors)
        self.fault = self._encoder.fault

    def encode(self, places: Places, stream: int) -> None:
        """Start encoding the pattern that row, col (slots) and nnz (1) name when the stream comes to it; set_values has
        to follow.
        """
        self._encoder.enqueue(places, stream)

    def set_values(self, values: int, stream: int = 0) -> None:
        """As CudaProduct's, values (slots, b, b)."""
        self.values = values
        if self._vectors is not None:
            self._vectors.pack(values, stream)
            self.values = self._vectors.packed

    def _of_vectors(self, encoder: VectorEncoder) -> Callable[[Operands, int, Scratch], None]:
        lists = [encoder.stream, encoder.k_rows, encoder.begins, encoder.rows, *_EVERY_SLAB]
        return self._ring(self._vectors_name, encoder.sizes.dealt.owners // self._tile.owners, lists)

    def _of_stream(self, encoder: StreamEncoder) -> Callable[[Operands, int, Scratch], None]:
        kernel, sizes, pitch = self.plan.kernel, encoder.sizes, self.plan.block_size
        lists: List[int] = [encoder.stream, encoder.begins, encoder.rows]
        if kernel == "decode":
            columns, range_rows = decode_columns(self.plan.n), sizes.range_units * sizes.side
            blocks = decode_blocks(sizes.ranges, sizes.dealt.owners, self.device.facts["multiprocessors"])
            grid = (blocks, sizes.ranges, DECODE_THREADS, range_bytes(range_rows, columns))
            after = [pitch, sizes.dealt.owners, sizes.ranges, range_rows]
            return start_ranges(self, (f"decode{columns}", columns), grid, lists[:2], after)
        if kernel == "elements":
            return self._elements(sizes.side, [*lists, pitch, sizes.dealt.owners])
        return self._ring(self._rows_name, sizes.dealt.owners // self._tile.owners, [*lists, pitch, *encoder.slab_list])
