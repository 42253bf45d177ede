"""Sizes of the published dynamic buckets: values and meta-info that every tile must have room for.

Source: popsparse-dynamic 2.2 and 2.3. The planner knows a density, never a pattern; it sizes a bucket for the mean of
a uniform pattern and adds a flat share, rounded, so that small buckets get no slack at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..codelet_cycles import WORKERS
from ..problem import PlanOptions, item_bytes

META_BYTES = 2  # every field is 16 bits
END_FIELDS = 1  # a bucket's last field marks its end and is never used otherwise
ROW_FIELDS = 2  # an output entry: row and number of its nonzeros
_EXCHANGE_ATOM_BYTES = 4
_META_GRAIN = 4  # lcm(2 bytes, 4 bytes) taken as a number of fields: twice what alignment needs
_PLANNED_SUBGROUPS = 2


def subgroup_fields(block_size: int, grad_weight: bool) -> int:
    """Fields that each subgroup has besides its rows and nonzeros: a header, and one entry per worker."""
    if block_size > 1:
        return 7 + (4 * WORKERS if grad_weight else 0)
    return 9 + 5 * WORKERS + (4 * WORKERS + 1 if grad_weight else 0)


def _planned_subgroup_fields(block_size: int, grad_weight: bool) -> int:
    """What the planner takes for `subgroup_fields`: for single values it counts the 1 once per worker."""
    if block_size > 1:
        return subgroup_fields(block_size, grad_weight)
    return 9 + (5 + (5 if grad_weight else 0)) * WORKERS


def effective_block_size(block_size: int, dtype: str) -> int:
    """Blocks as the codelets see them: float32 blocks of 16 are re-cut to 8 (popsparse-dynamic 2.1)."""
    return 8 if (block_size, dtype) == (16, "float32") else block_size


def uniform_groups(density: float, x_groups: np.ndarray, y_groups: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Nonempty rows, and nonzeros in each, that the planner expects in x_groups x y_groups blocks of a tile.

    The power is libm's, as in the original (NumPy's may differ in the last bit).
    """
    distinct, place = np.unique(y_groups, return_inverse=True)
    filled = np.array([1.0 - math.pow(1.0 - density, int(count)) for count in distinct])[place.reshape(y_groups.shape)]
    rows = np.ceil(x_groups * filled).astype(np.int64)
    total = np.ceil((x_groups * y_groups) * density).astype(np.int64)
    return rows, -(-total // np.maximum(rows, 1))


@dataclass(frozen=True)
class BucketRule:
    """What bucket sizes depend on besides the partition.

    block_size: the effective one; density: share of the blocks that are nonzero; oversize: the flat share.
    """

    block_size: int
    density: float
    dtype: str
    oversize: float
    grad_weight: bool

    @classmethod
    def of(cls, block_size: int, density: float, dtype: str, options: PlanOptions) -> BucketRule:
        """The rule for `options`, with the block size re-cut where the library does so."""
        effective = effective_block_size(block_size, dtype)
        return cls(effective, density, dtype, options.meta_info_oversize_proportion, options.grad_weight)

    def value_groups(self, nnz_groups: int, tiles: np.ndarray) -> np.ndarray:
        """Blocks (values if b = 1) that a bucket holds, int64 as `tiles`, the tiles that nnz_groups spread over."""
        mean = -(-nnz_groups // tiles)
        groups = np.floor(mean * (1.0 + self.oversize) + 0.5).astype(np.int64)
        group_bytes = self.block_size**2 * item_bytes(self.dtype)
        grain = max(_EXCHANGE_ATOM_BYTES // group_bytes, 1)
        rounded: np.ndarray = -(-groups // grain) * grain
        return rounded

    def meta_fields(self, x_groups: np.ndarray, y_groups: np.ndarray) -> np.ndarray:
        """Fields of a bucket's meta-info for cells of x_groups x y_groups blocks, int64."""
        rows, per_row = uniform_groups(self.density, x_groups, y_groups)
        expected = np.ceil((rows * (ROW_FIELDS + per_row)) * (1.0 + self.oversize)).astype(np.int64)
        fixed = _planned_subgroup_fields(self.block_size, self.grad_weight) * _PLANNED_SUBGROUPS
        fields: np.ndarray = -(-(fixed + expected) // _META_GRAIN) * _META_GRAIN
        return fields
