"""Layers of a model replaced by sparse ones, and by dense ones again."""

from __future__ import annotations

import logging
from typing import Any, Dict, Mapping, Optional, Union

import torch

from popsparse_planner.target import Target

from ..nn import BlockSparseLinear
from .choose import Filter, check_any, chosen_layers
from .config import BlockSparseConfig
from .plan import planned_layers

_log = logging.getLogger("popsparse_py.sparsify")


def sparsify_(
    model: torch.nn.Module,
    config: BlockSparseConfig,
    filter_fn: Optional[Filter] = None,
    *,
    only_if_faster: bool = False,
    target: Union[str, Target] = "auto",
    example_inputs: Any = None,
) -> torch.nn.Module:
    """Put sparse layers in the place of the model's linear ones, in place; returns the model.

    filter_fn(module, name): which linear layers; by default all but torch.nn.MultiheadAttention's own. A module that
    stands in several places stays one. only_if_faster: only those that plan_model finds faster on `target`, for the
    rows that they get from example_inputs, or config.n; the verdicts are logged (INFO). Optimizers made before do not
    know the new parameters. Either all chosen layers are replaced or, with an error, none.
    torch.nn.TransformerEncoderLayer leaves its fused inference path, which would read a dense weight.
    Raises ModelError (no layer matches; a weight that another module also uses, or that is computed by a
    parametrization; the model is itself the layer), FormatError (NaN, with the layer's name), PatternError,
    TargetError.
    """
    chosen = chosen_layers(model, filter_fn)
    if only_if_faster:
        plan = planned_layers(model, chosen, config, target, example_inputs)
        for one in plan.layers:
            _log.info("%s: %s", one.name, f"sparse, {one.reason}" if one.faster else f"left dense, {one.reason}")
        chosen = {name: chosen[name] for name in plan.faster}
    new = {id(linear): config.convert(name, linear) for name, linear in chosen.items()}
    replace_modules(model, new)
    return model


def densify_(model: torch.nn.Module) -> torch.nn.Module:
    """Put dense linear layers with the same weights in the place of the model's sparse ones, in place; the model.

    ModelError if there is none, or the model is itself the layer.
    """
    sparse = {name: one for name, one in model.named_modules() if isinstance(one, BlockSparseLinear)}
    check_any(model, sparse, "sparse layer")
    new: Dict[int, torch.nn.Module] = {}
    for layer in sparse.values():
        dense = layer.to_linear()
        dense.weight.requires_grad_(layer.values.requires_grad)
        if dense.bias is not None and layer.bias is not None:
            dense.bias.requires_grad_(layer.bias.requires_grad)
        new[id(layer)] = dense
    replace_modules(model, new)
    return model


def replace_modules(model: torch.nn.Module, new: Mapping[int, torch.nn.Module]) -> None:
    """Put modules in the places of those with these ids, wherever they stand."""
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if id(child) in new:
                parent._modules[key] = new[id(child)]
    for module in model.modules():
        _leave_fused_path(module)


def _leave_fused_path(module: torch.nn.Module) -> None:
    """torch's encoder layers read the weights of their linear layers in inference: not where one is sparse."""
    if any(isinstance(one, BlockSparseLinear) for one in module.modules()):
        if isinstance(module, torch.nn.TransformerEncoder):
            module.use_nested_tensor = False
        elif isinstance(module, torch.nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
