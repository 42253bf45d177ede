"""Plans for patterns that are encoded on the GPU: chosen from the shape, the block size and the capacity alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import List, Optional, Tuple, Union

import numpy as np

from .cuda_cost import (
    CudaCost,
    CudaCount,
    cost_of,
    decode_count,
    element_bytes,
    row_count,
    vector_count,
)
from .cuda_decode import decode_columns, decode_stream
from .cuda_dynamic import (
    DEAL,
    SCATTER,
    Frame,
    StreamSizes,
    VectorSizes,
    decode_sizes,
    element_sizes,
    encode_cluster,
    row_sizes,
    vector_sizes,
)
from .cuda_machine import VECTOR_DEPTH, CudaMachine
from .cuda_plan import CudaPlan, decode_blocks, kernels_for, plan_cuda
from .cuda_profile import GpuProfile, load_gpu_profile
from .cuda_streams import row_uses
from .cuda_tiles import Tile, TileUse, balance_of, deal, tiles
from .cuda_vectors import Gathered, neighbours
from .errors import CapacityError
from .pattern import BlockPattern

Sizes = Union[StreamSizes, VectorSizes]
_RANK_OPS = 8  # instructions of a comparison of two rows' work


@dataclass(frozen=True)
class CudaDynamicPlan:
    """How Y (m, n) = W (m, k) X (k, n) runs for any pattern of up to `capacity` blocks that lies on the GPU.

    product: the plan of a random pattern that fills the capacity, or all of W; sizes: of the lists that are made there;
    encode, encode_cost: of making them, which every new pattern costs again; copy_seconds: of a dense copy of W.
    """

    product: CudaPlan
    sizes: Sizes
    encode: CudaCount
    encode_cost: CudaCost
    copy_seconds: float

    mode = "cuda-dynamic"

    @property
    def capacity(self) -> int:
        """Most blocks that a pattern may have."""
        return self.sizes.grid.frame.slots

    @property
    def kernel(self) -> str:
        """Of the product, one of cuda_plan.KERNELS."""
        return self.product.kernel

    @property
    def total_seconds(self) -> float:
        """Of encoding a new pattern and multiplying."""
        return self.encode_cost.total_seconds + self.product.cost.total_seconds

    @property
    def dense_is_faster(self) -> bool:
        """Whether the dense product with a new dense copy is predicted to take less time."""
        return self.product.dense_seconds + self.copy_seconds < self.total_seconds

    def explain(self) -> str:
        """Lines for a terminal."""
        seconds, moved = self.encode_cost.total_seconds, self.encode.memory_bytes + self.encode.l2_bytes
        return "\n".join(
            [
                self.product.explain(),
                f"  dynamic: counted for a full capacity of {self.capacity:,} blocks; a new pattern is encoded on the "
                f"GPU in {self.encode.launches} launches, {moved / 1e6:,.1f} MB, {seconds * 1e6:,.1f} us predicted "
                f"without waits between phases; a dense copy would take {self.copy_seconds * 1e6:,.1f} us"
                + (": dense is faster" if self.dense_is_faster else ""),
            ]
        )


def plan_cuda_dynamic(
    shape: Tuple[int, int],
    block_size: int,
    capacity: int,
    n: int,
    *,
    dtype: str = "bfloat16",
    transposed: bool = False,
    by_rows: bool = False,
    machine: Optional[CudaMachine] = None,
    gpu: Optional[GpuProfile] = None,
    kernel: Optional[str] = None,
) -> CudaDynamicPlan:
    """The plan of W x, or of W's transpose times x, for n columns and every pattern of W (m, k) with so many blocks.

    Arguments and errors as of plan_cuda; CapacityError for a capacity under 1.
    """
    profile = load_gpu_profile() if gpu is None else gpu
    full = _full(shape, block_size, capacity)
    names = kernels_for(block_size, n, dtype, transposed=transposed, machine=machine)
    base = plan_cuda(
        full, n, dtype=dtype, transposed=transposed, machine=machine, gpu=profile, kernel=kernel or names[-1]
    )
    frame = Frame(base.shape, block_size, capacity, transposed)
    found = [
        (replace(base, kernel=name, tile=tile).counted(count, profile, by_rows=by_rows), sizes)
        for name in (names if kernel is None else [kernel])
        for tile, count, sizes in _choices(replace(base, kernel=name), full, frame, int(profile["multiprocessors"]))
    ]
    product, sizes = min(found, key=lambda pair: pair[0].cost.rank)
    encode = encode_count(sizes, int(profile["multiprocessors"]), encode_cluster(product.machine))
    copied = (2.0 * shape[0] * shape[1] + 2.0 * capacity * block_size**2) * element_bytes(dtype)
    copy_seconds = copied / profile["memory_bytes_per_second"] + 3 * profile["launch_seconds"]
    return CudaDynamicPlan(product, sizes, encode, cost_of(encode, profile), copy_seconds)


def _choices(
    plan: CudaPlan, full: BlockPattern, frame: Frame, multiprocessors: int
) -> List[Tuple[Optional[Tile], CudaCount, Sizes]]:
    """Tiles that the plan's kernel can take with lists made on the device, none where they are made on the host only.

    The gathered kernel copies every slab of X, its steps keep to windows, and its values are packed at every call.
    """
    if plan.kernel == "decode_vectors":
        return []
    if plan.kernel == "decode":
        sizes = decode_sizes(frame, plan.n, plan.machine.shared_bytes, multiprocessors)
        return [(None, _decode_count(plan, full, multiprocessors), sizes)]
    if plan.kernel == "elements":
        return [(None, plan.count, element_sizes(frame, plan.dtype))]
    tiles_there = tiles(plan.kernel, frame.block_size, plan.shape[0], plan.machine)
    if plan.kernel == "vectors":
        return _vector_choices(plan, full, frame, tiles_there)
    uses = row_uses(full, tiles_there, transposed=plan.transposed)
    return [(use.tile, row_count(use, plan.shape, plan.n), row_sizes(frame, use.tile)) for use in uses]


def _decode_count(plan: CudaPlan, full: BlockPattern, multiprocessors: int) -> CudaCount:
    stream = decode_stream(full, plan.n, plan.machine.shared_bytes, multiprocessors)
    blocks = decode_blocks(stream.ranges, stream.block_rows, multiprocessors)
    return decode_count(full, stream, plan.shape, plan.n, decode_columns(plan.n), blocks)


def _vector_choices(
    plan: CudaPlan, full: BlockPattern, frame: Frame, choices: List[Tile]
) -> List[Tuple[Optional[Tile], CudaCount, Sizes]]:
    pairs = neighbours(full, transposed=plan.transposed)
    found: List[Tuple[Optional[Tile], CudaCount, Sizes]] = []
    for tile in choices:
        sizes = vector_sizes(frame, tile, plan.machine)
        work = steps_by_window(pairs, sizes.window_rows)
        place, owners = deal(work, tile)
        balance, steps = balance_of(work, place, owners, tile), int(work.sum())
        use = TileUse(tile, owners, 0, tile.slabs(plan.shape[1]), balance, steps, steps * VECTOR_DEPTH)
        count = vector_count(_of_every_slab(use), plan.shape, plan.n)
        packed = 4.0 * full.nnz_blocks * frame.block_size**2 + 4.0 * sizes.grid.pieces
        count = replace(count, memory_bytes=count.memory_bytes + packed, launches=count.launches + 1)
        found.append((tile, count, sizes))
    return found


def _of_every_slab(use: TileUse) -> TileUse:
    return replace(use, slabs_copied=use.slabs * (use.owners // use.tile.owners))


def steps_by_window(pairs: Gathered, window_rows: int) -> np.ndarray:
    """int64 (groups of rows): steps of two pairs of each class, all from one window of X's rows."""
    windows = -(-pairs.pieces.shape[1] // window_rows)
    window = pairs.inner * pairs.pieces.side // window_rows
    key = (pairs.group * windows + window) * pairs.classes + pairs.inner % pairs.classes
    counts = np.bincount(key, minlength=pairs.groups * windows * pairs.classes)
    most = counts.reshape(pairs.groups, windows, pairs.classes).max(axis=2)
    found: np.ndarray = (-(-most // 2)).sum(axis=1)
    return found


def encode_count(sizes: Sizes, multiprocessors: int, cluster: int) -> CudaCount:
    """What encoding a full pattern moves: as much more from L2, and to compare rows, as multiprocessors have no part in
    it. What waiting from phase to phase costs is not counted.

    Bits are written, read and counted; each piece reads its place, that of its row and two words of each row of its
    owner, and is written.
    """
    grid, dealt, launches = sizes.grid, sizes.dealt, sizes.launches(multiprocessors, cluster)
    words = grid.rows * grid.words + grid.block_words
    deal, scatter = (
        multiprocessors / min(launch.blocks, multiprocessors)
        for phase in (DEAL, SCATTER)
        for launch in launches
        if launch.first <= phase < launch.last
    )
    compared = grid.rows * dealt.share if dealt.ranked else 0
    per_piece = 16.0 + 20.0 * dealt.slots
    return CudaCount(
        memory_bytes=8.0 * grid.frame.slots + sizes.moved_bytes,
        l2_bytes=deal * 4.0 * (4 * words + 6 * grid.rows) + scatter * grid.pieces * per_piece,
        shared_bytes=0.0,
        mma_flops=0.0,
        fma_flops=_RANK_OPS * compared * deal,
        launches=len(launches),
    )


def _full(shape: Tuple[int, int], block_size: int, capacity: int) -> BlockPattern:
    """A random pattern with that many blocks."""
    if capacity < 1:
        raise CapacityError(f"expected a capacity of at least 1 block, got {capacity:,}")
    blocks = -(-shape[0] // block_size) * -(-shape[1] // block_size)
    return BlockPattern.random(shape, density=Fraction(min(capacity, blocks), blocks), block_size=block_size)
