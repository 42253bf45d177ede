"""Files that `popsparse prune` wrote, read into models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple, Union

import torch

from popsparse_planner.errors import FormatError, ModelError
from popsparse_planner.pattern import BlockPattern

from ..formats import BlockSparseMatrix
from ..formats.files import PARTS, matrix_stems
from ..formats.optional import need
from ..nn import BlockSparseLinear
from .config import make_layer, told_of
from .replace import replace_modules

_WEIGHT = ".weight"


def load_pruned_(
    model: torch.nn.Module,
    path: Union[str, Path],
    *,
    mode: str = "static",
    headroom: float = 0.25,
    strict: bool = True,
) -> torch.nn.Module:
    """Load the weights of a pruned safetensors file into a model, in place; returns the model.

    Linear layers whose weight the file holds in blocks become sparse ones, "static" or "dynamic" (with headroom); all
    other tensors are loaded as load_state_dict does, strict as there (files of old models may hold tensors that new
    code does not know). Values take the dtype and device that the layer has.
    Raises FormatError (no file of `popsparse prune`), ModelError (blocks of something that is no linear layer of the
    model, or has another shape), RuntimeError (torch: other names or shapes differ); the model may have sparse layers
    then, but no new values.
    """
    library = need("safetensors.torch", "reading safetensors files")
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    state: Dict[str, Any] = library.load_file(str(path))
    stems = matrix_stems(list(state))
    if not stems:
        raise FormatError(f"{path} holds no block-sparse matrix: expected a file that `popsparse prune` wrote")
    new: Dict[int, torch.nn.Module] = {}
    for stem in stems:
        parts = {part: state.pop(f"{stem}.{part}") for part in PARTS}
        name, linear = _target(model, stem)
        layer = _layer(name, linear, parts, mode, headroom)
        state.update({f"{name}.{key}": tensor for key, tensor in layer.state_dict().items() if key != "bias"})
        new[id(linear)] = layer
    replace_modules(model, new)
    model.load_state_dict(state, strict=strict)
    return model


def _target(model: torch.nn.Module, stem: str) -> Tuple[str, torch.nn.Linear]:
    """Name and linear layer of the model whose weight the file calls `stem`."""
    name = stem[: -len(_WEIGHT)] if stem.endswith(_WEIGHT) else stem
    found = dict(model.named_modules()).get(name)
    if not stem.endswith(_WEIGHT) or not name or not isinstance(found, torch.nn.Linear):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise ModelError(f"the file holds {stem} in blocks, and the model has {what} there: expected a linear layer")
    return name, found


def _layer(name: str, linear: torch.nn.Linear, parts: Any, mode: str, headroom: float) -> BlockSparseLinear:
    shape = (int(parts["shape"][0]), int(parts["shape"][1]))
    if shape != tuple(linear.weight.shape):
        raise ModelError(f"layer {name}: the file has a weight of {shape}, the model of {tuple(linear.weight.shape)}")
    with told_of(name):
        pattern = BlockPattern(shape, int(parts["block_size"]), parts["rows"].numpy(), parts["cols"].numpy())
        values = parts["values"].to(linear.weight.device, linear.weight.dtype)
        return make_layer(BlockSparseMatrix(pattern, values), linear, mode, headroom)
