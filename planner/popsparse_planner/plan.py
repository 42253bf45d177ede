"""A static plan: the decision, what it costs, what it needs, and what else was tried."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from . import json_data
from .cost import PARTS, Cost
from .errors import FormatError
from .explain import explain_static
from .memory import Memory
from .partition import Cut, Partition
from .pattern import BlockPattern
from .problem import PlanOptions, Problem
from .target import Target

PLAN_SCHEMA = "popsparse.plan/1"


class Grid(NamedTuple):
    """Number of parts along m, k and n that work at the same time; 1 = not cut."""

    qm: int
    qk: int
    qn: int


@dataclass(frozen=True)
class Step:
    """One step of a product: cycles on its slowest tile, made `repeats` times (serial passes)."""

    name: str
    kind: str
    cycles: float
    repeats: int = 1


@dataclass(frozen=True)
class Candidate:
    """Something the search looked at; total_cycles None: only the closed form was asked. verdict: chosen or why not."""

    name: str
    grid: Grid
    passes: int
    estimated_cycles: Optional[float]
    total_cycles: Optional[float]
    peak_bytes: Optional[int]
    verdict: str


@dataclass(frozen=True)
class Shortfall:
    """Why a plan does not fit: the tile, its largest buffer, the bytes, and the nearest change that fits."""

    tile: int
    buffer: str
    buffer_bytes: int
    needed_bytes: int
    capacity_bytes: int
    hint: str

    @classmethod
    def of(cls, memory: Memory, make_hint: Callable[[], str]) -> Optional[Shortfall]:
        """The shortfall of a plan with this memory; None if it fits, and then no hint is made."""
        if memory.fits:
            return None
        tile = memory.worst_tile
        return cls(tile, *memory.largest_buffer(tile), memory.peak_bytes, memory.capacity_bytes, make_hint())

    def __str__(self) -> str:
        return (
            f"tile {self.tile} needs {self.needed_bytes:,} B ({self.buffer} {self.buffer_bytes:,}), "
            f"has {self.capacity_bytes:,} B; {self.hint}"
        )


def make_report(plan: Any) -> Any:
    """The report of any plan; its module stands above all plans, as it plans other products, and is imported here."""
    return import_module(f"{__package__}.report").build_report(plan)


class PlannedProduct:
    """What follows from the predicted cost of a plan, whatever its mode: StaticPlan and DynamicPlan are such."""

    @property
    def tflops(self: Any) -> float:
        """flops per predicted second, in 1e12; 0 for a plan without cost."""
        return self.flops / self.cost.seconds / 1e12 if self.cost is not None else 0.0

    @property
    def efficiency(self: Any) -> float:
        """Share of the chip's matrix peak at this data type that the useful operations reach."""
        peak = 2 * self.target.amp_macs_per_cycle[self.problem.dtype] * self.target.tiles * self.target.clock_hz
        return float(self.tflops * 1e12 / peak)

    @property
    def speedup_vs_dense(self: Any) -> Optional[float]:
        """Predicted dense time over predicted sparse time; None where either has no prediction."""
        if self.cost is None or self.dense_cost is None:
            return None
        return float(self.dense_cost.seconds / self.cost.seconds)

    @property
    def bottleneck(self: Any) -> str:
        """The part of the cost that takes most cycles: "compute", "exchange", "sync", "reduce" or "other"."""
        if self.cost is None:
            return "memory"
        largest = max(PARTS, key=lambda part: float(getattr(self.cost, part)))
        return largest[: -len("_cycles")]

    def report(self) -> Any:
        """A report.Report: verdict, numbers, crossover and alternatives for a terminal, a page, JSON or a trace."""
        return make_report(self)

    def __str__(self: Any) -> str:
        return str(self.explain())


