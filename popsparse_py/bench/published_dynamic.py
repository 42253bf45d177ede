"""Dynamic plans of this project beside the published scheme's: buckets, propagation, predicted speed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from popsparse_planner import BlockPattern, DynamicPlan, FormatError, PlanOptions, plan_dynamic, plan_static
from popsparse_planner.dynamic.buckets import cell_counts
from popsparse_planner.dynamic.propagation import step_operations
from popsparse_planner.dynamic.simulate import cell_sizes, drawn_counts
from popsparse_planner.problem import item_bytes

PLANS, SPILLS = "popsparse_dynamic_plans.csv", "popsparse_dynamic_spills.csv"
_DTYPES = {"half": "float16", "float": "float32"}
_KINDS = {
    "uniform": "uniform",
    "rowskew": "row_skew",
    "colskew": "col_skew",
    "banded": "banded",
    "hotcorner": "hot_corner",
}
_DEFAULT_OVERSIZE = 0.3  # of the published planner, with which its buckets are compared
_DRAWN_PATTERNS = 20_000  # blocks up to which whole patterns are drawn; above it the counts of their cells


class Size(NamedTuple):
    """A product of the published files; density: of W's blocks."""

    m: int
    k: int
    n: int
    block_size: int
    density: float
    dtype: str

    def plan(self, **changes: Any) -> DynamicPlan:
        """A dynamic plan for it."""
        sizes: Dict[str, Any] = {"block_size": self.block_size, "density": self.density, "dtype": self.dtype}
        return plan_dynamic(self.m, self.k, self.n, **sizes, **changes)

    def __str__(self) -> str:
        return f"{self.m} x {self.k}, n = {self.n}, b = {self.block_size}, d = {self.density:g}, {self.dtype}"


@dataclass(frozen=True)
class Quiet:
    """How many random patterns of the planned density need no propagation, and the buckets' bytes per tile."""

    size: Size
    patterns: int
    quiet: int
    drawn: str
    bucket_bytes: int
    published_bytes: int


@dataclass(frozen=True)
class Spill:
    """One published run beside ours: propagation steps and bytes that tiles receive in them, in all of a call."""

    kind: str
    size: Size
    steps: int
    published_steps: int
    moved_bytes: int
    published_moved_bytes: int
    bucket_bytes: int
    published_bytes: int


@dataclass(frozen=True)
class Speed:
    """Predicted cycles of a forward call of ours and of the published scheme, with the same partials."""

    size: Size
    partials_dtype: str
    cycles: float
    published_cycles: float


def read_rows(folder: Path, name: str) -> List[Dict[str, str]]:
    """The rows of a published file; FormatError where there is none."""
    try:
        with (folder / name).open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))
    except OSError as error:
        raise FormatError(f"cannot read {folder / name}: {error}; --data names the folder with {name}") from error


def size_of(row: Dict[str, str]) -> Size:
    """The product of a row of either file."""
    m, k, n, b = (int(row[name]) for name in ("m", "k", "n", "block"))
    return Size(m, k, n, b, float(row["density"]), _DTYPES[row["dtype"]])


def published_bucket_bytes(row: Dict[str, str]) -> int:
    """Values and meta-info that a tile's bucket holds in a row of either file."""
    b, item = int(row["block"]), item_bytes(_DTYPES[row["dtype"]])
    if "nzElemsPerBucket" in row:
        return int(row["nzElemsPerBucket"]) * item + 2 * int(row["metaFwd"])
    return int(row["nzBucketBlocks"]) * b * b * item + 2 * int(row["metaBucketElems"])


def quiet_patterns(rows: List[Dict[str, str]], patterns: int) -> List[Quiet]:
    """Each product of the rows with the published planner's default buckets, once."""
    known: Dict[Size, int] = {}
    for row in rows:
        if float(row["oversize"]) == _DEFAULT_OVERSIZE and row["gradW"] == "0":
            known.setdefault(size_of(row), published_bucket_bytes(row))
    return [_quiet(size, known[size], patterns) for size in sorted(known)]


