"""Work lists of the CUDA kernel for few columns: W is streamed once, cut over k into ranges whose rows of X fit."""

from __future__ import annotations

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


def decode_columns(n: int) -> int:
    """Columns of the smallest kernel that takes n."""
    return next(columns for columns in DECODE_COLUMNS if n <= columns)


def decode_row_bytes(columns: int) -> int:
    """Bytes from row to row of X in shared memory; no two of 8 neighbours share a bank."""
    return 16 if columns == 8 else columns * 2 + 16


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


def decode_stream(pattern: BlockPattern, columns: int, shared_bytes: int) -> DecodeStream:
    """Lists for blocks of a multiple of 16; a range holds as many rows of X as shared_bytes allow, in equal parts."""
    pieces = pieces_of(pattern, SIDE)
    all_rows = pieces.grid[1] * SIDE
    most = shared_bytes // decode_row_bytes(columns) // SIDE * SIDE
    ranges = -(-all_rows // most)
    range_rows = -(-all_rows // (ranges * SIDE)) * SIDE
    k_row = pieces.inner * SIDE
    which = k_row // range_rows
    order = np.lexsort((k_row, pieces.out, which))
    stream = np.stack([k_row % range_rows, pieces.offsets // OFFSET_UNIT], axis=1)[order].astype(np.uint32)
    counts = np.zeros((ranges, pieces.grid[0] + 1), dtype=np.int64)
    np.add.at(counts, (which, pieces.out), 1)
    begins = (np.cumsum(counts.ravel()) - counts.ravel()).reshape(counts.shape).astype(np.uint32)
    return DecodeStream(stream, begins, pieces.pitch, pieces.grid[0], ranges, range_rows)
