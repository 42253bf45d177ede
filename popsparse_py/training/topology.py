"""What RigL, SET and gradual pruning share: when a pattern changes, and how that is saved and taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

import torch
from torch import Tensor

from popsparse_planner.errors import ModelError, PlanError
from popsparse_planner.pattern import BlockPattern

from ..nn import DynamicSparseLinear
from ..nn.slots import states_of
from ..sparsify.config import told_of

Layers = Dict[str, DynamicSparseLinear]


@dataclass(frozen=True)
class Update:
    """One change of patterns: the step it came after, blocks that left and came by layer, density of all layers."""

    step: int
    dropped: Mapping[str, int]
    grown: Mapping[str, int]
    density: float


class TopologyTrainer:
    """Changes the patterns of a model's DynamicSparseLinear layers every `interval` steps, up to step `stop`.

    ```
    method.attach(model, optimizer)
    for x, y in batches:
        optimizer.zero_grad(); loss(model(x), y).backward(); optimizer.step(); method.step()
    ```
    state_dict() holds the step and the random generator; with those of model and optimizer, training goes on bit by
    bit as if it had not stopped. PlanError for an interval below 1 or a stop below 0.
    """

    needs_dense_grad = False

    def __init__(self, *, interval: int, stop: Optional[int], seed: int = 0) -> None:
        if interval < 1 or (stop is not None and stop < 0):
            raise PlanError(f"expected interval of at least 1 and stop of at least 0, got {interval} and {stop}")
        self.interval, self.stop = int(interval), stop
        self._generator = torch.Generator().manual_seed(int(seed))
        self._layers: Layers = {}
        self._optimizer: Optional[torch.optim.Optimizer] = None
        self._steps = 0

    def attach(self, model: torch.nn.Module, optimizer: Optional[torch.optim.Optimizer] = None) -> TopologyTrainer:
        """Take charge of the model's DynamicSparseLinear layers; the state of `optimizer` follows the blocks.

        Returns itself. ModelError if the model has no such layer, PlanError if the optimizer lacks the values of one.
        """
        layers = {name: one for name, one in model.named_modules() if isinstance(one, DynamicSparseLinear)}
        if not layers:
            raise ModelError(
                f"{type(model).__name__} has no DynamicSparseLinear layer: "
                'sparsify_(model, BlockSparseConfig(mode="dynamic")) puts them in'
            )
        for name, layer in layers.items():
            with told_of(name):
                states_of(layer.values, optimizer)
        self._check_layers(layers)
        self._layers, self._optimizer = layers, optimizer
        self._arm()
        return self

    @property
    def steps(self) -> int:
        """Calls of step() so far."""
        return self._steps

    def step(self) -> Optional[Update]:
        """Call after each optimizer.step(): what changed, None between updates. FormatError if training has diverged.

        RigL's dense gradients are those of the backward pass before; they are gone afterwards.
        """
        self._attached()
        update: Optional[Update] = None
        try:
            self._steps += 1
            if self._is_due(self._steps):
                update = self._update()
        finally:
            self._arm()
        return update

    def state_dict(self) -> Dict[str, Any]:
        """What load_state_dict of an equal method needs: step, names of the layers, state of the random generator."""
        return {
            "method": type(self).__name__,
            "step": self._steps,
            "layers": list(self._attached()),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, after attach(); ModelError if it is of another method or of other layers."""
        layers = self._attached()
        if state["method"] != type(self).__name__ or list(state["layers"]) != list(layers):
            raise ModelError(
                f"the state is of {state['method']} on {', '.join(state['layers'])}; this is {type(self).__name__} on "
                f"{', '.join(layers)}"
            )
        self._steps = int(state["step"])
        self._generator.set_state(state["generator"])
        self._arm()

    def _attached(self) -> Layers:
        if not self._layers:
            raise PlanError("no model is attached: call attach(model, optimizer) first")
        return self._layers

    def _is_due(self, step: int) -> bool:
        return step % self.interval == 0 and (self.stop is None or step <= self.stop)

    def _arm(self) -> None:
        """Let the layers sum up dense gradients in the next step if that ends in an update, else not."""
        if self.needs_dense_grad:
            due = self._is_due(self._steps + 1)
            for layer in self._layers.values():
                layer.collect_dense_grad(due)

    def _check_layers(self, layers: Layers) -> None:
        """Raise if a layer cannot be trained this way."""

    def _update(self) -> Update:
        """All new patterns are found before the first is set, so an error leaves every layer as it was."""
        with torch.no_grad():
            patterns = {name: self._new_pattern(name, layer) for name, layer in self._layers.items()}
            dropped, grown, kept, stored, places = {}, {}, 0, 0, 0
            for name, layer in self._layers.items():
                old, new = layer.pattern, patterns[name]
                kept = (old & new).nnz_blocks
                dropped[name], grown[name] = old.nnz_blocks - kept, new.nnz_blocks - kept
                stored, places = stored + new.nnz_blocks, places + new.block_grid[0] * new.block_grid[1]
                if new != old:
                    layer.set_pattern(new, keep=True, init="zeros", optimizer=self._optimizer)
        return Update(self._steps, dropped, grown, stored / places)

    def _new_pattern(self, name: str, layer: DynamicSparseLinear) -> BlockPattern:
        raise NotImplementedError


def places_of(layer: DynamicSparseLinear) -> Tensor:
    """int64 (nnz_blocks): block row * kb + block column of each stored block, in the order of `values`."""
    blocks, kb = int(layer.nnz), layer.pattern.block_grid[1]
    places: Tensor = layer.row[:blocks].long() * kb + layer.col[:blocks].long()
    return places


def pattern_of(places: Tensor, like: BlockPattern) -> BlockPattern:
    """The pattern with blocks at `places` (as places_of), of the shape and block size of `like`."""
    plain, kb = places.cpu().numpy(), like.block_grid[1]
    return BlockPattern.from_indices(plain // kb, plain % kb, shape=like.shape, block_size=like.block_size)
