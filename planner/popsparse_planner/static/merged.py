"""A pattern in larger blocks: neighbouring blocks multiplied as one, with zeros where the pattern has none.

Blocks of 16 take 4 issue slots for 256 elements and a column of X, single nonzeros 3 slots for 8 columns of one: where
more than one in 24 elements of the larger blocks is stored, the matrix unit is faster although it multiplies zeros.
(An X with infinities or NaN then spreads them to the rows of Y that share a merged block, as in a dense product.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, NamedTuple

import numpy as np

from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import BLOCK_SIZES, Problem


class Merged(NamedTuple):
    """The pattern that tiles multiply; holder: int64 [nnz_blocks] of the given one, its block that holds each."""

    pattern: BlockPattern
    holder: np.ndarray


def merged(pattern: BlockPattern, block_size: int) -> Merged:
    """`pattern` in blocks of `block_size`, a multiple of its own (or 0 for its own)."""
    if block_size in (0, pattern.block_size):
        return Merged(pattern, np.arange(pattern.nnz_blocks, dtype=np.int64))
    ratio = block_size // pattern.block_size
    mb, kb = -(-pattern.shape[0] // block_size), -(-pattern.shape[1] // block_size)
    cells = (pattern.rows.astype(np.int64) // ratio) * kb + pattern.cols // ratio
    used = np.zeros(mb * kb, dtype=bool)
    used[cells] = True
    kept = np.flatnonzero(used)
    number = np.cumsum(used) - 1
    larger = BlockPattern.from_indices(kept // kb, kept % kb, shape=pattern.shape, block_size=block_size)
    return Merged(larger, number[cells])


def merged_problem(problem: Problem, block_size: int) -> Problem:
    """`problem` in blocks of `block_size` (0: its own)."""
    return replace(problem, block_size=block_size or problem.block_size)


def larger_sizes(block_size: int) -> Iterator[int]:
    """Block sizes that blocks of `block_size` can be merged to."""
    return (size for size in BLOCK_SIZES if size > block_size)


def blocks_by_run(pattern: BlockPattern, partition: Partition, part: int) -> np.ndarray:
    """int64 [nnz_blocks]: the run of a part that multiplies each block of the given pattern."""
    cut = partition.cuts[partition.part_cut[part]]
    run = np.empty(len(cut.block_order), dtype=np.int64)
    run[cut.block_order] = np.repeat(np.arange(cut.num_runs, dtype=np.int64), np.diff(cut.run_offsets))
    return np.asarray(run[merged(pattern, partition.block_size).holder])
