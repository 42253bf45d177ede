"""How layers are made block-sparse."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Dict, Mapping, Optional, Union

import torch

from popsparse_planner.errors import ModelError, PlanError, PopsparseError

from ..formats import BlockSparseMatrix
from ..formats.checks import check_not_empty, checked_block_size, checked_density
from ..nn import BlockSparseLinear, DynamicSparseLinear, StaticSparseLinear

Density = Union[float, Fraction]

_LAYERS: Dict[str, Any] = {"static": StaticSparseLinear, "dynamic": DynamicSparseLinear}


@dataclass(frozen=True)
class BlockSparseConfig:
    """How linear layers are made block-sparse: the blocks of the largest norm stay.

    density: in (0, 1], or one for each layer by name (erk_densities); block_size: b; mode: "static", or "dynamic" for
    layers whose pattern changes in training, which then have room for headroom times as many blocks more; criterion:
    "l2", "l1" or "linf"; n: rows of x that `only_if_faster` plans for where no example inputs are given.
    Raises PatternError, PlanError.
    """

    density: Union[Density, Mapping[str, Density]] = 1 / 16
    block_size: int = 16
    mode: str = "static"
    criterion: str = "l2"
    headroom: float = 0.25
    n: int = 128

    def __post_init__(self) -> None:
        checked_block_size(self.block_size)
        for density in self.density.values() if isinstance(self.density, Mapping) else [self.density]:
            checked_density(density)
        checked_mode(self.mode)

    def density_of(self, name: str) -> Density:
        """The density of a layer; ModelError if densities are given by name and it has none."""
        if not isinstance(self.density, Mapping):
            return self.density
        if name not in self.density:
            raise ModelError(f"no density is given for layer {name}: got {', '.join(self.density)}")
        return self.density[name]

    def prune(self, name: str, linear: torch.nn.Linear) -> BlockSparseMatrix:
        """The blocks of a layer that stay; FormatError, which names it, for NaN."""
        density = self.density_of(name)
        with told_of(name):
            return BlockSparseMatrix.from_dense(
                linear.weight.detach(), self.block_size, density=density, criterion=self.criterion
            )

    def convert(self, name: str, linear: torch.nn.Linear) -> BlockSparseLinear:
        """The sparse layer that takes the place of `linear`; PatternError, which names it, if no block stays."""
        pruned = self.prune(name, linear)
        with told_of(name):
            check_not_empty(pruned.pattern, self.density_of(name))
            return make_layer(pruned, linear, self.mode, self.headroom)


def make_layer(a: BlockSparseMatrix, linear: torch.nn.Linear, mode: str, headroom: float) -> BlockSparseLinear:
    """A sparse layer with the weight a that takes the place of `linear`; what was frozen stays frozen."""
    room = {"headroom": headroom} if checked_mode(mode) == "dynamic" else {}
    layer: BlockSparseLinear = _LAYERS[mode].from_weight(a, linear.bias, **room)
    layer.values.requires_grad_(linear.weight.requires_grad)
    if layer.bias is not None and linear.bias is not None:
        layer.bias.requires_grad_(linear.bias.requires_grad)
    return layer.train(linear.training)


def checked_mode(mode: str) -> str:
    """`mode`; PlanError unless it is "static" or "dynamic"."""
    if mode not in _LAYERS:
        raise PlanError(f"mode {mode!r} is unknown: expected {' or '.join(map(repr, _LAYERS))}")
    return mode


class told_of:
    """Within the `with` block an error of the project is told with the name of a layer in front."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        if isinstance(error, PopsparseError):
            error.message = f"layer {self.name}: {error.message}"
            error.args = (error.message,)
