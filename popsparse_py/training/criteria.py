"""How important a block is: a norm of its values, or of its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from popsparse_planner.errors import FormatError, PatternError

from ..formats.blocks import grid_view
from ..formats.prune import CRITERIA


def check_criterion(criterion: str) -> str:
    """`criterion`; PatternError unless it is "l2", "l1" or "linf"."""
    if criterion not in CRITERIA:
        raise PatternError(f"criterion {criterion!r} is unknown: expected one of {', '.join(CRITERIA)}")
    return criterion


def block_scores(blocks: Tensor, criterion: str = "l2") -> Tensor:
    """float32 (...): the norm l2, l1 or linf of each block of `blocks` (..., b, b); float64 stays float64."""
    flat = blocks.detach().flatten(-2)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    order = {"l2": 2.0, "l1": 1.0, "linf": float("inf")}[check_criterion(criterion)]
    scores: Tensor = torch.linalg.vector_norm(flat, order, dim=-1)
    return scores


def dense_block_scores(w: Tensor, block_size: int, criterion: str = "l2") -> Tensor:
    """(mb, kb): block_scores of the blocks of a dense w (m, k), ragged edges padded with zeros."""
    return block_scores(grid_view(w.detach(), block_size), criterion)


def largest(scores: Tensor, count: int) -> Tensor:
    """Rising places of the `count` largest of scores (z); of equal ones, the first."""
    kept: Tensor = scores.sort(descending=True, stable=True).indices[:count].sort().values
    return kept


def check_finite(scores: Tensor, what: str) -> None:
    """FormatError if a score is NaN or infinite: training has diverged, and an order of blocks would mean nothing."""
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        raise FormatError(
            f"{what}: {bad} of {scores.numel()} blocks hold NaN or infinity; the pattern stays", count=bad
        )
