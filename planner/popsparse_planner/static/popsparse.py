"""The published static partitioner reproduced, quirks included: the baseline whose plans were measured on hardware.

Source: popsparse-static sections 2 and 4. Only two numbers are searched, splits of n and bands of k; the estimate that
decides is the published one (`total_cycles` here, published_cost of a plan), not this project's model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import PlanError
from ..partition import Cut, frozen
from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem, column_grain
from ..target import Target
from .published_cost import LOADS, MEMORY, PHASES, Candidates, Estimate, Kept, estimate
from .published_cut import (
    Bands,
    Dimension,
    build_bands,
    make_cut,
    n_parts,
    order_blocks,
    part_tiles,
    preprocess,
    tiles_per_band,
)

MAX_N_SPLIT, MAX_K_SPLIT = 32, 128  # bounds of the published search


def _nothing() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class PublishedChoice:
    """What the published partitioner chooses, or why it refuses (ok False; message says why, the arrays are empty).

    rows_kept, columns_kept: block rows and columns that its estimate looks at; num_candidates, num_feasible: pairs
    (splits of n, bands of k) that it costed, and those that keep every limit.
    n_split_searched, k_split_searched: the winning pair; part_bounds: int64 [n_split + 1], padded columns of n;
    part_first_tile, part_tiles: int64 [n_split]; band_bounds: int64 [num_bands + 1], block columns in planned order;
    cuts: one per distinct number of tiles of a part; part_cut: int64 [n_split], which of them a part uses.
    phases (tile cycles), memory (bytes) and load: the estimate's parts for the slowest n part, names as in
    published_cost; worst_bytes: largest estimate of any part.
    """

    ok: bool
    message: str
    rows_kept: int
    columns_kept: int
    num_candidates: int
    num_feasible: int
    n_split_searched: int = 0
    k_split_searched: int = 0
    part_bounds: np.ndarray = field(default_factory=_nothing)
    part_first_tile: np.ndarray = field(default_factory=_nothing)
    part_tiles: np.ndarray = field(default_factory=_nothing)
    band_bounds: np.ndarray = field(default_factory=_nothing)
    cuts: Tuple[Cut, ...] = ()
    part_cut: np.ndarray = field(default_factory=_nothing)
    phases: Dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    memory: Dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEMORY, 0))
    load: Dict[str, float] = field(default_factory=lambda: dict.fromkeys(LOADS, 0.0))
    worst_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("part_bounds", "part_first_tile", "part_tiles", "band_bounds", "part_cut"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64))

    @property
    def n_split(self) -> int:
        """Parts of n that exist: fewer than searched where the last would be empty."""
        return len(self.part_tiles)

    @property
    def num_bands(self) -> int:
        """Bands of k that exist: fewer than searched where the greedy ones run out of blocks."""
        return max(len(self.band_bounds) - 1, 0)

    @property
    def total_cycles(self) -> int:
        """The published planner's estimate of the whole product, in tile cycles."""
        return sum(self.phases.values())


class _Entries(NamedTuple):
    """The search space, int64 [entries]: each candidate once per distinct (columns, tiles) among its parts of n."""

    n_split: np.ndarray
    k_split: np.ndarray
    columns: np.ndarray
    tiles: np.ndarray

    @property
    def candidate(self) -> np.ndarray:
        """Key of the candidate that an entry belongs to; keys rise in the order of the search."""
        key: np.ndarray = self.n_split * (MAX_K_SPLIT + 1) + self.k_split
        return key


class _Setting(NamedTuple):
    """What stays the same during one search."""

    pattern: BlockPattern
    problem: Problem
    target: Target
    tile_grain: int
    rows: Dimension
    columns: Dimension
    bands: Bands


