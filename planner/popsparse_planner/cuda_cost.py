"""Time of a product on a GPU, counted from the bytes and operations of its kernel: the largest of four bounds.

Counts are exact for the kernels as they are (cpp/cuda); the rates are those of the GPU's profile. One block of threads
runs on a multiprocessor at a time: where the last round of them leaves multiprocessors idle, all rates but that of HBM
are so much lower. Waits for slabs of X that are still on their way are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Tuple

from .cuda_decode import DecodeStream
from .cuda_decode_vectors import DecodeSteps, decode_vectors_columns
from .cuda_machine import BLOCK_SIDE, VECTOR_DEPTH, VECTOR_ROWS
from .cuda_profile import GpuProfile
from .cuda_streams import element_side
from .cuda_tiles import Tile, TileUse
from .cuda_vectors import STEP_VALUES
from .pattern import BlockPattern

BOUNDS = ("memory", "l2", "shared", "operations")


@dataclass(frozen=True)
class CudaCount:
    """What a kernel moves and multiplies.

    memory_bytes: through HBM, each operand once; l2_bytes: from the L2 cache to the multiprocessors; shared_bytes: read
    from and written to shared memory, and W's way through the first cache, which is the same memory; mma_flops,
    fma_flops, group_flops, tf32_flops: operations of tensor cores by warps, of multiply-adds, of tensor cores by
    warpgroups, and in TF32 by warps, with the zeros that are multiplied too; launches: kernels one after another;
    turned_bytes: through HBM, by kernels of their own before and after, which transpose X and Y.

    Where rows of Y are kept in registers: filled_bytes: of shared_bytes, those of X written there; balance: work of the
    heaviest warp of each block of threads over the mean; slabs_copied, slabs: of X, by all row groups, and if each
    needed all of them. blocks: of threads, 0 where there are always many.
    """

    memory_bytes: float
    l2_bytes: float
    shared_bytes: float
    mma_flops: float
    fma_flops: float
    group_flops: float = 0.0
    launches: int = 1
    tf32_flops: float = 0.0
    filled_bytes: float = 0.0
    balance: float = 1.0
    blocks: int = 0
    slabs_copied: int = 0
    slabs: int = 0
    turned_bytes: float = 0.0

    @property
    def flops(self) -> float:
        """Operations of every kind."""
        return self.mma_flops + self.fma_flops + self.group_flops + self.tf32_flops

    def rounds(self, multiprocessors: float) -> float:
        """Multiprocessors over those that are at work on average, at least 1."""
        return -(-self.blocks // multiprocessors) * multiprocessors / self.blocks if self.blocks else 1.0


@dataclass(frozen=True)
class CudaCost:
    """Seconds of each bound, which overlap, and of the launches and of transposing X and Y, which do not."""

    memory_seconds: float
    l2_seconds: float
    shared_seconds: float
    operations_seconds: float
    launch_seconds: float
    turning_seconds: float = 0.0

    @property
    def bound(self) -> str:
        """Which of BOUNDS is the largest."""
        return max(zip(self._bounds(), BOUNDS), key=lambda pair: pair[0])[1]

    @property
    def total_seconds(self) -> float:
        """The largest bound, the launches and transposing."""
        return max(self._bounds()) + self.launch_seconds + self.turning_seconds

    @property
    def rank(self) -> Tuple[float, float]:
        """Plans are compared by it: by their time, then by all that is done meanwhile."""
        return (self.total_seconds, sum(self._bounds()))

    def _bounds(self) -> Tuple[float, float, float, float]:
        return (self.memory_seconds, self.l2_seconds, self.shared_seconds, self.operations_seconds)


def cost_of(count: CudaCount, gpu: GpuProfile) -> CudaCost:
    """Seconds of what was counted."""
    rounds = count.rounds(gpu["multiprocessors"])
    shared_bytes = count.filled_bytes + count.balance * (count.shared_bytes - count.filled_bytes)
    operations_seconds = (
        count.mma_flops / gpu["mma_flops_per_second"]
        + count.fma_flops / gpu["fma_flops_per_second"]
        + count.group_flops / gpu["dense_flops_per_second.bfloat16"]
        + count.tf32_flops / gpu["tf32_flops_per_second"]
    )
    return CudaCost(
        memory_seconds=count.memory_bytes / gpu["memory_bytes_per_second"],
        l2_seconds=rounds * count.l2_bytes / gpu["l2_bytes_per_second"],
        shared_seconds=rounds * shared_bytes / gpu.shared_bytes_per_second,
        operations_seconds=rounds * count.balance * operations_seconds,
        launch_seconds=count.launches * gpu["launch_seconds"],
        turning_seconds=count.turned_bytes / gpu["memory_bytes_per_second"],
    )


def with_turning(count: CudaCount, shape: Tuple[int, int], n: int, dtype: str) -> CudaCount:
    """The count with X (n, k) transposed before and Y to (n, m) after the product: each is read and written."""
    turned = 2.0 * (shape[0] + shape[1]) * n * element_bytes(dtype)
    return replace(count, turned_bytes=turned, launches=count.launches + 2)


def dense_seconds(shape: Tuple[int, int], n: int, dtype: str, gpu: GpuProfile) -> float:
    """The dense product of the same shape: its operations or its bytes, whichever takes longer, and one launch.

    dtype: of the elements, or "tf32". At the rate of large products, whatever the shape: small ones, with fewer tiles
    than there are multiprocessors, take longer than this.
    """
    (m, k), size = shape, element_bytes(dtype)
    moved = (m * k + k * n + m * n) * size / gpu["memory_bytes_per_second"]
    return max(2 * m * k * n / gpu[f"dense_flops_per_second.{dtype}"], moved) + gpu["launch_seconds"]


def element_bytes(dtype: str) -> int:
    """Bytes of an element: 4 of float32, multiplied in TF32 too, else 2."""
    return 4 if dtype in ("float32", "tf32") else 2


def operand_bytes(shape: Tuple[int, int], n: int, values: int, dtype: str) -> float:
    """X, Y and the stored values, each once."""
    return float((shape[0] * n + shape[1] * n + values) * element_bytes(dtype))


def row_count(use: TileUse, shape: Tuple[int, int], n: int) -> CudaCount:
    """The row kernel (cpp/cuda/rows.cuh), or that for warpgroups (blocks.cuh), whose side is 64."""
    side = use.tile.side
    values = use.steps * side**2
    streamed = float(use.tile.element_bytes * values + 8 * use.steps)
    count = _ring_count(use, n, streamed, 2.0 * values)
    return replace(count, memory_bytes=_operand_bytes(use.tile, shape, n, values) + 8 * use.steps)


def vector_count(use: TileUse, shape: Tuple[int, int], n: int) -> CudaCount:
    """The gathered kernel (cpp/cuda/vectors.cuh)."""
    streamed = float(use.steps * (use.tile.element_bytes * STEP_VALUES + 2 * VECTOR_DEPTH + 4))
    count = _ring_count(use, n, streamed, 2.0 * use.steps * STEP_VALUES)
    return replace(count, memory_bytes=_operand_bytes(use.tile, shape, n, 0) + streamed)


def _operand_bytes(tile: Tile, shape: Tuple[int, int], n: int, values: int) -> float:
    return operand_bytes(shape, n, values, "tf32" if tile.is_tf32 else "bfloat16")


def _ring_count(use: TileUse, n: int, streamed: float, flops: float) -> CudaCount:
    """A kernel that slabs of X pass through. streamed: bytes of W and its lists, for each tile of columns; flops: for
    each column.
    """
    tile = use.tile
    tiles, groups = -(-n // tile.columns), use.owners // tile.owners
    columns = tiles * tile.columns
    kind = "tf32" if tile.is_tf32 else "group" if tile.side == BLOCK_SIDE else "mma"
    filled = float(use.slabs_copied) * tiles * tile.slab_bytes
    return CudaCount(
        memory_bytes=0.0,
        l2_bytes=filled / tile.cluster + tiles * streamed,
        shared_bytes=filled + float(tile.element_bytes) * use.reads * columns + tiles * streamed,
        mma_flops=flops * columns if kind == "mma" else 0.0,
        fma_flops=0.0,
        group_flops=flops * columns if kind == "group" else 0.0,
        tf32_flops=flops * columns if kind == "tf32" else 0.0,
        filled_bytes=filled,
        balance=use.balance,
        blocks=groups * tiles,
        slabs_copied=use.slabs_copied,
        slabs=use.slabs * groups,
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
    apart = stream.ranges > 1 and not stream.clustered
    partials = 8.0 * stream.ranges * shape[0] * n if apart else 0.0
    added = 8.0 * stream.ranges * shape[0] * columns if stream.clustered else 0.0
    streamed = 2.0 * values + values // 256 * 8
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, values, "bfloat16") + values // 256 * 8,
        l2_bytes=held + streamed + partials,
        shared_bytes=held + values / 16 * columns * 2.0 + added,
        mma_flops=2.0 * values * columns,
        fma_flops=0.0,
        launches=2 if apart else 1,
        blocks=blocks_of_threads * stream.ranges,
    )


def decode_vectors_count(made: DecodeSteps, shape: Tuple[int, int], n: int) -> CudaCount:
    """The kernel for few columns of gathered rows (cpp/cuda/decode_vectors.cuh), as decode_count."""
    columns, cut = decode_vectors_columns(n), made.cut
    blocks, steps = cut.blocks * cut.ranges, made.steps * (VECTOR_ROWS // made.pieces.side)
    held = 2.0 * blocks * cut.range_rows * columns
    partials = 8.0 * cut.ranges * shape[0] * n if cut.adds_apart else 0.0
    added = 8.0 * cut.ranges * shape[0] * columns if cut.clustered else 0.0  # from one shared memory to another
    streamed = float(made.streamed_bytes)
    return CudaCount(
        memory_bytes=operand_bytes(shape, n, 0, "bfloat16") + streamed,
        l2_bytes=held + streamed + partials,
        shared_bytes=held + steps * VECTOR_DEPTH * columns * 2.0 + added,
        mma_flops=2.0 * steps * STEP_VALUES * columns,
        fma_flops=0.0,
        launches=2 if cut.adds_apart else 1,
        blocks=blocks,
    )
