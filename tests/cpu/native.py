"""Products through the native entry points, each beside a float64 reference and the bound of its error."""

from dataclasses import dataclass
from typing import Any, Optional, Tuple

import numpy as np

from popsparse_py import _core

TIERS = ("avx512", "avx2", "baseline", "neon")
DTYPES = ("float32", "float16", "bfloat16")
EPS = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def to_bits(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values rounded to dtype, bfloat16 as its bits."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bits(array: np.ndarray) -> np.ndarray:
    """float64 of float32, float16 or the bits of bfloat16."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def empty(shape: Tuple[int, ...], dtype: str) -> np.ndarray:
    """An array full of a number that no result has."""
    return to_bits(np.full(shape, 77.0, np.float32), dtype)


@dataclass(frozen=True)
class Blocks:
    """A random block-sparse matrix (m, k) in blocks of block_rows x block_columns, and its native pattern."""

    m: int
    k: int
    block_rows: int
    block_columns: int
    values: np.ndarray
    offsets: np.ndarray
    columns: np.ndarray

    @classmethod
    def random(
        cls, rng: Any, shape: Tuple[int, int], block: Tuple[int, int], density: float, dtype: str = "float32"
    ) -> "Blocks":
        mask = rng.random((-(-shape[0] // block[0]), -(-shape[1] // block[1]))) < density
        offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
        columns = np.nonzero(mask)[1].astype(np.int32)
        values = to_bits(rng.standard_normal((len(columns), *block)).astype(np.float32), dtype)
        return cls(*shape, *block, values, offsets, columns)

    def pattern(self) -> Any:
        return _core.CpuPattern(self.m, self.k, self.block_rows, self.block_columns, self.offsets, self.columns)

    def rows(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def dense(self) -> np.ndarray:
        """float64 (m, k)."""
        mb, kb = len(self.offsets) - 1, -(-self.k // self.block_columns)
        grid = np.zeros((mb, self.block_rows, kb, self.block_columns))
        grid[self.rows(), :, self.columns, :] = from_bits(self.values)
        return grid.reshape(mb * self.block_rows, kb * self.block_columns)[: self.m, : self.k]

    def sampled(self, dense: np.ndarray) -> np.ndarray:
        """The blocks of a dense float64 (m, k), zeros beyond it."""
        mb, kb = len(self.offsets) - 1, -(-self.k // self.block_columns)
        wide = np.zeros((mb * self.block_rows, kb * self.block_columns))
        wide[: self.m, : self.k] = dense
        grid = wide.reshape(mb, self.block_rows, kb, self.block_columns)
        return grid[self.rows(), :, self.columns, :]


def multiply(
    w: Blocks,
    x: np.ndarray,
    y: np.ndarray,
    tier: str,
    schedule: Tuple[Any, ...],
    *,
    transposed: bool = False,
    bias: Optional[np.ndarray] = None,
    activation: str = "none",
    threads: int = 1,
) -> np.ndarray:
    matrix = _core.CpuMatrix(w.pattern(), transposed, schedule, tier)
    matrix.set_values(w.values, threads)
    matrix.multiply(x, y, bias, activation, threads)
    return y


def error_bound(w: np.ndarray, x: np.ndarray, y: np.ndarray, dtype: str, steps: int) -> np.ndarray:
    """Elementwise bound on |y - computed|: one rounding of each of `steps` sums in float32, one of the result."""
    sums = (steps + 4) * EPS["float32"] * (np.abs(w) @ np.abs(x))
    return 1.01 * sums + EPS[dtype] * np.abs(y) + (2.0**-24 if dtype == "float16" else 0)
