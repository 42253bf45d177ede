"""Gradual magnitude pruning: blocks leave step by step until a density is reached."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Dict, Mapping, Union

from popsparse_planner.errors import ModelError, PlanError
from popsparse_planner.pattern import BlockPattern

from ..formats.checks import checked_density
from ..nn import DynamicSparseLinear
from .criteria import block_scores, check_criterion, check_finite, largest
from .topology import Layers, TopologyTrainer, pattern_of, places_of

Density = Union[float, Fraction]


class GradualMagnitude(TopologyTrainer):
    """Prunes DynamicSparseLinear layers from the density that they have to `density` (Zhu and Gupta 2017).

    After step t, every `interval` steps from `begin` to `end`, a layer has the density
    density + (first - density) * (1 - (t - begin) / (end - begin))^3, `first` being what it had when it was attached;
    those of its blocks with the largest norm by `criterion` stay. density: a number in (0, 1], or one for each layer by
    name. A layer that has fewer blocks already keeps them. Raises PlanError, PatternError for options out of their
    range, ModelError (attach) for a layer without a density.
    """

    def __init__(
        self,
        density: Union[Density, Mapping[str, Density]],
        *,
        end: int,
        begin: int = 0,
        interval: int = 100,
        criterion: str = "l2",
    ) -> None:
        if not 0 <= begin < end:
            raise PlanError(f"expected 0 <= begin < end, got begin {begin} and end {end}")
        super().__init__(interval=interval, stop=end)
        self.begin, self.end = int(begin), int(end)
        self.criterion = check_criterion(criterion)
        self._density: Any = density
        if not isinstance(density, Mapping):
            checked_density(density)
        self._first: Dict[str, int] = {}

    def density(self, name: str, step: int) -> float:
        """Density that the layer of that name has after a step."""
        layer = self._attached()[name]
        mb, kb = layer.pattern.block_grid
        first, last = self._first[name] / (mb * kb), float(self._final(name))
        left = 1 - (min(max(step, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return last + max(0.0, first - last) * left**3

    def state_dict(self) -> Dict[str, Any]:
        """As TopologyTrainer.state_dict, with the numbers of blocks that layers had when they were attached."""
        return {**super().state_dict(), "first": dict(self._first)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As TopologyTrainer.load_state_dict."""
        super().load_state_dict(state)
        self._first = dict(state["first"])

    def _final(self, name: str) -> Density:
        return self._density[name] if isinstance(self._density, Mapping) else self._density

    def _check_layers(self, layers: Layers) -> None:
        if isinstance(self._density, Mapping):
            missing = [name for name in layers if name not in self._density]
            if missing:
                raise ModelError(f"no density is given for {', '.join(missing)}: got {', '.join(self._density)}")
        for name in layers:
            checked_density(self._final(name))
        self._first = {name: int(layer.nnz) for name, layer in layers.items()}

    def _is_due(self, step: int) -> bool:
        return self.begin <= step <= self.end and ((step - self.begin) % self.interval == 0 or step == self.end)

    def _new_pattern(self, name: str, layer: DynamicSparseLinear) -> BlockPattern:
        mb, kb = layer.pattern.block_grid
        blocks = round(self.density(name, self._steps) * mb * kb)
        if blocks >= int(layer.nnz):
            return layer.pattern
        scores = block_scores(layer.values[: int(layer.nnz)], self.criterion)
        check_finite(scores, f"layer {name} at step {self._steps}")
        return pattern_of(places_of(layer)[largest(scores, blocks)], layer.pattern)
