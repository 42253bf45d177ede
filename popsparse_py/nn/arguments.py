"""What callers hand to layers, checked."""

from __future__ import annotations

import math
from typing import Any, Optional

import torch

from popsparse_planner.errors import CapacityError, DTypeError, PatternError, ShapeError
from popsparse_planner.pattern import BlockPattern

from ..formats.checks import check_not_empty, checked_block_size, checked_density
from ..torch_ops.kernels_cpu import DTYPES

DENSITY, BLOCK_SIZE = 1 / 16, 16  # where the caller names none


def checked_features(value: Any, name: str) -> int:
    """`value` as an int; ShapeError unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ShapeError(f"{name} must be a whole number of at least 1, got {value!r}", value=value)
    return value


def checked_dtype(dtype: Any) -> Any:
    """The torch dtype, torch's default for None; DTypeError for one that layers do not have."""
    found = torch.get_default_dtype() if dtype is None else dtype
    if found not in DTYPES:
        raise DTypeError(
            f"a layer has no dtype {found}: expected one of {', '.join(sorted(map(str, DTYPES)))}", dtype=found
        )
    return found


def layer_pattern(
    out_features: int,
    in_features: int,
    density: Any,  # None: DENSITY
    block_size: Optional[int],  # None: that of the pattern, or BLOCK_SIZE
    pattern: Optional[BlockPattern],
) -> BlockPattern:
    """`pattern` checked against the rest, or uniform random blocks drawn from torch's generator (torch.manual_seed)."""
    shape = (out_features, in_features)
    if pattern is not None:
        check_pattern(pattern, shape, block_size)
        if density is not None:
            raise PatternError(f"give density or pattern, not both: the pattern's density is {pattern.density:.4g}")
        return pattern
    b = checked_block_size(BLOCK_SIZE if block_size is None else block_size)
    wanted = checked_density(DENSITY if density is None else density)
    seed = int(torch.randint(2**31 - 1, (), device="cpu").item())  # also where the default device is meta
    drawn = BlockPattern.random(shape, density=wanted, block_size=b, seed=seed)
    check_not_empty(drawn, wanted)
    return drawn


def check_pattern(pattern: Any, shape: Any, block_size: Optional[int]) -> None:
    """ShapeError, PatternError unless `pattern` is one of a weight of `shape`, in blocks of block_size (None: any)."""
    if not isinstance(pattern, BlockPattern):
        raise PatternError(f"pattern must be a BlockPattern, got {type(pattern).__name__}: BlockPattern.from_mask(...)")
    if pattern.shape != shape:
        hint = ": did you mean pattern.transpose()?" if pattern.shape == shape[::-1] else ""
        raise ShapeError(f"pattern has shape {pattern.shape}, the weight (out, in) is {shape}{hint}", expected=shape)
    if block_size is not None and pattern.block_size != checked_block_size(block_size):
        raise PatternError(
            f"pattern has blocks of {pattern.block_size}, the layer blocks of {block_size}",
            block_size=pattern.block_size,
        )


def checked_capacity(pattern: BlockPattern, capacity: Optional[int], headroom: float) -> int:
    """Slots: `capacity`, or blocks of the pattern * (1 + headroom), at most all blocks; CapacityError if too few."""
    mb, kb = pattern.block_grid
    if capacity is None:
        if isinstance(headroom, bool) or not isinstance(headroom, (int, float)) or not 0 <= headroom < math.inf:
            raise CapacityError(f"headroom must be a number of at least 0, got {headroom!r}")
        return min(mb * kb, max(1, math.floor(pattern.nnz_blocks * (1 + headroom))))
    if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= mb * kb:
        raise CapacityError(f"capacity must be a whole number from 1 to all {mb * kb:,} blocks, got {capacity!r}")
    check_room(pattern, capacity)
    return capacity


def check_room(pattern: BlockPattern, capacity: int) -> None:
    """CapacityError, with the numbers, if the pattern has more blocks than `capacity`."""
    if pattern.nnz_blocks > capacity:
        raise CapacityError(
            f"pattern has {pattern.nnz_blocks:,} blocks, capacity is {capacity:,}: build the layer with "
            f"capacity >= {pattern.nnz_blocks}, or hand in a pattern of density <= "
            f"{capacity / math.prod(pattern.block_grid):.4g}",
            blocks=pattern.nnz_blocks,
            capacity=capacity,
        )
