"""Work lists of patterns that are encoded on the GPU: their sizes, from the shape, block size and capacity alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Tuple

import numpy as np

from .cuda_decode import SIDE as DECODE_SIDE
from .cuda_decode import decode_columns, ranges_of
from .cuda_machine import VECTOR_ROWS, CudaMachine
from .cuda_streams import OFFSET_UNIT, element_side
from .cuda_tiles import Tile
from .cuda_vectors import STEP_VALUES, vector_side
from .errors import PlanError

ENCODE_THREADS, ENCODE_SHARED_BYTES = 512, 64
WORD_BITS = 32
CLEAR, MARK, COUNT, DEAL, BEGINS, SCATTER, PHASES = range(7)  # EncodePhase in cpp/cuda/encode.cuh
MOST_RANKED = 8192  # rows dealt together; more are dealt in their order, as ranks cost the square
ENCODE_CLUSTER = 8  # blocks of threads, the most that every GPU with clusters has
_AT_ONCE = 1 << 18  # comparisons that one block of threads makes in about 5 us
_WORDS_AT_ONCE = 1 << 14  # that it goes over in a few microseconds


def encode_cluster(machine: CudaMachine) -> int:
    """Blocks of threads of a cluster that encodes, 1 where there are no clusters."""
    return ENCODE_CLUSTER if machine.most_cluster > 1 else 1


class Frame(NamedTuple):
    """What is known of a pattern that is on the device: shape: rows of Y and of X; slots: most blocks it may have."""

    shape: Tuple[int, int]
    block_size: int
    slots: int
    transposed: bool = False

    @property
    def block_grid(self) -> Tuple[int, int]:
        """Blocks along Y and along X."""
        return -(-self.shape[0] // self.block_size), -(-self.shape[1] // self.block_size)


@dataclass(frozen=True)
class UnitGrid:
    """The grid of units that blocks cover (PatternArguments in cpp/cuda/encode_arguments.cuh).

    height, width: of a unit, in rows of Y and of X; classes: columns of units equal modulo this stand together.
    """

    frame: Frame
    height: int
    width: int
    classes: int = 1

    @property
    def rows(self) -> int:
        """Rows of units."""
        return -(-self.frame.shape[0] // self.height)

    @property
    def columns(self) -> int:
        """Columns of units."""
        return -(-self.frame.shape[1] // self.width)

    @property
    def of_class(self) -> int:
        """Columns of a class, at most."""
        return -(-self.columns // self.classes)

    @property
    def words(self) -> int:
        """Words of bits of a row of units."""
        return -(-self.classes * self.of_class // WORD_BITS)

    @property
    def shared(self) -> bool:
        """Whether several blocks may cover one unit."""
        return self.frame.block_size % self.height != 0 or self.frame.block_size % self.width != 0

    @property
    def block_words(self) -> int:
        """Words of bits of the grid of blocks, 0 where its units tell as much."""
        rows, columns = self.frame.block_grid
        return rows * -(-columns // WORD_BITS) if self.shared else 0

    @property
    def pieces(self) -> int:
        """Squares of side `width` that the blocks of all slots are."""
        return self.frame.slots * (self.frame.block_size // self.width) ** 2


class DealSizes(NamedTuple):
    """How rows of units come to owners (DealArguments in cpp/cuda/encode_arguments.cuh)."""

    owners: int
    slots: int
    share: int
    share_owners: int

    @property
    def ranked(self) -> bool:
        """Whether the heaviest rows come first."""
        return self.share <= MOST_RANKED


class Launch(NamedTuple):
    """Phases [first, last) by so many blocks of threads, which are a cluster where cluster is not 1."""

    first: int
    last: int
    blocks: int
    cluster: int = 1


def blocks_for(items: int, multiprocessors: int) -> int:
    """Blocks of threads of an encoder that go over so many items."""
    return max(1, min(-(-items // ENCODE_THREADS), 4 * multiprocessors))


def encode_launches(grid: UnitGrid, dealt: DealSizes, cleared: int, multiprocessors: int, cluster: int) -> List[Launch]:
    """How the phases are started: together by one block of threads, or by one cluster, where these are soon done.

    cleared: words beside those of the grid that are cleared; cluster: blocks that a cluster may have, 1: none.
    """

    def blocks(items: int) -> int:
        return blocks_for(items, multiprocessors)

    words = grid.rows * grid.words + grid.block_words + dealt.owners * dealt.slots
    comparisons = grid.rows * (dealt.share if dealt.ranked else 1)
    few = ENCODE_THREADS if cluster > 1 else 4 * ENCODE_THREADS
    if comparisons <= _AT_ONCE // 4 and words + cleared <= _WORDS_AT_ONCE and grid.pieces <= few:
        return [Launch(CLEAR, PHASES, 1)]
    items = max(grid.pieces, grid.frame.slots, (words + cleared) // 32)
    soon = comparisons <= cluster * _AT_ONCE and grid.rows * grid.words <= min(cluster, 2) * _WORDS_AT_ONCE
    if cluster > 1 and soon and items <= 5 * cluster * ENCODE_THREADS:
        return [Launch(CLEAR, PHASES, cluster, cluster)]
    ranks = 32 * grid.rows
    wide = (words + cleared, grid.frame.slots, ranks, ranks, 0, grid.pieces)
    each = [Launch(phase, phase + 1, blocks(count)) for phase, count in enumerate(wide)]
    return [*each[:COUNT], Launch(COUNT, SCATTER, cluster, cluster), each[SCATTER]] if soon else each


@dataclass(frozen=True)
class StreamSizes:
    """Lists of pieces of W's blocks (EncodeStreamArguments in cpp/cuda/encode_arguments.cuh).

    ranges: parts of X's rows with lists of their own, of range_units pieces; offset_unit: elements; cluster_owners:
    owners of a cluster of the product, which has a list of the slabs of slab_rows rows of X that it needs, 0: none.
    """

    grid: UnitGrid
    dealt: DealSizes
    ranges: int
    range_units: int
    offset_unit: int
    slab_rows: int = 1
    cluster_owners: int = 0

    @property
    def clusters(self) -> int:
        """Clusters of the product that have lists of slabs."""
        return self.dealt.owners // self.cluster_owners if self.cluster_owners else 0

    @property
    def slabs(self) -> int:
        """Slabs of X."""
        return -(-self.grid.frame.shape[1] // self.slab_rows)

    @property
    def slab_words(self) -> int:
        """Words of bits of the slabs of all clusters."""
        return self.clusters * -(-self.slabs // WORD_BITS)

    @property
    def side(self) -> int:
        """Of a piece."""
        return self.grid.height

    @property
    def begins(self) -> int:
        """Entries of `begins`."""
        return self.ranges * (self.dealt.owners + 1)

    @property
    def moved_bytes(self) -> float:
        """Written lists, each once."""
        return 8.0 * self.grid.pieces + 4.0 * self.clusters * self.slabs

    def launches(self, multiprocessors: int, cluster: int) -> List[Launch]:
        """Of the encoder."""
        cleared = self.dealt.owners * self.dealt.slots + self.slab_words
        return encode_launches(self.grid, self.dealt, cleared, multiprocessors, cluster)


@dataclass(frozen=True)
class VectorSizes:
    """Lists of steps of the gathered kernel (EncodeVectorsArguments in cpp/cuda/encode_arguments.cuh).

    steps: the most that any pattern takes; window_rows: of X that the units of a step come from; ring_rows: rows of X
    that the ring holds.
    """

    grid: UnitGrid
    dealt: DealSizes
    steps: int
    window_rows: int
    slab_rows: int
    ring_rows: int

    @property
    def windows(self) -> int:
        """Windows of X's rows."""
        return -(-self.grid.of_class * VECTOR_ROWS // self.window_rows)

    @property
    def moved_bytes(self) -> float:
        """Written lists and codes, and packed values that are cleared, each once."""
        return 4.0 * self.grid.pieces + self.steps * (2.0 * STEP_VALUES + 36)

    def launches(self, multiprocessors: int, cluster: int) -> List[Launch]:
        """Of the encoder."""
        cleared = self.steps * STEP_VALUES // 2 + self.dealt.owners * self.dealt.slots * VECTOR_ROWS
        return encode_launches(self.grid, self.dealt, cleared, multiprocessors, cluster)


def row_sizes(frame: Frame, tile: Tile) -> StreamSizes:
    """Of the lists that cuda_streams.row_stream makes on the host."""
    grid = _pieces(frame, tile.side)
    if frame.shape[1] >= 1 << 24:
        raise PlanError(f"X has {frame.shape[1]:,} rows: the cuda kernels number at most {(1 << 24) - 1:,}")
    owners = tile.owners * tile.cluster
    return StreamSizes(grid, _dealt(grid, tile), 1, grid.columns, OFFSET_UNIT, tile.slab_rows, owners)


def element_sizes(frame: Frame, dtype: str) -> StreamSizes:
    """Of the lists that cuda_streams.element_stream makes on the host."""
    grid = _pieces(frame, element_side(frame.block_size, dtype))
    if frame.slots * frame.block_size**2 >= 1 << 32:
        raise PlanError(
            f"W has room for {frame.slots * frame.block_size**2:,} values: the cuda kernels number at most {1 << 32:,}"
        )
    return StreamSizes(grid, DealSizes(grid.rows, 1, grid.rows, grid.rows), 1, grid.columns, 1)


def decode_sizes(frame: Frame, n: int, shared_bytes: int, multiprocessors: int) -> StreamSizes:
    """Of the lists that cuda_decode.decode_stream makes on the host, for n columns; block rows stay in their order."""
    grid = _pieces(frame, DECODE_SIDE)
    sides = grid.columns * DECODE_SIDE, grid.rows * DECODE_SIDE
    ranges, range_rows = ranges_of(sides, n, decode_columns(n), shared_bytes, multiprocessors)
    return StreamSizes(grid, DealSizes(grid.rows, 1, 1, 1), ranges, range_rows // DECODE_SIDE, OFFSET_UNIT)


def vector_sizes(frame: Frame, tile: Tile, machine: CudaMachine) -> VectorSizes:
    """Of lists for the gathered kernel; PlanError beyond 2^31 stored values, or values with room between them."""
    side = vector_side(frame.block_size)
    grid = UnitGrid(frame, VECTOR_ROWS, side, VECTOR_ROWS // side)
    stages = machine.stages(tile.slab_bytes)
    window_rows = window_slabs(stages) * tile.slab_rows
    steps = most_steps(grid, window_rows)
    if max(frame.slots * frame.block_size**2, steps * STEP_VALUES) >= 1 << 31:
        raise PlanError(
            f"W has room for {frame.slots * frame.block_size**2:,} values in {steps:,} steps of {STEP_VALUES}: the "
            f"gathered kernel numbers fewer than {1 << 31:,}"
        )
    return VectorSizes(grid, _dealt(grid, tile), steps, window_rows, tile.slab_rows, stages * tile.slab_rows)


def window_slabs(stages: int) -> int:
    """Slabs of X that the rows of a step come from: those of two windows more are under way meanwhile."""
    return max(1, stages // 3)


def most_steps(grid: UnitGrid, window_rows: int) -> int:
    """The most steps of all patterns that fit the slots: no two blocks share a unit, all units are of one class, and
    as many windows as can be have an odd number of them.
    """
    frame, of_window = grid.frame, window_rows // VECTOR_ROWS
    full, rest = divmod(grid.of_class, of_window)
    of_row = full * -(-of_window // 2) + -(-rest // 2)
    first = np.arange(frame.block_grid[0], dtype=np.int64) * frame.block_size
    groups = int(((first + frame.block_size - 1) // VECTOR_ROWS - first // VECTOR_ROWS).max()) + 1
    units = frame.slots * groups * -(-(frame.block_size // grid.width) // grid.classes)
    windows = grid.rows * (full + (rest > 0))
    return min(grid.rows * of_row, (units + min(units, windows)) // 2)


def _dealt(grid: UnitGrid, tile: Tile) -> DealSizes:
    """As cuda_tiles.deal."""
    of_block = tile.owners * tile.used
    owners = max(1, -(-grid.rows // of_block)) * tile.owners
    return DealSizes(owners, tile.slots, *((of_block, tile.owners) if tile.together else (grid.rows, owners)))


def _pieces(frame: Frame, side: int) -> UnitGrid:
    grid = UnitGrid(frame, side, side)
    if grid.pieces >= 1 << 31:
        raise PlanError(f"W has room for {grid.pieces:,} pieces of {side} x {side}: expected fewer than {1 << 31:,}")
    return grid
