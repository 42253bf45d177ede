"""Time of a product on a GPU, counted from the bytes and operations of its kernel: the largest of four bounds.

Counts are exact for the kernels as they are (cpp/cuda); the rates are those of the GPU's profile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Tuple

from .cuda_decode import DecodeStream
from .cuda_machine import BLOCK_SIDE, SLAB_COLUMNS, SLAB_ROWS, CudaMachine
from .cuda_profile import GpuProfile
from .cuda_streams import element_side
from .cuda_vectors import STEP_VALUES, VectorStream
from .pattern import BlockPattern

BOUNDS = ("memory", "l2", "shared", "operations")


@dataclass(frozen=True)
class CudaCount:
    """What a kernel moves and multiplies.

    memory_bytes: through HBM, each operand once; l2_bytes: from the L2 cache to the multiprocessors; shared_bytes: read
    from and written to shared memory; mma_flops, fma_flops, group_flops: operations of tensor cores by warps, of
    multiply-adds, and of tensor cores by warpgroups, with the zeros that are multiplied too; launches: kernels
    one after another.
    """

    memory_bytes: float
    l2_bytes: float
    shared_bytes: float
    mma_flops: float
    fma_flops: float
    group_flops: float = 0.0
    launches: int = 1

    @property
    def flops(self) -> float:
        """Operations of every kind."""
        return self.mma_flops + self.fma_flops + self.group_flops

    def __add__(self, other: CudaCount) -> CudaCount:
        return CudaCount(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values())))


@dataclass(frozen=True)
class CudaCost:
    """Seconds of each bound, which overlap, and of the launches, which do not."""

    memory_seconds: float
    l2_seconds: float
    shared_seconds: float
    operations_seconds: float
    launch_seconds: float

    @property
    def bound(self) -> str:
        """Which of BOUNDS is the largest."""
        return max(zip(self._bounds(), BOUNDS), key=lambda pair: pair[0])[1]

    @property
    def total_seconds(self) -> float:
        """The largest bound and the launches."""
        return max(self._bounds()) + self.launch_seconds

    def _bounds(self) -> Tuple[float, float, float, float]:
        return (self.memory_seconds, self.l2_seconds, self.shared_seconds, self.operations_seconds)


def cost_of(count: CudaCount, gpu: GpuProfile) -> CudaCost:
    """Seconds of what was counted."""
    return CudaCost(
        memory_seconds=count.memory_bytes / gpu["memory_bytes_per_second"],
        l2_seconds=count.l2_bytes / gpu["l2_bytes_per_second"],
        shared_seconds=count.shared_bytes / gpu.shared_bytes_per_second,
        operations_seconds=count.mma_flops / gpu["mma_flops_per_second"]
        + count.fma_flops / gpu["fma_flops_per_second"]
        + count.group_flops / gpu["dense_flops_per_second.bfloat16"],
        launch_seconds=count.launches * gpu["launch_seconds"],
    )


def dense_seconds(shape: Tuple[int, int], n: int, dtype: str, gpu: GpuProfile) -> float:
    """The dense product of the same shape: its operations or its bytes, whichever takes longer, and one launch."""
    (m, k), size = shape, element_bytes(dtype)
    moved = (m * k + k * n + m * n) * size / gpu["memory_bytes_per_second"]
    return max(2 * m * k * n / gpu[f"dense_flops_per_second.{dtype}"], moved) + gpu["launch_seconds"]


def element_bytes(dtype: str) -> int:
    """Bytes of an element: 4 of float32, else 2."""
    return 4 if dtype == "float32" else 2


def operand_bytes(shape: Tuple[int, int], n: int, values: int, dtype: str) -> float:
    """X, Y and the stored values, each once."""
    return float((shape[0] * n + shape[1] * n + values) * element_bytes(dtype))


def row_count(
    pattern: BlockPattern, shape: Tuple[int, int], n: int, machine: CudaMachine, *, by_groups: bool = False
) -> CudaCount:
    """The row kernel (cpp/cuda/rows.cuh, by_groups: blocks.cuh): each block of threads passes over all of X's rows."""
    b = pattern.block_size
    side = BLOCK_SIDE if by_groups else 32 if b % 32 == 0 else 16
    rows = machine.block_slots * BLOCK_SIDE * 2 if by_groups else 8 * side * machine.row_slots(side)
    tiles = -(-n // SLAB_COLUMNS)
    groups = -(-shape[0] // rows)
    values = pattern.nnz_blocks * b * b
    fill = 2.0 * groups * tiles * (-(-shape[1] // SLAB_ROWS) * SLAB_ROWS) * SLAB_COLUMNS
    reads = values / side * SLAB_COLUMNS * 2.0 * tiles
    stream = values // side**2 * 8
    flops = 2.0 * values * tiles * SLAB_COLUMNS
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, values, "bfloat16") + stream,
        l2_bytes=fill / machine.cluster(groups) + tiles * (2.0 * values + stream),
        shared_bytes=fill + reads,
        mma_flops=0.0 if by_groups else flops,
        fma_flops=0.0,
        group_flops=flops if by_groups else 0.0,
    )


def vector_count(stream: VectorStream, shape: Tuple[int, int], n: int, machine: CudaMachine) -> CudaCount:
    """The gathered kernel (cpp/cuda/vectors.cuh)."""
    tiles = -(-n // SLAB_COLUMNS)
    fill = 2.0 * stream.groups * tiles * (-(-shape[1] // SLAB_ROWS) * SLAB_ROWS) * SLAB_COLUMNS
    step_bytes = 2 * STEP_VALUES + 16 + 4
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, 0, "bfloat16") + stream.steps * step_bytes,
        l2_bytes=fill / machine.cluster(stream.groups) + float(tiles) * stream.steps * step_bytes,
        shared_bytes=fill + float(tiles) * stream.steps * 16 * SLAB_COLUMNS * 2,
        mma_flops=2.0 * stream.steps * STEP_VALUES * tiles * SLAB_COLUMNS,
        fma_flops=0.0,
    )


def element_count(pattern: BlockPattern, shape: Tuple[int, int], n: int, dtype: str) -> CudaCount:
    """The kernels of multiply-adds (cpp/cuda/elements.cuh): rows of X come from L2 for every piece of a block."""
    b, size = pattern.block_size, element_bytes(dtype)
    side = element_side(b, dtype)
    values = pattern.nnz_blocks * b * b
    tiles = -(-n // 128)
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, values, dtype) + values / side**2 * 8,
        l2_bytes=values / side * n * float(size) + tiles * values * (size + 8.0 / side**2),
        shared_bytes=0.0,
        mma_flops=0.0,
        fma_flops=2.0 * values * tiles * 128,
    )


def decode_count(
    pattern: BlockPattern, stream: DecodeStream, shape: Tuple[int, int], n: int, columns: int, blocks_of_threads: int
) -> CudaCount:
    """The kernel for few columns (cpp/cuda/decode.cuh) with so many blocks of threads for each range of k."""
    values = pattern.nnz_blocks * pattern.block_size**2
    held = 2.0 * blocks_of_threads * stream.ranges * stream.range_rows * columns
    partials = 8.0 * stream.ranges * shape[0] * n if stream.ranges > 1 else 0.0
    streamed = 2.0 * values + values // 256 * 8
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, values, "bfloat16") + values // 256 * 8,
        l2_bytes=held + streamed + partials,
        shared_bytes=held + values / 16 * columns * 2.0,
        mma_flops=2.0 * values * columns,
        fma_flops=0.0,
        launches=2 if stream.ranges > 1 else 1,
    )
