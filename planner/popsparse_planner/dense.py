"""The dense product on the same chip: the baseline that block-sparse plans are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from . import json_data
from .cost import PARTS, Cost
from .dense_cost import GROUP_ROWS, Buffers, DenseShape, Grids, temporary_bytes
from .dense_search import Choice, always_bytes, always_total, nearest_that_fits, search, smallest
from .errors import FormatError
from .memory import Memory
from .plan import PLAN_SCHEMA, Candidate, Grid, Shortfall, Step, make_report
from .problem import Problem
from .target import Target, load_target


@dataclass(frozen=True, eq=False)
class DensePlan:
    """How Y (m, n) = W (m, k) X (k, n) with a dense W is cut over the tiles, and what that costs.

    grid: parts of m, k and n at work at once; passes: serial passes over m. cost: predicted by the dense_*
    coefficients of the target; of a plan that does not fit it is what it would cost on tiles with more memory.
    always_bytes, temporary_bytes: by category, on the fullest tile. shortfall: why it does not fit, else None.
    candidates: the cheapest for each number of passes. Plans are equal when their JSON is.
    """

    m: int
    k: int
    n: int
    dtype: str
    target: Target
    grid: Grid
    passes: int
    steps: Tuple[Step, ...]
    cost: Cost
    always_bytes: Mapping[str, int]
    temporary_bytes: Mapping[str, int]
    candidates: Tuple[Candidate, ...]
    shortfall: Optional[Shortfall] = None

    mode = "dense"

    @property
    def fits(self) -> bool:
        """Whether every tile of the chip holds its share."""
        return self.shortfall is None

    @property
    def reason(self) -> str:
        """Why it does not fit, with the nearest change that does; empty if it fits."""
        return "" if self.shortfall is None else str(self.shortfall)

    @property
    def tiles_used(self) -> int:
        """Tiles that multiply."""
        return self.grid.qm * self.grid.qk * self.grid.qn

    @property
    def peak_bytes(self) -> int:
        """Bytes on the fullest tile."""
        return sum(self.always_bytes.values()) + sum(self.temporary_bytes.values())

    @property
    def memory(self) -> Memory:
        """Bytes per tile; the tiles that multiply are taken to be as full as the fullest."""
        working = np.arange(self.target.tiles) < self.tiles_used
        always = {name: np.full(self.target.tiles, size) for name, size in self.always_bytes.items()}
        moment = {name: np.where(working, size, 0) for name, size in self.temporary_bytes.items()}
        return Memory(always, {"multiply": moment}, self.target.tile_bytes)

    @property
    def flops(self) -> int:
        """Floating-point operations of one call: 2 m k n."""
        return 2 * self.m * self.k * self.n

    @property
    def tflops(self) -> float:
        """flops per predicted second, in 1e12."""
        return self.flops / self.cost.seconds / 1e12

    @property
    def efficiency(self) -> float:
        """Share of the chip's matrix peak at this data type."""
        peak = 2 * self.target.amp_macs_per_cycle[self.dtype] * self.target.tiles * self.target.clock_hz
        return self.tflops * 1e12 / peak

    @property
    def imbalance(self) -> float:
        """Multiply-adds of the fullest tile, padding counted, over the mean of the tiles used; 1 = even."""
        shape = DenseShape(self.m, self.k, self.n, self.dtype)
        groups = -(-shape.m_groups // self.passes)  # of 16 rows, in one pass
        rows = -(-groups // self.grid.qm) * self.passes * GROUP_ROWS
        depth = -(-shape.k_groups // self.grid.qk) * shape.group_depth
        return rows * depth * -(-self.n // self.grid.qn) * self.tiles_used / (self.m * self.k * self.n)

    @property
    def speedup_vs_dense(self) -> float:
        """1: this is the dense plan."""
        return 1.0

    @property
    def bottleneck(self) -> str:
        """The part of the cost that takes most cycles: "compute", "exchange", "sync", "reduce" or "other"."""
        return max(PARTS, key=lambda part: float(getattr(self.cost, part)))[: -len("_cycles")]

    def explain(self) -> str:
        """The plan in words and numbers, for a terminal."""
        return "\n".join(_explain(self))

    def report(self) -> Any:
        """A report.Report, as StaticPlan.report."""
        return make_report(self)

    def __str__(self) -> str:
        return self.explain()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DensePlan) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.m, self.k, self.n, self.dtype, self.target))

    def to_json(self) -> str:
        """JSON text; equal plans give equal bytes, and `from_json` gives the plan back."""
        plain = ("m", "k", "n", "dtype", "passes", "always_bytes", "temporary_bytes")
        fields: Dict[str, Any] = {name: getattr(self, name) for name in plain}
        fields.update(
            schema=PLAN_SCHEMA,
            mode=self.mode,
            target=self.target.to_dict(),
            grid=list(self.grid),
            steps=[vars(step) for step in self.steps],
            cost=self.cost.to_dict(),
            candidates=[dict(vars(c), grid=list(c.grid)) for c in self.candidates],
            shortfall=None if self.shortfall is None else vars(self.shortfall),
        )
        return json_data.dump(fields)

    @classmethod
    def from_json(cls, text: str) -> DensePlan:
        """The plan that `to_json` wrote; FormatError for any other text."""
        fields = dict(json_data.parse(text, PLAN_SCHEMA))
        if fields.pop("mode", None) != cls.mode:
            raise FormatError("not a dense plan: the text holds a plan of another mode")
        del fields["schema"]
        try:
            fields.update(
                target=Target.from_dict(fields["target"]),
                grid=Grid(*fields["grid"]),
                steps=tuple(Step(**step) for step in fields["steps"]),
                cost=Cost.from_dict(fields["cost"]),
                candidates=tuple(Candidate(**dict(c, grid=Grid(*c["grid"]))) for c in fields["candidates"]),
                shortfall=None if fields["shortfall"] is None else Shortfall(**fields["shortfall"]),
            )
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise FormatError(f"not a complete dense plan: {error!r}") from error


def plan_dense(m: int, k: int, n: int, *, dtype: str = "float16", target: Union[str, Target] = "bow") -> DensePlan:
    """The cheapest way to cut Y (m, n) = W (m, k) X (k, n) over the target's tiles.

    dtype: "float16" (partials too) or "float32". The search is exhaustive over parts of m, k and n and 1, 2, 4, ...
    serial passes over m, by profiled cycles. Slices and partials may take dense_temporary_share of a tile's memory, as
    the published planner lets them. Raises ShapeError, DTypeError or TargetError for bad input, never for memory.
    """
    machine = load_target(target)
    problem = Problem(m, k, n, GROUP_ROWS, dtype, dtype)
    shape = DenseShape(problem.m, problem.k, problem.n, dtype)
    room = machine.tile_bytes - always_total(machine, shape)
    share = int(machine.tile_bytes * machine.model["dense_temporary_share"])
    chosen = search(machine, shape, min(share, room)) or search(machine, shape, room)
    if chosen:
        return _plan(machine, shape, chosen, None)
    least = smallest(machine, shape)
    return _plan(machine, shape, [least], _shortfall(machine, shape, least))


def _plan(target: Target, shape: DenseShape, chosen: List[Choice], shortfall: Optional[Shortfall]) -> DensePlan:
    best = min(chosen, key=lambda choice: choice.profiled_cycles)
    buffers = temporary_bytes(shape, best.grids)
    return DensePlan(
        *shape,
        target=target,
        grid=_grid(best.grids),
        passes=best.grids.passes,
        steps=_steps(target, shape, best),
        cost=_cost(target, shape, best),
        always_bytes=always_bytes(target, shape),
        temporary_bytes={name: int(size[0]) for name, size in zip(Buffers._fields, buffers)},
        candidates=tuple(_candidate(target, shape, choice, choice is best) for choice in chosen),
        shortfall=shortfall,
    )


def _cost(target: Target, shape: DenseShape, choice: Choice) -> Cost:
    parts = {name: float(round(part[0])) for name, part in choice.terms.by_cause(target, shape.dtype).items()}
    sync = float(choice.terms.steps[0]) * target.model["sync_cycles"]
    return Cost(**parts, sync_cycles=sync, clock_hz=target.clock_hz)


def _grid(grids: Grids) -> Grid:
    return Grid(int(grids.qm[0]), int(grids.qk[0]), int(grids.qn[0]))


def _candidate(target: Target, shape: DenseShape, choice: Choice, is_best: bool) -> Candidate:
    peak = always_total(target, shape) + int(temporary_bytes(shape, choice.grids).total[0])
    total, passes = _cost(target, shape, choice).total_cycles, choice.grids.passes
    name = f"{passes} pass{'es' if passes > 1 else ''}"
    verdict = "chosen" if is_best else "dearer"
    return Candidate(name, _grid(choice.grids), passes, round(choice.profiled_cycles), total, peak, verdict)


def _steps(target: Target, shape: DenseShape, choice: Choice) -> Tuple[Step, ...]:
    """The steps of one call that take cycles, in order; their fixed cost is in the cost's other_cycles."""
    terms, passes = choice.terms, choice.grids.passes
    compute = terms.by_cause(target, shape.dtype)["compute_cycles"]
    slicing = terms.slice_bytes * target.model["dense_slice_cycles_per_byte"]
    rows = (
        ("send x", "exchange", terms.send_x, 1),
        ("slice", "other", slicing, passes),
        ("send w", "exchange", terms.send_w, passes),
        ("multiply", "compute", compute, passes),
        ("partials", "exchange", terms.send_partials, passes),
        ("reduce", "reduce", terms.reduce, passes),
    )
    return tuple(
        Step(name, kind, float(cycles[0]) / times, times) for name, kind, cycles, times in rows if cycles[0] > 0
    )


def _shortfall(target: Target, shape: DenseShape, choice: Choice) -> Shortfall:
    parts = always_bytes(target, shape)
    parts.update((name, int(size[0])) for name, size in zip(Buffers._fields, temporary_bytes(shape, choice.grids)))
    largest = max(parts, key=lambda name: parts[name])
    capacity, needed = target.tile_bytes, sum(parts.values())
    return Shortfall(0, largest, parts[largest], needed, capacity, nearest_that_fits(target, shape))


def _explain(plan: DensePlan) -> List[str]:
    grid, cost = plan.grid, plan.cost
    again = f", {plan.passes} serial passes over m" if plan.passes > 1 else ""
    lines = [
        f"dense plan of ({plan.m} x {plan.k}) W times ({plan.k} x {plan.n}) X on {plan.target.name}, {plan.dtype}",
        f"  {'fits' if plan.fits else 'does not fit: ' + plan.reason}; most cycles go to {plan.bottleneck}",
        f"  partition: qm {grid.qm}, qk {grid.qk}, qn {grid.qn}{again}; {plan.tiles_used:,} of {plan.target.tiles:,} "
        f"tiles; imbalance {plan.imbalance:.2f}",
    ]
    lines += [f"  {step.name:<9}{step.kind:<9}{step.cycles * step.repeats:>12,.0f} cycles" for step in plan.steps]
    lines.append(
        f"  {'total':<18}{cost.total_cycles:>12,.0f} cycles = {cost.seconds * 1e6:,.1f} us, {plan.tflops:.2f} TFLOP/s, "
        f"{plan.efficiency:.1%} of peak"
    )
    sizes = {**plan.always_bytes, **plan.temporary_bytes}
    listed = ", ".join(f"{name} {size:,}" for name, size in sorted(sizes.items(), key=lambda item: -item[1]) if size)
    lines.append(f"  memory of tile 0: {plan.peak_bytes:,} of {plan.target.tile_bytes:,} B ({listed})")
    return lines