def _quiet(size: Size, published_bytes: int, patterns: int) -> Quiet:
    plan = size.plan()
    whole = plan.capacity_blocks <= _DRAWN_PATTERNS
    if whole:
        made: Dict[str, Any] = {"density": size.density, "block_size": size.block_size}
        drawn = (BlockPattern.random((size.m, size.k), seed=seed, **made) for seed in range(patterns))
        fullest = np.array([cell_counts(plan.frame, pattern).max() for pattern in drawn])
    else:
        fullest = drawn_counts(cell_sizes(plan.frame), plan.capacity_blocks, patterns).max(axis=1)
    quiet = int((fullest <= plan.layout.capacity).sum())
    return Quiet(size, patterns, quiet, "patterns" if whole else "counts", plan.bucket_bytes, published_bytes)


def spills(rows: List[Dict[str, str]]) -> List[Spill]:
    """Each row with a pattern of its kind and seed on our plan of its density."""
    plans: Dict[Size, DynamicPlan] = {}
    found = []
    for row in rows:
        size = size_of(row)
        plan = plans.setdefault(size, plans.get(size) or size.plan())
        found.append(_spill(row, size, plan))
    return found


def _spill(row: Dict[str, str], size: Size, plan: DynamicPlan) -> Spill:
    made: Dict[str, Any] = {"density": size.density, "block_size": size.block_size, "kind": _KINDS[row["pattern"]]}
    forecast = plan.explain_pattern(BlockPattern.random((size.m, size.k), seed=int(row["seed"]), **made))
    if not forecast.fits:
        raise FormatError(f"{row['pattern']} {size}: {forecast.reason}")
    published = published_bucket_bytes(row)
    tiles, steps = (int(row["Px"]) * int(row["Py"]) * int(row["Pz"])), int(row["propStepsSkipAware"])
    moved = steps * tiles * published
    return Spill(
        row["pattern"], size, forecast.steps, steps, _moved(plan, forecast), moved, plan.bucket_bytes, published
    )


def _moved(plan: DynamicPlan, forecast: Any) -> int:
    """Bytes that all tiles receive in the propagation of a call: hops pass a share on, deliveries bring all shares."""
    frame, each = plan.frame, plan.layout.packet_bytes * plan.frame.num_tiles
    hops = sum(len(step_operations(one, frame.num_cells)) - 1 for one in forecast.displacements)
    return each * (hops + forecast.steps * frame.qn) * frame.passes


def speeds(rows: List[Dict[str, str]]) -> List[Speed]:
    """Each row's product, the published plan with the row's options, both with the row's partials."""
    found = []
    for row in rows:
        size, partials = size_of(row), _DTYPES[row["partials"]]
        options = PlanOptions(
            grad_input=row["gradA"] == "1",
            grad_weight=row["gradW"] == "1",
            meta_info_oversize_proportion=float(row["oversize"]),
        )
        published = size.plan(strategy="popsparse", partials_dtype=partials, options=options)
        ours = size.plan(partials_dtype=partials)
        if published.cost is not None and ours.cost is not None:
            found.append(Speed(size, partials, ours.cost.total_cycles, published.cost.total_cycles))
    return found


def best_rates(partials_dtype: str) -> Tuple[Dict[int, float], Dict[int, float]]:
    """(dynamic, static) TFLOP/s by n at m = k = 4096, b = 16, density 1/16, our strategies."""
    pattern = BlockPattern.random((4096, 4096), density=1 / 16, block_size=16)
    dynamic: Dict[int, float] = {}
    static: Dict[int, float] = {}
    for n in (16, 64, 256, 1024, 2048, 4096):
        made = plan_dynamic(4096, 4096, n, block_size=16, density=1 / 16, partials_dtype=partials_dtype)
        known = plan_static(pattern, n, partials_dtype=partials_dtype)
        dynamic[n], static[n] = (plan.tflops if plan.fits else 0.0 for plan in (made, known))
    return dynamic, static
