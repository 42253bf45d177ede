"""Which layers of a model are worked on, and why others must not be."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

import torch

from popsparse_planner.errors import ModelError

Filter = Callable[[torch.nn.Module, str], bool]


def chosen_layers(model: torch.nn.Module, filter_fn: Optional[Filter] = None) -> Dict[str, torch.nn.Linear]:
    """The linear layers to work on, by name; ModelError as sparsify_ says."""
    of_attention = torch.nn.modules.linear.NonDynamicallyQuantizableLinear  # read past its forward
    linears = {
        name: one
        for name, one in model.named_modules()
        if isinstance(one, torch.nn.Linear) and not isinstance(one, of_attention)
    }
    chosen = {name: one for name, one in linears.items() if filter_fn is None or filter_fn(one, name)}
    check_any(model, chosen, "linear layer that the filter takes" if linears and filter_fn else "linear layer", linears)
    users = _users(model)
    for name, linear in chosen.items():
        if "weight" not in linear._parameters:
            raise ModelError(
                f"layer {name} computes its weight by a parametrization: take that off first, or leave the layer out "
                "with filter_fn"
            )
        shared = users[id(linear.weight)]
        if len(shared) > 1:
            raise ModelError(
                f"the weight of layer {name} is shared by {', '.join(shared)}: sparse, it would be so no longer. Leave "
                "the layer out with filter_fn, or untie it first: layer.weight = nn.Parameter(layer.weight.clone())",
                users=tuple(shared),
            )
    return chosen


def _users(model: torch.nn.Module) -> Dict[int, List[str]]:
    """By id of a parameter: where it is used, each module once."""
    users: Dict[int, List[str]] = {}
    for name, module in model.named_modules():
        for key, parameter in module._parameters.items():
            if parameter is not None:
                users.setdefault(id(parameter), []).append(f"{name}.{key}" if name else key)
    return users


def check_any(model: torch.nn.Module, found: Mapping[str, Any], what: str, others: Iterable[str] = ()) -> None:
    """ModelError if nothing was found, or the model itself; others: names that were there but not taken."""
    if not found:
        listed = f": there are {', '.join(others)}" if tuple(others) else ""
        raise ModelError(f"{type(model).__name__} has no {what}{listed}", names=tuple(others))
    if "" in found:
        raise ModelError(
            f"the model is itself a {type(model).__name__}, which cannot be replaced in place: use from_linear or "
            "to_linear, or put it into a torch.nn.Sequential"
        )
