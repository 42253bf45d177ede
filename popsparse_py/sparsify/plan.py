"""What the layers of a model take today, and what they would take sparse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from popsparse_planner.target import Target

from ..layer_plans import LayerPlan, dense_layer_seconds, plan_layer, where
from .choose import Filter, chosen_layers
from .config import BlockSparseConfig, Density, told_of

_WIDTH = 150  # columns of the printed table


@dataclass(frozen=True)
class ModelPlan:
    """The LayerPlan of each layer of a model, in its order; prints as a table."""

    layers: Tuple[LayerPlan, ...]

    @property
    def faster(self) -> Tuple[str, ...]:
        """Names of the layers that are predicted to be faster sparse."""
        return tuple(one.name for one in self.layers if one.faster)

    def to_json(self) -> str:
        """JSON text of all layers."""
        return json.dumps(
            {"schema": "popsparse.model-plan/1", "layers": [one.to_dict() for one in self.layers]}, indent=2
        )

    def to_table(self) -> Table:
        """A rich table, one row a layer, and sums over those that have both numbers."""
        target = self.layers[0].target
        how = "dense measured, sparse predicted, one thread" if target == "cpu" else "predicted"
        table = Table(title=f"on {target} ({how})", title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("layer", overflow="fold")
        for name in ("W", "n", "b", "density", "dense", "sparse"):
            table.add_column(name, justify="right")
        table.add_column("verdict")
        for one in self.layers:
            sizes = [f"{one.shape[0]} x {one.shape[1]}", str(one.n), str(one.block_size), f"{one.density:.4g}"]
            table.add_row(one.name, *sizes, *one.cells())
        table.add_section()
        for name, dense, sparse in self._sums():
            told, ratio = self.layers[0].told, dense / sparse
            verdict = f"{ratio:.2f}x faster" if ratio >= 1 else f"{1 / ratio:.2f}x slower"
            table.add_row(name, "", "", "", "", told(dense), told(sparse), verdict)
        return table

    def _sums(self) -> List[Tuple[str, float, float]]:
        """Rows (what, dense, sparse): every layer sparse, and the faster ones only."""
        both = [(one.dense, one.sparse) for one in self.layers if one.dense is not None and one.sparse is not None]
        if len(both) < 2:
            return []
        dense = sum(numbers[0] for numbers in both)
        return [
            ("all sparse", dense, sum(numbers[1] for numbers in both)),
            ("the faster ones only", dense, sum(min(numbers) for numbers in both)),
        ]

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=_WIDTH, highlight=False, markup=False, color_system=None, force_jupyter=False).print(
            self.to_table()
        )
        return text.getvalue()


def plan_model(
    model: torch.nn.Module,
    example_inputs: Any,
    *,
    density: Union[Density, Mapping[str, Density]],
    block_size: int = 16,
    target: Union[str, Target] = "auto",
    filter_fn: Optional[Filter] = None,
    criterion: str = "l2",
) -> ModelPlan:
    """What each linear layer takes today and would take sparse, for the rows that it gets from example_inputs.

    example_inputs: of model(...): a tensor, a tuple of arguments or a mapping of named ones. target: "cpu" in
    microseconds of one thread, today's measured here and the sparse one's predicted (see LayerPlan); "cuda", both
    predicted; a chip, "ipu_model", "bow", "mk2" or a TOML file, both predicted in cycles; "auto" is "cuda" for a model
    that lies there, else "cpu". The model is not changed.
    Raises as sparsify_.
    """
    config = BlockSparseConfig(density=density, block_size=block_size, criterion=criterion)
    return planned_layers(model, chosen_layers(model, filter_fn), config, target, example_inputs)


def planned_layers(
    model: torch.nn.Module,
    chosen: Mapping[str, torch.nn.Linear],
    config: BlockSparseConfig,
    target: Union[str, Target],
    example_inputs: Any,
) -> ModelPlan:
    """As plan_model, for layers that are chosen already; example_inputs None: config.n rows everywhere."""
    rows = dict.fromkeys(chosen, config.n) if example_inputs is None else _rows(model, chosen, example_inputs)
    if target == "auto":
        target = "cuda" if any(one.weight.is_cuda for one in chosen.values()) else "cpu"
    return ModelPlan(tuple(_plan_one(name, one, config, target, rows[name]) for name, one in chosen.items()))


def _plan_one(
    name: str, linear: torch.nn.Linear, config: BlockSparseConfig, target: Union[str, Target], n: int
) -> LayerPlan:
    pattern, dtype = config.prune(name, linear).pattern, str(linear.weight.dtype).replace("torch.", "")
    if n == 0:
        head = (name, pattern.shape, n, dtype, config.block_size, pattern.density, *where(target))
        return LayerPlan(*head, None, None, False, "not used: the example inputs never come here")
    with told_of(name):
        return plan_layer(name, pattern, n, dtype, target=target, dense_seconds=lambda: dense_layer_seconds(linear, n))


def _rows(model: torch.nn.Module, chosen: Mapping[str, torch.nn.Linear], example_inputs: Any) -> Dict[str, int]:
    """Most rows of x that each layer gets in one call while the model, in evaluation mode, runs on the inputs."""
    rows = dict.fromkeys(chosen, 0)

    def counter(name: str) -> Callable[[Any, Any], None]:
        def count(module: Any, inputs: Any) -> None:
            rows[name] = max(rows[name], inputs[0].numel() // max(1, inputs[0].shape[-1]))

        return count

    hooks = [linear.register_forward_pre_hook(counter(name)) for name, linear in chosen.items()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            if isinstance(example_inputs, Mapping):
                model(**example_inputs)
            else:
                model(*(example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)))
    finally:
        for module, mode in modes:
            module.training = mode
        for hook in hooks:
            hook.remove()
    return rows
