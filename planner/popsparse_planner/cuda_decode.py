"""Work lists of the CUDA kernel for few columns: W is streamed once, cut over k into ranges whose rows of X fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .cuda_machine import CudaMachine
from .cuda_streams import OFFSET_UNIT, pieces_of
from .pattern import BlockPattern

Array = np.ndarray
SIDE = 16
DECODE_COLUMNS = (8, 16, 32)  # of X that kernels exist for
DECODE_THREADS = 256
REDUCE_THREADS = 256
RANGE_PADDING = 8  # rows of zeros behind a range
ROWS_AT_ONCE = 128  # of Y, by all warps of a block of threads


def decode_columns(n: int) -> int:
    """Columns of the smallest kernel that takes n."""
    return next(columns for columns in DECODE_COLUMNS if n <= columns)


def decode_row_bytes(columns: int) -> int:
    """Bytes from row to row of X in shared memory."""
    return columns * 2


def range_bytes(range_rows: int, columns: int) -> int:
    """Bytes of shared memory that a range of X takes, with the rows of zeros behind it."""
    return (range_rows + RANGE_PADDING) * decode_row_bytes(columns)


def ranges_of(
    shape: Tuple[int, int],  # rows of X, a multiple of 16, and of Y
    n: int,
    columns: int,  # of X that are held
    shared_bytes: int,
    multiprocessors: int,
) -> Tuple[int, int]:
    """Ranges of X's rows, and rows of each, a multiple of 16: one where X fits whole, then no second kernel runs.

    Else as many as move the fewest bytes: every multiprocessor copies k / ranges rows of X, but each range has partial
    results of every row of Y, written and read, and about half a step of 256 bytes that is empty for 8 of them.
    """
    k, m = shape
    most = (shared_bytes // decode_row_bytes(columns) - RANGE_PADDING) // SIDE * SIDE
    ranges = -(-k // most)
    if ranges > 1:
        copied, of_a_range = multiprocessors * k * decode_row_bytes(columns), m * (8 * n + 128 / 8)
        ranges = max(ranges, round(math.sqrt(copied / of_a_range)))
    range_rows = -(-k // (ranges * SIDE)) * SIDE
    return -(-k // range_rows), range_rows


@dataclass(frozen=True)
class DecodeCut:
    """k in ranges of range_rows, Y's rows in so many parts: a block of threads for each range of each part.

    clustered: whether the blocks of a part are a cluster, which adds what its ranges give; else a kernel of its own
    does, where there are several.
    """

    ranges: int
    range_rows: int
    blocks: int
    clustered: bool = False

    @property
    def adds_apart(self) -> bool:
        """Whether partial results go through L2 to a second kernel."""
        return self.ranges > 1 and not self.clustered


def decode_cut(
    sides: Tuple[int, int],  # rows of X, a multiple of 16, and of Y
    n: int,
    values: int,
    machine: CudaMachine,
    multiprocessors: int,
    held: Tuple[int, int],
) -> DecodeCut:
    """The cut that moves the fewest bytes: every block copies its range of X, and each range has, for 8 rows of Y,
    about half a step that is empty, and partial results; idle multiprocessors make all of it slower.

    held: columns of X that are held, and by how many rows the parts of Y may differ.
    """
    (k, m), (columns, uneven) = sides, held
    most = -(-m // ROWS_AT_ONCE)  # parts that have work for every warp
    found = []
    for ranges in (1, 2, 4, 8) if machine.most_cluster > 1 else (1,):
        range_rows = -(-k // (ranges * SIDE)) * SIDE
        num_bytes = range_bytes(range_rows, columns)
        at_once = max(1, (multiprocessors if ranges == 1 else _for_clusters(multiprocessors)) // ranges)
        fits = (machine.shared_bytes - num_bytes) // (4 * columns) // uneven * uneven - uneven
        cannot = ranges > multiprocessors or fits < 1 or -(-k // range_rows) < ranges
        if num_bytes > machine.shared_bytes or (ranges > 1 and cannot):
            continue
        parts = max(1, min(most, at_once))
        if ranges > 1 and m > parts * fits:  # partial results of more rows than fit: several rounds
            parts = -(-m // (fits * at_once)) * at_once
        rounds = -(-parts // at_once)
        idle = multiprocessors / (ranges * min(parts, at_once))
        moved = rounds * multiprocessors * num_bytes + idle * (
            2 * values + ranges * m * (16 + (4 * n if ranges > 1 else 0))
        )
        found.append((moved, DecodeCut(ranges, range_rows, parts, ranges > 1)))
    if found:
        return min(found, key=lambda choice: choice[0])[1]
    ranges, range_rows = ranges_of(sides, n, columns, machine.shared_bytes, multiprocessors)
    return DecodeCut(ranges, range_rows, max(1, min(most, multiprocessors // ranges)))


def _for_clusters(multiprocessors: int) -> int:
    """Multiprocessors that clusters of up to 8 can fill: each lies within a group of 16 or of 18 multiprocessors."""
    return multiprocessors // 16 * 16 or multiprocessors


@dataclass(frozen=True)
class DecodeStream:
    """Work lists (DecodeArguments in cpp/cuda/arguments.cuh).

    stream: uint32 (blocks, 2), ordered by range, then block row; begins: uint32 (ranges, block rows + 1).
    """

    stream: Array
    begins: Array
    pitch: int
    block_rows: int
    ranges: int
    range_rows: int
    clustered: bool = False

    def lines(self, blocks: int) -> Array:
        """int32 (blocks, lines): first rows of Y that each of so many blocks of threads has, -1: none."""
        warps = DECODE_THREADS // 32
        passes = -(-self.block_rows // (blocks * warps))
        number = np.arange(passes)[:, None] * (blocks * warps) + np.arange(warps)
        row = (np.arange(blocks)[:, None] * warps + number.ravel()).astype(np.int32)
        return np.where(row < self.block_rows, row * SIDE, -1).astype(np.int32)

    def shared_bytes(self, columns: int, blocks: int) -> int:
        """Of a block of threads: a range of X, and partial results that its cluster adds."""
        sums = self.lines(blocks).shape[1] * SIDE * columns * 4 if self.clustered else 0
        return range_bytes(self.range_rows, columns) + int(sums)

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.begins)


def decode_blocks_cut(pattern: BlockPattern, n: int, machine: CudaMachine, multiprocessors: int) -> DecodeCut:
    """The cut of W in blocks of a multiple of 16 times n columns."""
    b, (rows, columns) = pattern.block_size, pattern.block_grid
    held = (decode_columns(n), ROWS_AT_ONCE)
    return decode_cut((columns * b, rows * b), n, pattern.nnz_blocks * b**2, machine, multiprocessors, held)


def decode_stream(
    pattern: BlockPattern, n: int, shared_bytes: int, multiprocessors: int, cut: Optional[DecodeCut] = None
) -> DecodeStream:
    """Lists for blocks of a multiple of 16 times n columns, k cut as ranges_of has it, or like that."""
    pieces = pieces_of(pattern, SIDE)
    sides = pieces.grid[1] * SIDE, pieces.grid[0] * SIDE
    if cut is None:
        ranges, range_rows = ranges_of(sides, n, decode_columns(n), shared_bytes, multiprocessors)
    else:
        ranges, range_rows = cut.ranges, cut.range_rows
    k_row = pieces.inner * SIDE
    which = k_row // range_rows
    order = np.lexsort((k_row, pieces.out, which))
    stream = np.stack([k_row % range_rows, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    counts = np.zeros((ranges, pieces.grid[0] + 1), dtype=np.int64)
    np.add.at(counts, (which, pieces.out), 1)
    begins = (np.cumsum(counts.ravel()) - counts.ravel()).reshape(counts.shape).astype(np.uint32)
    clustered = cut is not None and cut.clustered
    return DecodeStream(stream, begins, pieces.pitch, pieces.grid[0], ranges, range_rows, clustered)
