"""Work lists of the CUDA kernel for few columns: W is streamed once, cut over k into ranges whose rows of X fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .cuda_streams import OFFSET_UNIT, pieces_of
from .pattern import BlockPattern

Array = np.ndarray
SIDE = 16
DECODE_COLUMNS = (8, 16, 32)  # of X that kernels exist for
DECODE_THREADS = 256
REDUCE_THREADS = 256
RANGE_PADDING = 8  # rows of zeros behind a range


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

    @property
    def arrays(self) -> Tuple[Array, ...]:
        """In the order of the kernel's arguments."""
        return (self.stream, self.begins)


def decode_stream(pattern: BlockPattern, n: int, shared_bytes: int, multiprocessors: int) -> DecodeStream:
    """Lists for blocks of a multiple of 16 times n columns, k cut as ranges_of has it."""
    pieces = pieces_of(pattern, SIDE)
    sides = pieces.grid[1] * SIDE, pieces.grid[0] * SIDE
    ranges, range_rows = ranges_of(sides, n, decode_columns(n), shared_bytes, multiprocessors)
    k_row = pieces.inner * SIDE
    which = k_row // range_rows
    order = np.lexsort((k_row, pieces.out, which))
    stream = np.stack([k_row % range_rows, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    counts = np.zeros((ranges, pieces.grid[0] + 1), dtype=np.int64)
    np.add.at(counts, (which, pieces.out), 1)
    begins = (np.cumsum(counts.ravel()) - counts.ravel()).reshape(counts.shape).astype(np.uint32)
    return DecodeStream(stream, begins, pieces.pitch, pieces.grid[0], ranges, range_rows)
