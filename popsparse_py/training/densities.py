"""How a global density is spread over the layers of a model."""

from __future__ import annotations

from math import prod
from typing import Any, Dict, List, Mapping, Tuple, Union

import torch

from popsparse_planner.errors import ModelError, ShapeError

from ..formats.checks import checked_density

Shapes = Mapping[str, Tuple[int, ...]]


def erk_densities(model: Union[torch.nn.Module, Shapes], density: Any) -> Dict[str, float]:
    """The density of each layer by the Erdos-Renyi-kernel rule, so that all of them together have `density`.

    A weight (m, k) gets a density in proportion to (m + k) / (m k), one (m, k, h, w) to (m + k + h + w) / (m k h w):
    small layers stay denser. Layers that this would fill more than wholly are dense, the others share what is left.

    model: a module, of which the linear, sparse and convolution layers count, or shapes of weights by name. density: in
    (0, 1], else PatternError. ModelError if there is no layer, ShapeError for a shape below two dimensions. Source:
    Mocanu et al. 2018 (Erdos-Renyi), Evci et al. 2020, RigL (the kernel's sides).
    """
    share = float(checked_density(density))
    shapes = layer_shapes(model) if isinstance(model, torch.nn.Module) else model
    if not shapes:
        raise ModelError("no layer to spread the density over: expected linear, sparse or convolution layers")
    for name, shape in shapes.items():
        if len(shape) < 2 or min(shape) < 1:
            raise ShapeError(f"{name} has shape {tuple(shape)}: expected at least two sides of at least 1")
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    wanted = {name: sum(shape) / sizes[name] for name, shape in shapes.items()}
    return _scaled(wanted, sizes, share * sum(sizes.values()))


def _scaled(wanted: Dict[str, float], sizes: Dict[str, int], nonzeros: float) -> Dict[str, float]:
    """Densities in proportion to `wanted`, at most 1, with so many nonzeros in all."""
    dense: List[str] = []
    while True:
        rest = [name for name in wanted if name not in dense]
        left = nonzeros - sum(sizes[name] for name in dense)
        scale = left / sum(wanted[name] * sizes[name] for name in rest) if rest else 0.0
        full = [name for name in rest if scale * wanted[name] >= 1.0]
        if not full:
            return {name: 1.0 if name in dense else scale * wanted[name] for name in wanted}
        dense += full


def layer_shapes(model: torch.nn.Module) -> Dict[str, Tuple[int, ...]]:
    """Shapes of the weights of a model's linear, sparse and convolution layers by module name, each module once."""
    shapes: Dict[str, Tuple[int, ...]] = {}
    for name, module in model.named_modules():
        if hasattr(module, "in_features") and hasattr(module, "out_features"):
            shapes[name] = (module.out_features, module.in_features)
        elif isinstance(module, torch.nn.modules.conv._ConvNd):
            shapes[name] = tuple(module.weight.shape)
    return shapes
