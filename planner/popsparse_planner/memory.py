"""Bytes on every tile, by category; the words are PopVision's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from .errors import PlanError
from .partition import frozen

ALWAYS_LIVE = ("input", "output", "values", "constants", "vertex", "exchange", "control")
NOT_ALWAYS_LIVE = ("x_slices", "value_slices", "partials", "reduce_inputs", "reduced")


@dataclass(frozen=True)
class Memory:
    """Bytes per tile; each array is int64 [tiles].

    always_live: by category: input (X), output (Y), values, constants (work lists), vertex (vertex state), exchange
    (exchange code), control (other code). moments: name of a step -> bytes by category that live only around it.
    """

    always_live: Mapping[str, np.ndarray]
    moments: Mapping[str, Mapping[str, np.ndarray]]
    capacity_bytes: int

    def __post_init__(self) -> None:
        always = _columns(self.always_live, ALWAYS_LIVE)
        moments = {step: _columns(parts, NOT_ALWAYS_LIVE) for step, parts in self.moments.items()}
        object.__setattr__(self, "always_live", always)
        object.__setattr__(self, "moments", moments)

    @property
    def per_tile(self) -> np.ndarray:
        """Peak bytes int64 [tiles]: all that is always live and the fullest moment."""
        total: np.ndarray = sum(self.always_live.values(), np.int64(0)) + self._temporary().max(axis=0)
        return total

    def _temporary(self) -> np.ndarray:
        tiles = len(next(iter(self.always_live.values())))
        rows = [np.broadcast_to(sum(parts.values(), np.int64(0)), (tiles,)) for parts in self.moments.values()]
        return np.stack(rows) if rows else np.zeros((1, tiles), dtype=np.int64)

    @property
    def worst_tile(self) -> int:
        """The first tile with the highest peak."""
        return int(np.argmax(self.per_tile))

    @property
    def peak_bytes(self) -> int:
        """Peak of the worst tile."""
        return int(self.per_tile.max())

    @property
    def fits(self) -> bool:
        """Whether every tile holds its peak."""
        return self.peak_bytes <= self.capacity_bytes

    def of_tile(self, tile: int) -> Dict[str, int]:
        """Bytes by category on one tile at its fullest moment."""
        parts = {name: int(values[tile]) for name, values in self.always_live.items()}
        names = list(self.moments)
        if names:
            fullest = names[int(np.argmax(self._temporary()[:, tile]))]
            parts.update({name: int(values[tile]) for name, values in self.moments[fullest].items()})
        return parts

    def largest_buffer(self, tile: int) -> Tuple[str, int]:
        """The category that takes most of one tile, with its bytes."""
        parts = self.of_tile(tile)
        name = max(parts, key=lambda key: parts[key])
        return name, parts[name]

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe columns, one number per tile."""
        return {
            "capacity_bytes": self.capacity_bytes,
            "always_live": {name: values.tolist() for name, values in self.always_live.items()},
            "moments": {
                step: {name: values.tolist() for name, values in parts.items()} for step, parts in self.moments.items()
            },
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Memory:
        """The memory that `to_dict` wrote."""
        always = {name: np.array(values) for name, values in fields["always_live"].items()}
        moments = {
            step: {name: np.array(values) for name, values in parts.items()}
            for step, parts in fields["moments"].items()
        }
        return cls(always, moments, int(fields["capacity_bytes"]))


def _columns(parts: Mapping[str, np.ndarray], categories: Tuple[str, ...]) -> Dict[str, np.ndarray]:
    """Read-only columns in the order of `categories`; PlanError for a name that is none of them."""
    unknown = sorted(set(parts) - set(categories))
    if unknown:
        raise PlanError(f"unknown memory category {unknown[0]!r}: expected one of {', '.join(categories)}")
    return {name: frozen(parts[name], np.int64) for name in categories if name in parts}