def search_published(
    pattern: BlockPattern,
    problem: Problem,
    target: Target,
    options: Optional[PlanOptions] = None,
    *,
    enable_preprocessing: bool = True,
) -> PublishedChoice:
    """The choice of the published partitioner for `pattern`, or its refusal with the reason.

    problem.partials_dtype must be problem.dtype, as there; m and k count with their padding to whole blocks. Raises
    PlanError for other partials, for a pattern that is not the problem's, for tiles that the planner cannot give out.
    """
    _check(pattern, problem)
    setting = _setting(pattern, problem, target, enable_preprocessing)
    rows, columns = setting.rows, setting.columns
    entries = _search_space(problem, target.tiles, setting.tile_grain, columns.kept)
    keys, candidate = np.unique(entries.candidate, return_inverse=True)
    facts: Dict[str, Any] = {"rows_kept": rows.kept, "columns_kept": columns.kept, "num_candidates": len(keys)}
    if pattern.nnz_blocks == 0:  # as published: the first candidate, at no cost
        return PublishedChoice(True, "", num_feasible=len(keys), **facts, **_cut(setting, 1, 1))
    fullest, tiles_given = _fullest_bands(entries, setting.bands, setting.tile_grain)
    kept = Kept(rows.kept, columns.kept, min(pattern.nnz_blocks / (rows.kept * columns.kept), 1.0))
    costs = estimate(fullest, kept, problem, target)
    bound = int((options or PlanOptions()).available_memory_proportion * target.tile_bytes)
    keeps = (tiles_given, costs.fields_fit, costs.memory["max_bytes"] <= bound)
    cycles, fits = np.zeros(len(keys), dtype=np.int64), np.ones(len(keys), dtype=bool)
    np.maximum.at(cycles, candidate, costs.total_cycles)
    np.logical_and.at(fits, candidate, np.logical_and.reduce(keeps))
    facts["num_feasible"] = int(np.count_nonzero(fits))
    if not fits.any():
        return PublishedChoice(False, _refusal(keeps, candidate, costs, bound), **facts)
    best = int(np.argmin(np.where(fits, cycles, np.iinfo(np.int64).max)))  # the first of equals
    n_split, k_split = divmod(int(keys[best]), MAX_K_SPLIT + 1)
    numbers = _numbers(costs, np.flatnonzero(candidate == best))
    return PublishedChoice(True, "", **facts, **_cut(setting, n_split, k_split), **numbers)


def _setting(pattern: BlockPattern, problem: Problem, target: Target, enable_preprocessing: bool) -> _Setting:
    mb, kb = problem.block_grid
    rows = preprocess(np.bincount(pattern.rows, minlength=mb), enable_preprocessing)
    columns = preprocess(np.bincount(pattern.cols, minlength=kb), enable_preprocessing)
    bands = build_bands(columns.counts, np.arange(1, MAX_K_SPLIT + 1))
    return _Setting(pattern, problem, target, _tile_grain(target), rows, columns, bands)


def _check(pattern: BlockPattern, problem: Problem) -> None:
    if problem.partials_dtype != problem.dtype:
        raise PlanError(
            f"the published planner keeps partials in the data's type: expected partials_dtype {problem.dtype}, "
            f"got {problem.partials_dtype}"
        )
    if pattern.block_grid != problem.block_grid or pattern.block_size != problem.block_size:
        raise PlanError(
            f"the pattern has {pattern.block_grid} blocks of {pattern.block_size}, "
            f"the problem {problem.block_grid} of {problem.block_size}"
        )


def _tile_grain(target: Target) -> int:
    """Tiles that are given out together: those that share an exchange bus, or one tile alone."""
    grain = 1 if target.tiles < target.tiles_per_exchange_bus else target.tiles_per_exchange_bus
    if target.tiles % grain:
        raise PlanError(
            f"the published planner gives out tiles {grain} at a time, so it cannot use {target.tiles}: "
            f"try {target.tiles - target.tiles % grain}",
            tiles=target.tiles,
        )
    return grain


def _search_space(problem: Problem, num_tiles: int, tile_grain: int, columns_kept: int) -> _Entries:
    """Step 2; its bound on bands takes block columns for elements (bug B4), which caps them for b > 1."""
    grain = column_grain(problem.dtype)
    most_k = min(MAX_K_SPLIT, columns_kept if problem.block_size == 1 else -(-columns_kept // grain))
    parts: List[np.ndarray] = [np.zeros((4, 0), dtype=np.int64)]
    for n_split in range(1, min(MAX_N_SPLIT, problem.n_padded // grain) + 1):
        columns = np.diff(n_parts(problem.n_padded, n_split, grain))
        tiles = np.diff(part_tiles(columns, num_tiles, tile_grain))
        k_splits = np.arange(1, min(most_k, num_tiles // tile_grain // n_split) + 1)
        if np.all(tiles > 0):
            for part in np.unique(np.stack([columns, tiles], axis=1), axis=0):
                fixed = np.repeat([[n_split], [0], [part[0]], [part[1]]], len(k_splits), axis=1)
                fixed[1] = k_splits
                parts.append(fixed)
    return _Entries(*np.concatenate(parts, axis=1))


def _fullest_bands(entries: _Entries, bands: Bands, tile_grain: int) -> Tuple[Candidates, np.ndarray]:
    """Each entry with the band that has most blocks per tile, and bool [entries]: every band got tiles."""
    request, place = entries.k_split - 1, np.arange(len(entries.k_split))
    blocks = bands.blocks[request]
    tiles, tiles_given = tiles_per_band(blocks, bands.num[request], entries.tiles, tile_grain)
    fullest = np.argmax(blocks / np.maximum(tiles, 1), axis=1)
    candidates = Candidates(
        n_split=entries.n_split,
        k_split=entries.k_split,
        columns=entries.columns,
        blocks=np.maximum(blocks[place, fullest], 1),
        tiles=np.maximum(tiles[place, fullest], 1),
        width=np.diff(bands.bounds, axis=1)[request, fullest],
        widest=bands.widest[request],
    )
    return candidates, tiles_given


def _cut(setting: _Setting, n_split: int, k_split: int) -> Dict[str, Any]:
    """The fields n_split_searched to part_cut of a choice."""
    problem, bands, request = setting.problem, setting.bands, k_split - 1
    part_bounds = n_parts(problem.n_padded, n_split, column_grain(problem.dtype))
    tile_bounds = part_tiles(np.diff(part_bounds), setting.target.tiles, setting.tile_grain)
    num = int(bands.num[request])
    band_bounds, blocks = bands.bounds[request, : num + 1], bands.blocks[request, :num]
    planned = order_blocks(setting.pattern, setting.rows, setting.columns, band_bounds)
    sizes, part_cut = np.unique(np.diff(tile_bounds), return_inverse=True)
    repeated = np.repeat(blocks[None], len(sizes), axis=0)
    tiles, _ = tiles_per_band(repeated, np.full(len(sizes), num), sizes, setting.tile_grain)
    return {
        "n_split_searched": n_split,
        "k_split_searched": k_split,
        "part_bounds": part_bounds,
        "part_first_tile": tile_bounds[:-1],
        "part_tiles": np.diff(tile_bounds),
        "band_bounds": band_bounds,
        "cuts": tuple(make_cut(planned, given) for given in tiles),
        "part_cut": part_cut,
    }


def _numbers(costs: Estimate, members: np.ndarray) -> Dict[str, Any]:
    """The fields phases to worst_bytes of a choice, from the entries `members` of its candidate."""
    slowest = int(members[np.argmax(costs.total_cycles[members])])
    return {
        "phases": {name: int(costs.phases[name][slowest]) for name in PHASES},
        "memory": {name: int(costs.memory[name][slowest]) for name in MEMORY},
        "load": {name: float(costs.load[name][slowest]) for name in LOADS},
        "worst_bytes": int(costs.memory["max_bytes"][members].max()),
    }


def _refusal(keeps: Tuple[np.ndarray, ...], candidate: np.ndarray, costs: Estimate, bound: int) -> str:
    """Why no candidate is left; with the fewest bytes that one over the bound would need."""
    tiles, fields, in_memory = (len(np.unique(candidate[~kept])) for kept in keeps)
    need = np.zeros(int(candidate.max()) + 1, dtype=np.int64)
    np.maximum.at(need, candidate, costs.memory["max_bytes"])
    reasons = []
    if in_memory:
        least = int(need[need > bound].min())
        reasons.append(f"{in_memory:,} need more than its bound of {bound:,} B a tile (at least {least:,} B)")
    if fields:
        reasons.append(f"{fields:,} overflow a 16-bit field")
    if tiles:
        reasons.append(f"{tiles:,} leave a band without tiles")
    return (
        f"the published planner finds no partition: of {len(need):,} candidates {', '.join(reasons)}; "
        "try a larger available_memory_proportion or a smaller n"
    )
