"""Encoding patterns for dynamic plans: what is paid each time a pattern changes."""

from __future__ import annotations

from time import perf_counter
from typing import Tuple

import numpy as np

from popsparse_planner import BlockPattern, plan_dynamic

from ..ipu.encode_buckets import encode_matrix
from .child import Outcome
from .measure import Case

_SIDE = 4096
_REPEATS = 5

CASES = (
    Case("encode 1,048,576 single nonzeros of 4096 x 4096 (dynamic)", "dynamic", "encode_elements", 0.5),
    Case("encode 65,536 blocks of 16 x 16 (dynamic)", "dynamic", "encode_blocks", 0.2),
)


def encode_elements() -> Outcome:
    """Seconds for 1 M nonzeros."""
    return _encode((_SIDE, _SIDE), 1, 1024)


def encode_blocks() -> Outcome:
    """Seconds for 65,536 blocks."""
    return _encode((4 * _SIDE, 4 * _SIDE), 16, 64)


def _encode(shape: Tuple[int, int], block_size: int, n: int) -> Outcome:
    """Median of the encodings of one pattern, values included."""
    pattern = BlockPattern.random(shape, density=1 / 16, block_size=block_size)
    plan = plan_dynamic(*shape, n, block_size=block_size, density=1 / 16)
    values = np.random.default_rng(0).standard_normal((pattern.nnz_blocks, block_size, block_size)).astype(np.float16)
    seconds = []
    for _ in range(_REPEATS):
        start = perf_counter()
        encode_matrix(plan, pattern, values)
        seconds.append(perf_counter() - start)
    return Outcome(float(np.median(seconds)), f"{pattern.nnz_blocks:,} blocks, slowest {max(seconds):.3f} s")
