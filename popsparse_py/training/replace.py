"""Training at a fixed number of blocks: the least ones leave, others come (RigL by gradient, SET at random)."""

from __future__ import annotations

import warnings
from math import cos, pi
from typing import Optional

import torch
from torch import Tensor

from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern

from ..nn import DynamicSparseLinear
from ..sparsify.config import told_of
from .criteria import block_scores, check_criterion, check_finite, dense_block_scores, largest
from .topology import TopologyTrainer, pattern_of, places_of


class _Replacing(TopologyTrainer):
    """Drops a fraction of each layer's blocks, those of the smallest norm, and grows as many elsewhere."""

    def __init__(
        self,
        *,
        interval: int = 100,
        stop: Optional[int] = None,
        drop_fraction: float = 0.3,
        criterion: str = "l2",
        seed: int = 0,
    ) -> None:
        super().__init__(interval=interval, stop=stop, seed=seed)
        if not 0 < drop_fraction <= 1:
            raise PlanError(f"drop_fraction must lie in (0, 1], got {drop_fraction}")
        self.drop_fraction, self.criterion = float(drop_fraction), check_criterion(criterion)

    def fraction(self, step: int) -> float:
        """The share of blocks that is replaced at a step."""
        return self.drop_fraction

    def _new_pattern(self, name: str, layer: DynamicSparseLinear) -> BlockPattern:
        places, scores = places_of(layer), block_scores(layer.values[: int(layer.nnz)], self.criterion)
        check_finite(scores, f"layer {name} at step {self._steps}")
        free = layer.pattern.block_grid[0] * layer.pattern.block_grid[1] - len(places)
        count = int(self.fraction(self._steps) * len(places))
        wanted = self._wish(name, layer) if count and free else None
        if wanted is None:
            return layer.pattern
        kept = places[largest(scores, len(places) - count)]
        wanted[kept] = -1.0  # norms and random numbers are at least 0
        return pattern_of(torch.cat([kept, largest(wanted, count)]), layer.pattern)

    def _wish(self, name: str, layer: DynamicSparseLinear) -> Optional[Tensor]:
        """(mb * kb): how much each block is wanted, at least 0; None if that cannot be told."""
        raise NotImplementedError


class RigL(_Replacing):
    """Grows the blocks whose gradient has the largest norm (Evci et al. 2020), on DynamicSparseLinear layers.

    Every `interval` steps, as long as step <= stop, drop_fraction / 2 * (1 + cos(pi * step / stop)) of each layer's
    blocks leave, those of the smallest norm by `criterion`, and as many come, initialised to zero: those with the
    largest norm of the dense gradient, which the layers compute in these steps only. stop None: for ever, the fraction
    stays. In torch.distributed the gradients are averaged, so that all processes choose the same blocks. A layer whose
    gradient is not finite, as happens under a GradScaler, keeps its pattern until the next update, with a
    RuntimeWarning.
    PlanError, PatternError for options out of their range.
    """

    needs_dense_grad = True

    def fraction(self, step: int) -> float:
        """The share of blocks that is replaced at a step."""
        if self.stop is None:
            return self.drop_fraction
        return self.drop_fraction / 2 * (1 + cos(pi * step / max(self.stop, 1)))

    def _wish(self, name: str, layer: DynamicSparseLinear) -> Optional[Tensor]:
        with told_of(name):
            gradient = averaged(layer.dense_grad())
        scores = dense_block_scores(gradient, layer.pattern.block_size, self.criterion).flatten()
        if bool(torch.isfinite(scores).all()):
            return scores
        told = f"gradient of layer {name} at step {self._steps} holds NaN or infinity: its pattern stays"
        warnings.warn(told, RuntimeWarning, stacklevel=5)
        return None


class SET(_Replacing):
    """Grows blocks at random (Mocanu et al. 2018), on DynamicSparseLinear layers.

    Every `interval` steps, as long as step <= stop, drop_fraction of each layer's blocks leave, those of the smallest
    norm by `criterion`, and as many come at random places, initialised to zero. stop None: for ever. seed: of the
    places; equal in all processes of torch.distributed. PlanError, PatternError for options out of their range.
    """

    def _wish(self, name: str, layer: DynamicSparseLinear) -> Tensor:
        mb, kb = layer.pattern.block_grid
        return torch.rand(mb * kb, generator=self._generator).to(layer.values.device)


def averaged(gradient: Tensor) -> Tensor:
    """The mean of a gradient over the processes of torch.distributed, where there are several."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return gradient
    total = gradient.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
