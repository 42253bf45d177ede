"""A dynamic plan: one partition for every pattern up to a capacity, its cost and memory, and what a pattern meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from . import json_data
from .bucket_layout import BucketLayout
from .cost import Cost
from .dynamic.buckets import cell_counts, check_pattern
from .dynamic.draft import Draft
from .dynamic.frame import Frame
from .dynamic.popsparse import PublishedDynamicChoice
from .dynamic.propagation import placement_cost
from .dynamic.spills import place_blocks
from .errors import CapacityError, FormatError, PlanError
from .explain_dynamic import explain_dynamic
from .memory import Memory
from .pattern import BlockPattern
from .plan import Candidate, Grid, PlannedProduct, Shortfall, Step
from .problem import PlanOptions, Problem
from .target import Target

DYNAMIC_PLAN_SCHEMA = "popsparse.dynamic_plan/1"


@dataclass(frozen=True)
class PatternForecast:
    """What loading a pattern into a plan would do.

    fits: whether it can be loaded; reason: why not, else empty. steps: propagation steps of a call; displacements: of
    each, in cells. propagation_cycles: of all steps of a forward call, packets taken as full; total_cycles: with it.
    overfull_cells: cells with more blocks than a bucket holds, as (row group, column group, blocks); spilled_blocks.
    """

    fits: bool
    reason: str
    nnz_blocks: int
    fullest_cell: int
    bucket_blocks: int
    steps: int = 0
    displacements: Tuple[int, ...] = ()
    propagation_cycles: float = 0.0
    total_cycles: float = 0.0
    spilled_blocks: int = 0
    overfull_cells: Tuple[Tuple[int, int, int], ...] = ()

    def __str__(self) -> str:
        if not self.fits:
            return f"does not fit: {self.reason}"
        head = f"fits: {self.nnz_blocks:,} blocks, {self.fullest_cell:,} in the fullest cell of {self.bucket_blocks:,}"
        if not self.steps:
            return f"{head}; nothing travels, {self.total_cycles:,.0f} cycles"
        return (
            f"{head}; {len(self.overfull_cells)} cells spill {self.spilled_blocks:,} blocks, {self.steps} propagation "
            f"steps take {self.propagation_cycles:,.0f} of {self.total_cycles:,.0f} cycles"
        )


@dataclass(frozen=True, eq=False)
class DynamicPlan(PlannedProduct):
    """How Y (m, n) = W (m, k) X (k, n) runs for every pattern of W with at most capacity_blocks blocks.

    density: planned, capacity_blocks / all blocks. draft: cells, buckets and worker split; published: the published
    planner's choice (strategy "popsparse", which is a baseline to compare with and cannot be executed here).
    pass_costs: by pass, "forward" and, with strategy "quantile", those that the options ask for; memory: of the pass
    that needs most. cost, memory: None only where there is no plan (`reason` says why). propagation_probability: that a
    uniform random pattern of the planned density needs propagation; propagation_steps: of the median one. Plans are
    equal when their JSON is.
    """

    problem: Problem
    target: Target
    strategy: str
    options: PlanOptions
    capacity_blocks: int
    draft: Optional[Draft]
    pass_costs: Mapping[str, Cost]
    memory: Optional[Memory]
    steps: Tuple[Step, ...]
    candidates: Tuple[Candidate, ...]
    dense_cost: Optional[Cost] = None
    published: Optional[PublishedDynamicChoice] = None
    shortfall: Optional[Shortfall] = None
    reason: str = ""
    propagation_probability: float = 0.0
    propagation_steps: int = 0
    kept: Dict[Any, Any] = field(default_factory=dict, repr=False)  # compiled kernels, owned by this plan

    mode = "dynamic"

    @property
    def cost(self) -> Optional[Cost]:
        """Of one forward call, with the propagation expected for a uniform random pattern of the planned density."""
        return self.pass_costs.get("forward")

    @property
    def density(self) -> float:
        """Planned density: capacity_blocks over all blocks."""
        mb, kb = self.problem.block_grid
        return self.capacity_blocks / (mb * kb)

    @property
    def fits(self) -> bool:
        """Whether every tile of the chip holds its share in every planned pass, and every 16-bit field its number."""
        return self.memory is not None and self.memory.fits and not self.reason

    @property
    def grid(self) -> Grid:
        """(qm, qk, qn): parts per axis."""
        if self.published is not None:
            return Grid(self.published.px, self.published.py, self.published.pz)
        return Grid(0, 0, 0) if self.draft is None else Grid(self.frame.qm, self.frame.qk, self.frame.qn)

    @property
    def frame(self) -> Frame:
        """The cells; PlanError unless this project can execute the plan."""
        return self._own().frame

    @property
    def layout(self) -> BucketLayout:
        """Sizes of the buckets; PlanError unless this project can execute the plan."""
        return self._own().layout

    @property
    def tiles_used(self) -> int:
        """Tiles that work on a cell."""
        return self.grid.qm * self.grid.qk * self.grid.qn

    @property
    def bucket_bytes(self) -> int:
        """Bytes of values and lists that each tile keeps of its cell's bucket."""
        if self.published is not None and self.draft is None:
            item = 2 if self.problem.dtype == "float16" else 4
            return self.published.nz_elems_per_bucket * item + 2 * self.published.meta_fwd
        return self.layout.bucket_bytes

    @property
    def flops(self) -> int:
        """Useful floating-point operations of one call at capacity: 2 * capacity_blocks * b * b * n."""
        return 2 * self.capacity_blocks * self.problem.block_size**2 * self.problem.n

    @property
    def imbalance(self) -> float:
        """Blocks of the fullest cell that the plan reckons with over the mean; 1 = even."""
        return 1.0 if self.draft is None else self.draft.peak_blocks * self.frame.num_cells / self.capacity_blocks

    @property
    def published_cost(self) -> Optional[int]:
        """The published planner's own estimate of all planned passes, in cycles (strategy "popsparse")."""
        return None if self.published is None or not self.published.ok else self.published.cost_cycles

    def explain(self) -> str:
        """The plan in words and numbers, for a terminal."""
        return explain_dynamic(self)

    def explain_pattern(self, pattern: BlockPattern) -> PatternForecast:
        """Whether a pattern fits, and what it will cost, before anything is loaded.

        Raises ShapeError or PatternError for another shape or block size, PlanError for a plan of another strategy.
        """
        self.check_own()
        counts = cell_counts(self.frame, pattern) if self._same_frame(pattern) else None
        try:
            check_pattern(pattern, (self.problem.m, self.problem.k), self.problem.block_size, self.capacity_blocks)
            assert counts is not None
            placement = place_blocks(counts, self.layout)
        except CapacityError as error:
            fullest = 0 if counts is None else int(counts.max(initial=0))
            return PatternForecast(False, str(error), pattern.nnz_blocks, fullest, self.layout.capacity)
        shifts = list(placement.displacements)
        travel = placement_cost(self.problem, self.target, self.frame, self.layout, shifts)
        cells = placement.overfull_cells
        spilled = zip(cells % self.frame.qm, cells // self.frame.qm, counts[cells])
        return PatternForecast(
            fits=True,
            reason="",
            nnz_blocks=pattern.nnz_blocks,
            fullest_cell=int(counts.max(initial=0)),
            bucket_blocks=self.layout.capacity,
            steps=placement.num_steps,
            displacements=placement.displacements,
            propagation_cycles=travel.total_cycles,
            total_cycles=self._quiet_cycles() + travel.total_cycles,
            spilled_blocks=placement.spilled_blocks,
            overfull_cells=tuple((int(i), int(j), int(blocks)) for i, j, blocks in spilled),
        )

    def _same_frame(self, pattern: BlockPattern) -> bool:
        return pattern.shape == (self.problem.m, self.problem.k) and pattern.block_size == self.problem.block_size

    def _quiet_cycles(self) -> float:
        """Of a forward call without propagation."""
        assert self.cost is not None and self.draft is not None
        expected = placement_cost(self.problem, self.target, self.frame, self.layout, [1])
        cells = self.frame.num_cells
        return self.cost.total_cycles - (expected.total_cycles * self.draft.spill_probability if cells > 1 else 0.0)

    def check_own(self) -> None:
        """PlanError unless this project can execute the plan."""
        self._own()

    def _own(self) -> Draft:
        if self.draft is not None:
            return self.draft
        if self.published is not None and self.published.ok:
            raise PlanError("strategy 'popsparse' is a baseline to compare with: plan with strategy='quantile' to run")
        raise PlanError(f"the plan cannot run: {self.reason}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DynamicPlan) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.problem, self.target, self.strategy, self.capacity_blocks))

    def __reduce__(self) -> Any:
        return (DynamicPlan.from_json, (self.to_json(),))

    def to_json(self) -> str:
        """JSON text; equal plans give equal bytes, and `from_json` gives the plan back."""
        return json_data.dump(
            {
                "schema": DYNAMIC_PLAN_SCHEMA,
                "mode": self.mode,
                "problem": self.problem.to_dict(),
                "target": self.target.to_dict(),
                "strategy": self.strategy,
                "options": self.options.to_dict(),
                "capacity_blocks": self.capacity_blocks,
                "draft": None if self.draft is None else _draft_fields(self.draft),
                "pass_costs": {name: cost.to_dict() for name, cost in self.pass_costs.items()},
                "memory": None if self.memory is None else self.memory.to_dict(),
                "steps": [vars(step) for step in self.steps],
                "candidates": [dict(vars(c), grid=list(c.grid)) for c in self.candidates],
                "dense_cost": None if self.dense_cost is None else self.dense_cost.to_dict(),
                "published": None if self.published is None else vars(self.published),
                "shortfall": None if self.shortfall is None else vars(self.shortfall),
                "reason": self.reason,
                "propagation_probability": self.propagation_probability,
                "propagation_steps": self.propagation_steps,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> DynamicPlan:
        """The plan that `to_json` wrote; FormatError for any other text."""
        fields = json_data.parse(text, DYNAMIC_PLAN_SCHEMA)
        try:
            return _plan_of(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"not a stored dynamic plan: {error!r}") from error


def _draft_fields(draft: Draft) -> Dict[str, Any]:
    return dict(vars(draft), frame=draft.frame.to_dict(), layout=vars(draft.layout))


def _draft_of(fields: Mapping[str, Any]) -> Draft:
    layout = BucketLayout(**fields["layout"])
    return Draft(**dict(fields, frame=Frame.from_dict(fields["frame"]), layout=layout))


def _plan_of(fields: Mapping[str, Any]) -> DynamicPlan:
    return DynamicPlan(
        problem=Problem(**fields["problem"]),
        target=Target.from_dict(fields["target"]),
        strategy=fields["strategy"],
        options=PlanOptions.from_dict(fields["options"]),
        capacity_blocks=int(fields["capacity_blocks"]),
        draft=None if fields["draft"] is None else _draft_of(fields["draft"]),
        pass_costs={name: Cost.from_dict(cost) for name, cost in fields["pass_costs"].items()},
        memory=None if fields["memory"] is None else Memory.from_dict(fields["memory"]),
        steps=tuple(Step(**step) for step in fields["steps"]),
        candidates=tuple(Candidate(**dict(c, grid=Grid(*c["grid"]))) for c in fields["candidates"]),
        dense_cost=None if fields["dense_cost"] is None else Cost.from_dict(fields["dense_cost"]),
        published=None if fields["published"] is None else PublishedDynamicChoice(**fields["published"]),
        shortfall=None if fields["shortfall"] is None else Shortfall(**fields["shortfall"]),
        reason=fields["reason"],
        propagation_probability=float(fields["propagation_probability"]),
        propagation_steps=int(fields["propagation_steps"]),
    )