@dataclass(frozen=True, eq=False)
class StaticPlan(PlannedProduct):
    """How Y (m, n) = W (m, k) X (k, n) runs when W's pattern is known at compile time.

    partition, cost, memory: None only where the popsparse strategy refuses (`reason` says why).
    dot_cycles, tile_blocks: int64 [tiles], cycles and blocks each tile multiplies in one call.
    published_cost: the published planner's own estimate in cycles, with the popsparse strategy.
    dense_cost: of the dense product of the same size on the same target. Plans are equal when their JSON is.
    """

    problem: Problem
    pattern: BlockPattern
    target: Target
    strategy: str
    options: PlanOptions
    partition: Optional[Partition]
    cost: Optional[Cost]
    memory: Optional[Memory]
    steps: Tuple[Step, ...]
    dot_cycles: np.ndarray
    tile_blocks: np.ndarray
    candidates: Tuple[Candidate, ...]
    dense_cost: Optional[Cost]
    published_cost: Optional[int] = None
    shortfall: Optional[Shortfall] = None
    reason: str = ""

    mode = "static"

    @property
    def fits(self) -> bool:
        """Whether every tile of the chip holds its share, and every 16-bit field its number."""
        return self.memory is not None and self.memory.fits and not self.reason

    @property
    def grid(self) -> Grid:
        """(qm, qk, qn): parts per axis."""
        if self.partition is None:
            return Grid(0, 0, 0)
        return Grid(self.partition.qm, self.partition.qk, self.partition.num_parts)

    @property
    def tiles_used(self) -> int:
        """Tiles with at least one block."""
        return int(np.count_nonzero(self.tile_blocks))

    @property
    def flops(self) -> int:
        """Useful floating-point operations of one call: 2 * nnz * n, nnz counted in stored elements."""
        return 2 * self.pattern.nnz * self.problem.n

    @property
    def imbalance(self) -> float:
        """Multiplying cycles of the slowest tile over the mean of the tiles used; 1 = even."""
        used = self.dot_cycles[self.tile_blocks > 0]
        return float(used.max() / used.mean()) if len(used) and used.mean() > 0 else 1.0

    def explain(self) -> str:
        """The plan in words and numbers, for a terminal."""
        return explain_static(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StaticPlan) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.problem, self.pattern, self.target, self.strategy))

    def to_json(self) -> str:
        """JSON text; equal plans give equal bytes, and `from_json` gives the plan back."""
        return json_data.dump(
            {
                "schema": PLAN_SCHEMA,
                "mode": self.mode,
                "problem": self.problem.to_dict(),
                "pattern": _pattern_fields(self.pattern),
                "target": self.target.to_dict(),
                "strategy": self.strategy,
                "options": self.options.to_dict(),
                "partition": None if self.partition is None else _partition_fields(self.partition),
                "cost": None if self.cost is None else self.cost.to_dict(),
                "memory": None if self.memory is None else self.memory.to_dict(),
                "steps": [vars(step) for step in self.steps],
                "dot_cycles": self.dot_cycles.tolist(),
                "tile_blocks": self.tile_blocks.tolist(),
                "candidates": [dict(vars(c), grid=list(c.grid)) for c in self.candidates],
                "dense_cost": None if self.dense_cost is None else self.dense_cost.to_dict(),
                "published_cost": self.published_cost,
                "shortfall": None if self.shortfall is None else vars(self.shortfall),
                "reason": self.reason,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> StaticPlan:
        """The plan that `to_json` wrote; FormatError for any other text."""
        fields = json_data.parse(text, PLAN_SCHEMA)
        try:
            return _plan_of(fields)
        except (KeyError, TypeError) as error:
            raise FormatError(f"not a complete static plan: {error!r}") from error


def _plan_of(fields: Mapping[str, Any]) -> StaticPlan:
    def optional(name: str, build: Any) -> Any:
        return None if fields[name] is None else build(fields[name])

    return StaticPlan(
        problem=Problem(**fields["problem"]),
        pattern=_pattern_of(fields["pattern"]),
        target=Target.from_dict(fields["target"]),
        strategy=fields["strategy"],
        options=PlanOptions.from_dict(fields["options"]),
        partition=optional("partition", _partition_of),
        cost=optional("cost", Cost.from_dict),
        memory=optional("memory", Memory.from_dict),
        steps=tuple(Step(**step) for step in fields["steps"]),
        dot_cycles=np.array(fields["dot_cycles"], dtype=np.int64),
        tile_blocks=np.array(fields["tile_blocks"], dtype=np.int64),
        candidates=tuple(Candidate(**dict(c, grid=Grid(*c["grid"]))) for c in fields["candidates"]),
        dense_cost=optional("dense_cost", Cost.from_dict),
        published_cost=fields["published_cost"],
        shortfall=optional("shortfall", lambda f: Shortfall(**f)),
        reason=fields["reason"],
    )


def _pattern_fields(pattern: BlockPattern) -> Dict[str, Any]:
    return {
        "shape": list(pattern.shape),
        "block_size": pattern.block_size,
        "rows": json_data.encode_array(pattern.rows),
        "cols": json_data.encode_array(pattern.cols),
    }


def _pattern_of(fields: Mapping[str, Any]) -> BlockPattern:
    rows, cols = json_data.decode_array(fields["rows"]), json_data.decode_array(fields["cols"])
    return BlockPattern((fields["shape"][0], fields["shape"][1]), fields["block_size"], rows, cols)


def _partition_fields(partition: Partition) -> Dict[str, Any]:
    names = ("block_order", "run_offsets", "run_band")
    return {
        "cuts": [{name: json_data.encode_array(getattr(cut, name)) for name in names} for cut in partition.cuts],
        "part_cut": partition.part_cut.tolist(),
        "part_first_tile": partition.part_first_tile.tolist(),
        "n_bounds": partition.n_bounds.tolist(),
        "values": partition.values,
        "reduce_at": partition.reduce_at,
        "qm": partition.qm,
        "qk": partition.qk,
        "row_split": partition.row_split,
        "homes": partition.homes,
        "paired": partition.paired,
        "block_size": partition.block_size,
    }


def _partition_of(fields: Mapping[str, Any]) -> Partition:
    cuts = tuple(
        Cut(**{name: json_data.decode_array(column) for name, column in cut.items()}) for cut in fields["cuts"]
    )
    return Partition(**dict(fields, cuts=cuts))
