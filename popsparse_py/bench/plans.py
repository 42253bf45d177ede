"""The balanced static plans against the published partitioner's, both under the one model: a grid and an ablation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from popsparse_planner import BlockPattern, PlanOptions, plan_static
from popsparse_planner.benchmark_pattern import benchmark_pattern
from popsparse_planner.ideas import IDEAS
from popsparse_planner.plan import StaticPlan

PARTIALS = ("float16", "float32")  # of ours; the published program's are float16
SIDES, BLOCK_SIZES, ONE_IN, COLUMNS = (
    (512, 1024, 2048, 4096, 8192),
    (1, 4, 8, 16),
    (4, 8, 16, 32),
    (4, 16, 64, 256, 1024),
)
OTHER_KINDS = ("banded", "row_skew", "col_skew", "power_law")


class Group(NamedTuple):
    """Products with one pattern: W (m, m) of density 1 / one_in; kind "uniform" is the pattern that was measured."""

    m: int
    block_size: int
    one_in: int
    columns: Tuple[int, ...]
    kind: str = "uniform"

    def pattern(self) -> BlockPattern:
        """The pattern of its products."""
        if self.kind == "uniform":
            return benchmark_pattern(self.m, self.block_size, 1 / self.one_in)
        shape = (self.m, self.m)
        return BlockPattern.random(shape, density=1 / self.one_in, block_size=self.block_size, seed=1, kind=self.kind)


@dataclass(frozen=True)
class Compared:
    """One product of float16 under two plans: cycles of each, None where a plan does not fit; `ours` by partials."""

    group: Group
    n: int
    popsparse: Optional[Dict[str, float]]
    ours: Dict[str, Optional[Dict[str, float]]]

    def ratio(self, partials: str = "float16") -> Optional[float]:
        """How many times faster ours is; None where either does not fit."""
        ours = self.ours.get(partials)
        return None if self.popsparse is None or ours is None else self.popsparse["total"] / ours["total"]

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        shape = {"m": self.group.m, "b": self.group.block_size, "one_in": self.group.one_in, "n": self.n}
        ratios = {partials: self.ratio(partials) for partials in self.ours}
        return {**shape, "kind": self.group.kind, "popsparse": self.popsparse, "balanced": self.ours, "ratio": ratios}


def whole_grid() -> List[Group]:
    """The published grid: 400 products."""
    return [Group(m, b, d, COLUMNS) for m in SIDES for b in BLOCK_SIZES for d in ONE_IN]


def quick_grid() -> List[Group]:
    """Four products of it."""
    return [Group(512, b, 16, (64,)) for b in BLOCK_SIZES]


def uneven_grid(sides: Sequence[int] = (512, 2048)) -> List[Group]:
    """Patterns that are not uniform."""
    return [Group(m, b, 16, (64, 1024), kind) for kind in OTHER_KINDS for m in sides for b in BLOCK_SIZES]


def ablation_grid() -> List[Group]:
    """What the ablation plans many times over: a sample of the grid."""
    return [Group(m, b, d, (4, 64, 1024)) for m in (512, 2048) for b in BLOCK_SIZES for d in (8, 32)]


def compare(group: Group, partials: Sequence[str]) -> List[Compared]:
    """Every product of a group under both plans."""
    pattern = group.pattern()
    found = []
    for n in group.columns:
        published = parts_of(plan_static(pattern, n, strategy="popsparse"))
        ours = {each: parts_of(plan_static(pattern, n, partials_dtype=each)) for each in partials}
        found.append(Compared(group, n, published, ours))
    return found


def parts_of(plan: StaticPlan) -> Optional[Dict[str, float]]:
    """Cycles of a plan by their cause, with the total; None if it does not fit."""
    if not plan.fits or plan.cost is None:
        return None
    names = ("compute", "exchange", "sync", "reduce", "other", "total")
    return {name: round(float(getattr(plan.cost, f"{name}_cycles")), 1) for name in names}


def ablation_steps() -> List[Tuple[str, Tuple[str, ...]]]:
    """(name, ideas left out): all of them, one less at a time in the order of IDEAS, and then each alone."""
    names = tuple(IDEAS)
    steps = [("none of them", names)]
    steps += [(f"+ {name}", names[count:]) for count, name in enumerate(names, 1)]
    return steps + [(f"all but {name}", (name,)) for name in names]


def ablate(group: Group, steps: Sequence[Tuple[str, Tuple[str, ...]]]) -> List[List[Optional[float]]]:
    """[products][steps]: cycles of the balanced plan without those ideas, float16 partials; None if it does not fit."""
    pattern = group.pattern()
    found = []
    for n in group.columns:
        plans = (
            parts_of(plan_static(pattern, n, partials_dtype="float16", options=PlanOptions(without=without)))
            for _, without in steps
        )
        found.append([parts["total"] if parts else None for parts in plans])
    return found


def in_parallel(function: Any, groups: Iterable[Group], further: Any, jobs: int) -> Iterator[Any]:
    """function(group, further) of every group as they come. ImportError without joblib for more than one job."""
    if jobs == 1:
        for group in groups:
            yield function(group, further)
        return
    try:
        joblib = import_module("joblib")
    except ImportError as error:
        raise ImportError("-j above 1 needs joblib: python -m pip install 'popsparse_py[report]'") from error
    calls = (joblib.delayed(function)(group, further) for group in groups)
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")(calls)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of positive numbers; NaN for none."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan
