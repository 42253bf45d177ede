"""The published dynamic planner reproduced, quirks included: the baseline whose plans were measured on hardware.

Source: popsparse-dynamic section 2. It looks at every partition (Px, Py, Pz) of m, k and n that fits the chip's tiles
and takes the cheapest by its own estimate (`cost_cycles` here, published_cost of a plan), not by this project's model.
It never sees a pattern, and what does not fit the buckets it sizes is not priced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import PlanError
from ..problem import PlanOptions, Problem, column_grain
from ..target import Target
from .published_buckets import BucketRule, effective_block_size
from .published_cost import Columns, PassCost, Sizes, View, forward_view, grad_input_view, sparse_pass_cost
from .published_grad_weight_cost import grad_weight_cost

_AMP_Z_GRAIN = {"float16": 16, "float32": 8}  # columns of one step of the matrix unit in grad-weight
ELEMENT_METHODS = "Forward/Transpose/GradW"
BLOCK_METHODS = "ForwardAMPBlock/TransposeAMPBlock/GradWBlock"
AMP_METHODS = "ForwardAMPBlock/TransposeAMPBlock/GradWAMPBlock"


@dataclass(frozen=True)
class PublishedDynamicChoice:
    """What the published dynamic planner chooses, or why it refuses (ok False; message says why, the rest is 0).

    px, py, pz: partitions of m, k, n; method: codelets of forward, grad-input and grad-weight; block_size: as the
    codelets see it (float32 blocks of 16 are re-cut to 8); z_group: columns of one grain of n.
    nz_elems_per_bucket, meta_fwd, meta_grad_a: values and 16-bit fields that a tile's bucket holds (0: no such pass).
    grad_w_exchange_buckets: grad-weight moves buckets, not inputs. cost_cycles, cost_temp_bytes: its estimate of all
    planned passes. memory_bound: temporary bytes of a tile that it kept to (it doubles the bound until something
    fits); 0: none. candidates: partitions tried, in all methods and rounds; feasible: of the last round, those that
    keep every rule and the bound and cost fewer cycles than the best of the methods before theirs.
    """

    ok: bool
    message: str
    candidates: int
    feasible: int
    block_size: int
    px: int = 0
    py: int = 0
    pz: int = 0
    method: str = ""
    z_group: int = 0
    nz_elems_per_bucket: int = 0
    meta_fwd: int = 0
    meta_grad_a: int = 0
    grad_w_exchange_buckets: bool = False
    cost_cycles: int = 0
    cost_temp_bytes: int = 0
    memory_bound: int = 0

    @property
    def used_tiles(self) -> int:
        """Tiles that hold a partition."""
        return self.px * self.py * self.pz

    @property
    def nz_blocks_per_bucket(self) -> int:
        """Whole blocks that a bucket holds."""
        return self.nz_elems_per_bucket // self.block_size**2


class _Method(NamedTuple):
    name: str
    z_group: int
    amp: bool
    moves_buckets: bool


@dataclass(frozen=True, eq=False)
class _Costed:
    """Candidates of one method that break no rule, with their buckets and cost; arrays int64 [candidates]."""

    method: _Method
    view: View
    value_groups: np.ndarray
    meta_fwd: np.ndarray
    meta_grad_a: np.ndarray
    cost: PassCost


def search_published_dynamic(
    m: int,
    k: int,
    n: int,
    block_size: int,
    density_or_blocks: float,  # an int counts blocks, anything else is a density in (0, 1]
    *,
    target: Target,
    dtype: str = "float16",
    partials_dtype: str = "float32",  # as the published library: its option partialsType is float unless it is set
    options: Optional[PlanOptions] = None,
) -> PublishedDynamicChoice:
    """The choice of the published planner for any pattern of that density, or its refusal with the reason.

    m and k count with their padding to whole blocks. Raises PlanError for a density outside (0, 1], blocks that the
    grid has not, n that its codelets cannot take, or single values with float16 partials.
    """
    problem, options = Problem(m, k, n, block_size, dtype, partials_dtype), options or PlanOptions()
    density = _checked_density(problem, density_or_blocks)
    methods = _methods(problem, options)
    costed = [_cost_method(problem, density, target, options, method) for method in methods]
    tried = len(_partitions(target.tiles)[0]) * len(methods)
    bounds = _memory_bounds(options, target)
    for rounds, bound in enumerate(bounds, start=1):
        best = _cheapest(costed, bound)
        if best is not None:
            return _choice(problem, options, best, bound, tried * rounds)
    message = (
        f"the published planner finds no partition of {m} x {k} with n = {n}: none of {tried:,} leaves every tile "
        "work and equal columns and keeps its offsets in 16 bits; try blocks, or n with more small factors"
    )
    return PublishedDynamicChoice(False, message, tried * len(bounds), 0, effective_block_size(block_size, dtype))


def _checked_density(problem: Problem, density_or_blocks: float) -> float:
    mb, kb = problem.block_grid
    if isinstance(density_or_blocks, (int, np.integer)) and not isinstance(density_or_blocks, bool):
        if not 0 < density_or_blocks <= mb * kb:
            raise PlanError(f"expected 1 to {mb * kb:,} blocks in a grid of {mb} x {kb}, got {density_or_blocks:,}")
        density = density_or_blocks / (mb * kb)
    else:
        density = float(density_or_blocks)
    if not 0.0 < density <= 1.0:
        raise PlanError(f"density must lie in (0, 1], got {density}", density=density)
    grain = column_grain(problem.dtype)
    if problem.block_size == 1 and problem.n % grain:
        raise PlanError(f"the published dynamic planner takes n in multiples of {grain} for b = 1, got {problem.n}")
    if problem.block_size == 1 and problem.partials_dtype != "float32":
        raise PlanError("the published dynamic planner keeps partials of single values in float32")
    return density


def _methods(problem: Problem, options: PlanOptions) -> List[_Method]:
    """Codelets to try, in the order of the original: the first of equals wins."""
    moves = (False, True) if options.grad_weight else (False,)
    if problem.block_size == 1:
        return [_Method(ELEMENT_METHODS, column_grain(problem.dtype), False, move) for move in moves]
    methods = [_Method(BLOCK_METHODS, 1, False, move) for move in moves]
    if problem.n % _AMP_Z_GRAIN[problem.dtype] == 0:
        methods += [_Method(AMP_METHODS, _AMP_Z_GRAIN[problem.dtype], True, move) for move in moves]
    return methods


def _memory_bounds(options: PlanOptions, target: Target) -> List[int]:
    """Bounds on temporary bytes, one per round: doubled up to twice a tile's memory, then 0, which means none."""
    bound = int(target.tile_bytes * options.available_memory_proportion)
    bounds = [bound]
    while bounds[-1] * 2 < target.tile_bytes * 2:
        bounds.append(bounds[-1] * 2)
    return [*bounds, 0]


@lru_cache(maxsize=4)
def _partitions(tiles: int) -> Columns:
    """(Px, Py, Pz), each int64 [candidates], with at most `tiles` in all, Px rising first, then Py."""
    pairs = [(x, y) for x in range(1, tiles + 1) for y in range(1, tiles // x + 1)]
    x, y = np.array(pairs, dtype=np.int64).T
    most = tiles // (x * y)
    z = np.arange(most.sum()) - np.repeat(np.cumsum(most) - most, most) + 1
    return np.repeat(x, most), np.repeat(y, most), z


def _cost_method(problem: Problem, density: float, target: Target, options: PlanOptions, method: _Method) -> _Costed:
    b = effective_block_size(problem.block_size, problem.dtype)
    ratio = problem.block_size // b
    mb, kb = (blocks * ratio for blocks in problem.block_grid)
    view = _candidates(target, (mb, kb, -(-problem.n // method.z_group)))
    if b == 1:
        view = _in_range(view, method.z_group, 2 if problem.dtype == "float16" else 4, target.u16_max)
    rule = BucketRule.of(problem.block_size, density, problem.dtype, options)
    values = rule.value_groups(math.ceil(mb * kb * density), view.tiles)
    meta = rule.meta_fields(view.groups_x, view.groups_y)
    shares, rate = target.tiles_per_exchange_bus == 2, target.exchange_bytes_per_cycle
    sizes = Sizes(b, method.z_group, problem.dtype, problem.partials_dtype, density, rate, shares)
    costs = [sparse_pass_cost(sizes, view, values, meta, grad_input=False)]
    if options.grad_input:
        costs.append(sparse_pass_cost(sizes, grad_input_view(view), values, meta, grad_input=True))
    if options.grad_weight:
        moves = method.moves_buckets
        costs.append(grad_weight_cost(sizes, view, values, meta, amp=method.amp, moves_buckets=moves))
    cycles = np.sum([cost.cycles for cost in costs], axis=0)
    temp_bytes = np.maximum.reduce([cost.temp_bytes for cost in costs])
    grad_a = meta if options.grad_input else np.zeros_like(meta)
    return _Costed(method, view, values, meta, grad_a, PassCost(cycles, temp_bytes))


def _candidates(target: Target, all_groups: Tuple[int, int, int]) -> View:
    """Partitions without an empty part of m or k and with equal parts of n."""
    parts = _partitions(target.tiles)
    x, y, z = parts
    keep = all_groups[2] % z == 0
    for whole, part in zip(all_groups, parts):
        keep = keep & ((part - 1) * -(-whole // part) < whole)
    x, y, z = x[keep], y[keep], z[keep]
    return forward_view((x, y, z), (-(-all_groups[0] // x), -(-all_groups[1] // y), all_groups[2] // z), all_groups)


def _in_range(view: View, z_group: int, offset_factor: int, limit: int) -> View:
    """Candidates whose row numbers and scaled column offsets fit a 16-bit field."""
    offsets = (view.groups_y - 1) * view.groups_z * z_group * offset_factor
    keep = (offsets <= limit) & (view.groups_x - 1 <= limit)
    kept = {name: value[keep] for name, value in view._asdict().items() if isinstance(value, np.ndarray)}
    return view._replace(**kept)


class _Best(NamedTuple):
    """The winner: its method's candidates, its place among them, and the `feasible` of a choice."""

    costed: _Costed
    place: int
    feasible: int


def _cheapest(costed: List[_Costed], bound: int) -> Optional[_Best]:
    """The first of the candidates with fewest cycles, then bytes, within the bound; None where none keeps it."""
    best: Optional[_Best] = None
    least, feasible = np.iinfo(np.int64).max, 0
    for one in costed:
        kept = one.cost.cycles < least
        if bound:
            kept &= one.cost.temp_bytes <= bound
        place = np.flatnonzero(kept)
        feasible += len(place)
        if len(place):
            first = place[np.lexsort((one.cost.temp_bytes[place], one.cost.cycles[place]))[0]]
            best, least = _Best(one, int(first), feasible), one.cost.cycles[first]
    return best


def _choice(problem: Problem, options: PlanOptions, best: _Best, bound: int, candidates: int) -> PublishedDynamicChoice:
    one, place = best.costed, best.place
    block_size = effective_block_size(problem.block_size, problem.dtype)
    elements = int(one.value_groups[place]) * block_size**2
    grain = column_grain(problem.partials_dtype) if options.grad_weight else 1
    return PublishedDynamicChoice(
        ok=True,
        message="",
        candidates=candidates,
        feasible=best.feasible,
        block_size=block_size,
        px=int(one.view.parts_x[place]),
        py=int(one.view.parts_y[place]),
        pz=int(one.view.parts_z[place]),
        method=one.method.name,
        z_group=one.method.z_group,
        nz_elems_per_bucket=-(-elements // grain) * grain,
        meta_fwd=int(one.meta_fwd[place]),
        meta_grad_a=int(one.meta_grad_a[place]),
        grad_w_exchange_buckets=one.method.moves_buckets,
        cost_cycles=int(one.cost.cycles[place]),
        cost_temp_bytes=int(one.cost.temp_bytes[place]),
        memory_bound=bound,
    )
