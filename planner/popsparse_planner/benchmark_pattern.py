"""The block patterns of the published measurements, drawn as graphcore-research/sparsity-benchmarks draws them.

ipu/matmul_bench.cpp shuffles all positions of the block grid by C++'s std::shuffle and std::default_random_engine with
seed 123 and keeps the first ceil(density * positions). Plans of neighbouring quality are often a fraction of a percent
apart, so that another draw often gets another plan. The two C++ functions are those of GCC's library: x' = 16807 x mod
2^31 - 1, numbers below a bound by division with rejection, and two places from one number where the grid is small.
"""

from __future__ import annotations

import math
from typing import List, Optional

import numpy as np

from .pattern import BlockPattern

_MULTIPLIER, _MODULUS, _SEED = 16807, 2147483647, 123
_RANGE = _MODULUS - 2  # largest number minus smallest number of the engine
LARGEST_SHUFFLE = 1 << 22  # positions; larger grids take seconds to shuffle here and are drawn by NumPy instead


def benchmark_pattern(m: int, block_size: int, density: float, order: Optional[np.ndarray] = None) -> BlockPattern:
    """The m x m pattern that was measured; of grids above LARGEST_SHUFFLE positions one with as many blocks.

    order: shuffled positions of the grid as `shuffled_positions` gives them, where the caller keeps them.
    """
    side = m // block_size
    count = math.ceil(float(np.float32(density) * np.float32(side * side)))
    if order is None and side * side > LARGEST_SHUFFLE:
        return BlockPattern.random((m, m), density=count / side**2, block_size=block_size, seed=_SEED)
    places = shuffled_positions(side * side) if order is None else order
    kept = np.sort(places[:count])
    return BlockPattern.from_indices(kept // side, kept % side, shape=(m, m), block_size=block_size)


def shuffled_positions(count: int) -> np.ndarray:
    """int64 [count]: 0 .. count - 1 after the benchmark's std::shuffle."""
    order = list(range(count))
    swap = _swap_pairs if count and _RANGE // count >= count else _swap_singles
    swap(order)
    return np.array(order, dtype=np.int64)


def _swap_singles(order: List[int]) -> None:
    """Each place i with one of 0 .. i, drawn by std::uniform_int_distribution."""
    state = _SEED
    for i in range(1, len(order)):
        step = _RANGE // (i + 1)
        j = i + 1
        while j > i:
            state = state * _MULTIPLIER % _MODULUS
            j = (state - 1) // step
        order[i], order[j] = order[j], order[i]


def _swap_pairs(order: List[int]) -> None:
    """As `_swap_singles`, but each number gives two places."""
    state, i = _SEED, 1
    while i < len(order):
        two = i > 1 or len(order) % 2 == 1
        bound = (i + 1) * (i + 2) if two else 2
        number = bound
        while number >= bound:
            state = state * _MULTIPLIER % _MODULUS
            number = (state - 1) // (_RANGE // bound)
        first, second = divmod(number, i + 2) if two else (number, 0)
        order[i], order[first] = order[first], order[i]
        if two:
            order[i + 1], order[second] = order[second], order[i + 1]
        i += 2 if two else 1
