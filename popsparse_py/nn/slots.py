"""Tensors that follow the blocks of a layer when its pattern changes."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import torch
from torch import Tensor

from popsparse_planner.errors import CapacityError, PatternError, PlanError
from popsparse_planner.pattern import BlockPattern


def sources(old: BlockPattern, new: BlockPattern, slots: int) -> np.ndarray:
    """int64 (slots): the slot of `old` that holds the block of each slot of `new`, -1 where there is none."""
    kb = old.block_grid[1]
    before, after = (p.rows.astype(np.int64) * kb + p.cols for p in (old, new))
    found = np.full(slots, -1, dtype=np.int64)
    if len(before):
        places = np.minimum(np.searchsorted(before, after), len(before) - 1)
        found[: len(after)] = np.where(before[places] == after, places, -1)
    return found


@torch.no_grad()
def move(tensor: Tensor, source: np.ndarray) -> None:
    """tensor (slots, ...) in place: slot i gets what slot source[i] had, 0 where source[i] is -1."""
    index = torch.from_numpy(source).to(tensor.device)
    moved = tensor.index_select(0, index.clamp(min=0))
    moved[index < 0] = 0
    tensor.copy_(moved)


def states_of(values: torch.nn.Parameter, optimizer: Any) -> List[Tensor]:
    """The tensors of an optimizer's state for `values` that have a slot per block.

    PlanError if the optimizer does not have `values`, or keeps something for them that cannot follow blocks.
    """
    if optimizer is None:
        return []
    if not any(values is parameter for group in optimizer.param_groups for parameter in group["params"]):
        raise PlanError(
            "the optimizer does not have this layer's values: hand in the one that was built with layer.parameters()"
        )
    found = []
    for name, state in optimizer.state.get(values, {}).items():
        if not isinstance(state, Tensor) or state.dim() == 0:
            continue
        if state.shape[0] != values.shape[0]:
            raise PlanError(
                f"the optimizer's {name} has shape {tuple(state.shape)}: it cannot follow blocks, as its first "
                f"dimension is not the {values.shape[0]} slots"
            )
        found.append(state)
    return found


def check_indices(row: Tensor, col: Tensor, used: int, shape: Tuple[int, int], b: int) -> None:
    """CapacityError, PatternError unless the first `used` of row, col (slots) are distinct blocks of (m, k)."""
    if not 0 <= used <= len(col):
        raise CapacityError(
            f"nnz is {used:,}, the layer has {len(col):,} slots: write at most {len(col):,} blocks, or build the layer "
            f"with capacity >= {max(used, 1):,}",
            blocks=used,
            capacity=len(col),
        )
    mb, kb = (-(-side // b) for side in shape)
    rows, cols = (i[:used].cpu().numpy().astype(np.int64) for i in (row, col))
    outside = np.flatnonzero((rows < 0) | (rows >= mb) | (cols < 0) | (cols >= kb))
    if len(outside):
        i = int(outside[0])
        raise PatternError(
            f"slot {i} holds block ({rows[i]}, {cols[i]}), and {len(outside):,} of {used:,} slots lie outside W: "
            f"expected rows below {mb} and columns below {kb}"
        )
    places, counts = np.unique(rows * kb + cols, return_counts=True)
    if len(places) < used:
        place, times = places[counts > 1][0], counts[counts > 1][0]
        raise PatternError(
            f"block ({place // kb}, {place % kb}) is in {times} of {used:,} slots: expected distinct blocks"
        )
