"""The published static planner's own estimate of a candidate: phases in cycles, bytes, limits (popsparse-static 4).

It thinks in tile cycles of one worst tile and assumes blocks independent and evenly spread. Doubles are rounded where
the original rounds them; all arrays run over the candidates.
"""

from __future__ import annotations

import math
from typing import Dict, NamedTuple

import numpy as np

from ..codelet_cycles import (
    WORKERS,
    Ints,
    published_compute_cycles,
    published_reduce_cycles,
    published_worklist_entries,
    published_zero_cycles,
)
from ..problem import Problem, item_bytes
from ..target import Target

PHASES = ("rhs_exchange", "nz_exchange", "compute", "zero", "partials_exchange", "reduce", "move_output")
MEMORY = ("max_bytes", "rhs", "nz", "out", "partials")
LOADS = ("nz_blocks_per_tile", "k_tile", "m_tile", "m_sparse", "k_sparse", "rhs_bias", "reduction_factor")


class Kept(NamedTuple):
    """What the estimate knows of the pattern: kept block rows and columns, and the density of that rectangle."""

    rows: int
    columns: int
    density: float


class Candidates(NamedTuple):
    """One entry per candidate: requested splits of n and bands of k; columns of the n part; of its fullest band the
    blocks, tiles and width in block columns; most non-empty block columns of any band."""

    n_split: np.ndarray
    k_split: np.ndarray
    columns: np.ndarray
    blocks: np.ndarray
    tiles: np.ndarray
    width: np.ndarray
    widest: np.ndarray


class Estimate(NamedTuple):
    """Cycles by PHASES, bytes by MEMORY, expected LOADS of the worst tile; bool: every 16-bit field checked fits."""

    phases: Dict[str, np.ndarray]
    memory: Dict[str, np.ndarray]
    load: Dict[str, np.ndarray]
    fields_fit: np.ndarray

    @property
    def total_cycles(self) -> np.ndarray:
        """Sum of the phases."""
        total: np.ndarray = np.sum([self.phases[name] for name in PHASES], axis=0)
        return total


def _ceil_div(value: Ints, divisor: Ints) -> np.ndarray:
    return np.asarray(-(-value // divisor))


def _whole(value: np.ndarray) -> np.ndarray:
    return np.asarray(np.ceil(value).astype(np.int64))


def _any_present(density: float, count: np.ndarray) -> np.ndarray:
    """Probability that at least one of `count` places is filled; libm's pow, as the original (NumPy's may differ)."""
    distinct, inverse = np.unique(count, return_inverse=True)
    chance = np.array([1.0 - math.pow(1.0 - density, int(number)) for number in distinct])
    return np.asarray(chance[inverse.reshape(count.shape)])


def _spread(chance: np.ndarray, count: np.ndarray) -> np.ndarray:
    """One standard deviation of a binomial distribution, rounded up."""
    deviation: np.ndarray = np.ceil(np.sqrt(chance * (1 - chance) * count))
    return deviation


def expected_load(candidates: Candidates, kept: Kept) -> Dict[str, np.ndarray]:
    """Blocks, rows and columns that the fullest tile is expected to hold: mean and one standard deviation."""
    blocks = _ceil_div(candidates.blocks, candidates.tiles)
    m_tile = _ceil_div(kept.rows, candidates.tiles)
    part_of_row = np.minimum(_whole(candidates.blocks / kept.density), kept.columns)  # divides the whole band's (B5)
    k_tile = np.where(m_tile == 1, part_of_row, candidates.width)
    row, column = _any_present(kept.density, k_tile), _any_present(kept.density, m_tile)
    m_sparse = np.minimum(_whole(row * m_tile + _spread(row, m_tile)), m_tile)
    k_sparse = np.minimum(_whole(column * k_tile + _spread(column, k_tile)), k_tile)
    sources = (row * candidates.k_split + _spread(row, candidates.k_split)) * candidates.width / k_tile
    return {
        "nz_blocks_per_tile": blocks,
        "k_tile": k_tile,
        "m_tile": m_tile,
        "m_sparse": m_sparse,
        "k_sparse": k_sparse,
        "rhs_bias": k_tile / k_sparse,
        "reduction_factor": _whole(sources),
    }


def _bytes(candidates: Candidates, load: Dict[str, np.ndarray], problem: Problem) -> Dict[str, np.ndarray]:
    """Bytes of a tile; what is left out is listed in popsparse-static section 4 (the work list, tails, homes, code)."""
    b, element = problem.block_size, item_bytes(problem.dtype)
    rhs = candidates.columns * load["k_sparse"] * b * element
    values = load["nz_blocks_per_tile"] * b * b * element
    out = load["m_sparse"] * candidates.columns * element * b
    partials = _ceil_div(out * (load["reduction_factor"] - 1), load["reduction_factor"])
    most = np.maximum(rhs + values + out, partials + out)
    return {"max_bytes": most, "rhs": rhs, "nz": values, "out": out, "partials": partials}


def _phases(
    candidates: Candidates,
    load: Dict[str, np.ndarray],
    memory: Dict[str, np.ndarray],
    problem: Problem,
    target: Target,
) -> Dict[str, np.ndarray]:
    dtype, b, rate = problem.dtype, problem.block_size, int(target.exchange_bytes_per_cycle)
    columns, blocks = candidates.columns, load["nz_blocks_per_tile"]
    rows, factor = load["m_sparse"], load["reduction_factor"]
    rows_worker = _ceil_div(rows, WORKERS) if b == 1 else rows
    columns_worker = columns if b == 1 else _ceil_div(columns, WORKERS)
    zeroed = dtype == "float32" and b in (8, 16)
    reduce = published_reduce_cycles(_ceil_div(memory["out"] // item_bytes(dtype), factor), factor, dtype, dtype)
    output_bytes = problem.block_grid[0] * b * problem.n_padded * item_bytes(dtype)
    nothing = np.zeros_like(columns)
    return {
        # a tile pair shares its bus (2 * rate); the bias stands for multicasts that do not line up
        "rhs_exchange": (_ceil_div(memory["rhs"], 2 * rate) * load["rhs_bias"]).astype(np.int64),
        "nz_exchange": np.where(candidates.n_split > 1, _ceil_div(memory["nz"], rate), 0),
        "compute": published_compute_cycles(dtype, b, rows_worker, _ceil_div(blocks, rows), columns_worker),
        "zero": published_zero_cycles(rows, columns, b, dtype) if zeroed else nothing,
        "partials_exchange": _ceil_div(memory["partials"], rate),
        "reduce": np.where(factor == 1, 0, reduce),
        "move_output": nothing + -(-output_bytes // target.tiles),  # bytes taken as cycles (B6)
    }


def estimate(candidates: Candidates, kept: Kept, problem: Problem, target: Target) -> Estimate:
    """The published estimate of every candidate; problem.partials_dtype is taken to be problem.dtype."""
    b, load = problem.block_size, expected_load(candidates, kept)
    memory = _bytes(candidates, load, problem)
    x_slice = candidates.widest * b * candidates.columns * item_bytes(problem.dtype)
    offsets_fit = x_slice <= target.u16_max * (1 if b == 1 else 8 * b)
    entries_fit = published_worklist_entries(b, load["m_sparse"]) <= target.u16_max
    return Estimate(_phases(candidates, load, memory, problem, target), memory, load, offsets_fit & entries_fit)
