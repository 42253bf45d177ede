"""The cost of a static partition under the project's one model, from every tile's real work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from ..codelet_cycles import block_vertex_cycles, cast_cycles, reduce_vertex_cycles, zero_cycles
from ..cost import (
    Cost,
    call_cost,
    compute_cost,
    exchange_cost,
    exchange_cycles,
    layout_cost,
    paired_share,
    second_stage_cost,
)
from ..layout import WORKERS, value_layout, x_layout, y_layout
from ..memory import Memory
from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import Problem, item_bytes
from ..target import Target
from . import part_homes, traffic
from .field_limits import field_overflow
from .packing import Packing, estimated_cycles, pack_rows, packed_cycles
from .pieces import summed_pieces
from .tile_memory import passes_of_equal_widths, sampled, tile_memory
from .traffic import Traffic
from .work import CutWork, cut_work


@dataclass(frozen=True)
class StepCost:
    """One step of one pass: its cycles on the slowest tile, and on every tile where that is known."""

    name: str
    kind: str  # "exchange", "compute" or "reduce"
    cycles: float
    per_tile: Optional[np.ndarray] = None
    repeats: int = 1


@dataclass(frozen=True)
class Evaluation:
    """Cost, memory and steps of a partition; overflow: a 16-bit field that is too small, in words, or None."""

    cost: Cost
    memory: Memory
    steps: Tuple[StepCost, ...]
    works: Tuple[CutWork, ...]
    overflow: Optional[str] = None

    @property
    def fits(self) -> bool:
        """Whether every tile holds its bytes and every field its number."""
        return self.memory.fits and self.overflow is None

    @property
    def dot_cycles(self) -> np.ndarray:
        """float64 [tiles]: cycles each tile multiplies, all passes."""
        parts = [
            step.per_tile * step.repeats for step in self.steps if step.name == "dot" and step.per_tile is not None
        ]
        total: np.ndarray = np.sum(parts, axis=0)
        return total


class StaticModel:
    """Evaluates partitions of one pattern on one target; works of cuts are computed once and kept.

    exact=False takes a closed form for the worker split of b = 1, and few of many serial passes (as a search does);
    the final evaluation of a plan packs the rows for real and looks at more passes.
    """

    def __init__(self, pattern: BlockPattern, problem: Problem, target: Target) -> None:
        self.pattern, self.problem, self.target = pattern, problem, target
        self.x_home, self.y_home = x_layout(problem, target.tiles), y_layout(problem, target.tiles)
        self.value_home = value_layout(problem, pattern.nnz_blocks, target.tiles)
        self.item, self.partial_item = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
        self._works: Dict[Tuple[int, bool], Tuple[object, CutWork]] = {}
        self._packings: Dict[Tuple[int, int, bool], Packing] = {}
        self._spans: Dict[Tuple[int, int], np.ndarray] = {}

    def works(self, partition: Partition) -> Tuple[CutWork, ...]:
        """The work of each cut of `partition`."""
        for cut in partition.cuts:
            key = (id(cut), partition.paired)
            if key not in self._works:
                self._works[key] = (cut, cut_work(self.pattern, cut, paired=partition.paired))
        return tuple(self._works[id(cut), partition.paired][1] for cut in partition.cuts)

    def forget(self) -> None:
        """Drop the works of cuts that a search has passed over."""
        self._works.clear()
        self._packings.clear()
        self._spans.clear()

    def evaluate(self, partition: Partition, *, exact: bool = True) -> Evaluation:
        """Cost and memory of `partition`."""
        works = self.works(partition)
        cost, steps, fragments = call_cost(self.target), [], np.zeros(self.target.tiles)
        for passes in passes_of_equal_widths(partition.n_bounds):
            seen = [self._run_pass(bounds, partition, works, exact) for bounds in sampled(passes, exact)]
            fragments = fragments + np.mean([pieces for _, pieces in seen], axis=0) * len(passes)
            kind = _mean_steps([made for made, _ in seen], len(passes))
            for step in kind:
                cost = cost + self._step_cost(step) * step.repeats
            steps.extend(kind)
        cost = cost + self._layout_cost(partition) + self._second_stage_cost(partition, works)
        rows = [self._lone_rows(partition, works, part, exact) for part in range(partition.num_parts)]
        sizes = (self.pattern, self.problem, self.target, partition, works, fragments, rows)
        memory = tile_memory(*sizes, exact=exact)
        return Evaluation(cost, memory, tuple(steps), works, field_overflow(self.problem, partition, works))

    def _layout_cost(self, partition: Partition) -> Cost:
        tensors = np.zeros(0)  # where each part has its own X and Y, none of its pieces is strided
        if partition.homes == "linear":
            tensors = np.diff(self.x_home.bounds(self.target.tiles)) + np.diff(self.y_home.bounds(self.target.tiles))
        return layout_cost(self.target, self.problem.block_size, partition.column_parts, tensors * self.item)

    def _second_stage_cost(self, partition: Partition, works: Tuple[CutWork, ...]) -> Cost:
        """Of the rows that many tiles share, in all passes."""
        per_part = np.diff(partition.n_bounds, axis=1).sum(axis=0) * self.problem.block_size * float(self.partial_item)
        sources = np.stack([works[cut].row_sources for cut in partition.part_cut])
        return second_stage_cost(self.target, sources * per_part[:, None], sources)

    def _step_cost(self, step: StepCost) -> Cost:
        if step.kind == "exchange":
            return exchange_cost(self.target, step.cycles)
        return compute_cost(self.target, step.cycles, kind=step.kind)

    def _run_pass(
        self, bounds: np.ndarray, partition: Partition, works: Tuple[CutWork, ...], exact: bool
    ) -> Tuple[List[StepCost], np.ndarray]:
        """Steps of the pass over columns `bounds`, and the pieces that each tile receives in it."""
        tiles, problem = self.target.tiles, self.problem
        steps: List[StepCost] = []
        gather = traffic.gather_x(problem, partition, works, bounds, self.x_home, tiles)
        if partition.paired:
            share = paired_share(self.target)
            gather = replace(gather, received=gather.received * share, passing=gather.passing * share)
        if partition.values == "broadcast":
            gather = gather + traffic.broadcast_values(problem, partition, works, self.value_home, tiles)
        self._exchange(steps, "gather", gather)
        dot = self.dot_cycles(partition, works, bounds, exact) + self._zero_cycles(partition, works, bounds)
        steps.append(StepCost("dot", "compute", float(dot.max()), dot))
        if self.item != self.partial_item:
            cast = self._cast_cycles(partition, works, bounds, exact)
            if cast.any():
                steps.append(StepCost("cast", "reduce", float(cast.max()), cast))
        collect = self._collect if partition.homes == "linear" else self._collect_in_place
        return steps, gather.fragments + collect(steps, bounds, partition, works)

    def _exchange(self, steps: List[StepCost], name: str, step: Traffic) -> None:
        cycles = exchange_cycles(self.target, step.received, step.local, step.sent, step.fragments, step.passing)
        if cycles > 0:
            steps.append(StepCost(name, "exchange", cycles))

    def _collect(
        self, steps: List[StepCost], bounds: np.ndarray, partition: Partition, works: Tuple[CutWork, ...]
    ) -> np.ndarray:
        """Partials to where they are summed, the sum, and the way home; returns the pieces received."""
        tiles, problem = self.target.tiles, self.problem
        segments = traffic.output_segments(problem, partition, works, bounds)
        single = np.where(segments.sources == 1, float(self.item), 0.0)
        at_home = partition.reduce_at == "home"
        shared = np.where(segments.sources > 1, segments.sources * float(self.partial_item), 0.0)
        weight = single + shared if at_home else single
        copies = np.where(weight > 0, segments.sources, 0)
        step = traffic.delivered(segments, weight, copies, self.y_home, tiles)
        bytes_of = np.array([0.0, self.item, self.partial_item if at_home else 0.0])
        sent, local = traffic.leaving_rows(problem, partition, works, bounds, self.y_home, tiles, bytes_of)
        step = Traffic(step.received - local, local, sent, step.fragments)
        if at_home:
            self._exchange(steps, "partials", step)
            reduce = self._reduce_at_home(segments)
        else:
            spread, reduce = self._reduce_at_sources(partition, works, bounds)
            step = step + spread
            self._exchange(steps, "partials", step)
        fragments = step.fragments
        if reduce.any():
            steps.append(StepCost("reduce", "reduce", float(reduce.max()), reduce))
            if not at_home:
                move = self._move_home(partition, works, bounds)
                self._exchange(steps, "move", move)
                fragments = fragments + move.fragments
        return fragments

    def _collect_in_place(
        self, steps: List[StepCost], bounds: np.ndarray, partition: Partition, works: Tuple[CutWork, ...]
    ) -> np.ndarray:
        """As `_collect`, where Y lives on the tiles that sum it: without shared rows there is nothing to do."""
        if part_homes.in_place(partition, works):
            return np.zeros(self.target.tiles)
        sizes = (self.problem, partition, works, bounds, self.target.tiles)
        spread, reduce = self._reduce_at_sources(partition, works, bounds)
        step = spread + part_homes.kept_rows(*sizes)
        self._exchange(steps, "partials", step)
        if reduce.any():
            steps.append(StepCost("reduce", "reduce", float(reduce.max()), reduce))
        return step.fragments

    def _move_home(self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray) -> Traffic:
        """Sums made at the sources to the homes of Y."""
        tiles, b = self.target.tiles, self.problem.block_size
        received, local, sent, fragments = (np.zeros(tiles) for _ in range(4))
        for part, work, width in _parts(partition, works, bounds):
            entry, offset, length = summed_pieces(partition, work, width, self.problem)
            source = int(partition.part_first_tile[part]) + work.entry_run[entry]
            start = (work.entry_row[entry] * self.problem.n_padded + bounds[part]) * b + offset
            home, size, tile = traffic.split_at_homes(traffic.Segments(start, length, source), self.y_home)
            weight, away = size * float(self.item), home != tile
            received += np.bincount(home, weights=weight * away, minlength=tiles)
            sent += np.bincount(tile, weights=weight * away, minlength=tiles)
            local += np.bincount(home, weights=weight * ~away, minlength=tiles)
            fragments += np.bincount(home, minlength=tiles)
        return Traffic(received, local, sent, fragments)

    def dot_cycles(
        self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, exact: bool = True
    ) -> np.ndarray:
        """float64 [tiles]: cycles of each tile's multiplying vertex in one pass."""
        cycles = np.zeros(self.target.tiles)
        known: Dict[Tuple[int, int, int], np.ndarray] = {}
        for part, work, width in _parts(partition, works, bounds):
            key = (int(partition.part_cut[part]), width, int(partition.part_columns[part]))
            if key not in known:
                known[key] = np.where(work.num_blocks > 0, self._vertex_cycles(partition, part, work, width, exact), 0)
            first = partition.part_first_tile[part]
            cycles[first : first + work.cut.num_runs] += known[key]
        return cycles

    def _vertex_cycles(self, partition: Partition, part: int, work: CutWork, width: int, exact: bool) -> np.ndarray:
        problem = self.problem
        dtypes = (problem.dtype, problem.partials_dtype)
        if problem.block_size > 1:
            return block_vertex_cycles(
                *dtypes, problem.block_size, -(-width // WORKERS), work.num_rows, work.num_blocks
            )
        if not exact:
            return estimated_cycles(work, width, *dtypes)
        packing = self._packing(partition, part, work)
        if width == int(partition.part_columns[part]):
            return packing.cycles
        return packed_cycles(work, packing, width, *dtypes)

    def _packing(self, partition: Partition, part: int, work: CutWork) -> Packing:
        """The worker split of a part in its widest pass, which all its passes have (b = 1)."""
        width, balanced = int(partition.part_columns[part]), partition.row_split == "balanced"
        key = (id(work.cut), width, balanced)
        if key not in self._packings:
            dtypes = (self.problem.dtype, self.problem.partials_dtype)
            self._packings[key] = pack_rows(work, width, *dtypes, balanced)
        return self._packings[key]

    def _lone_rows(self, partition: Partition, works: Tuple[CutWork, ...], part: int, exact: bool) -> np.ndarray:
        """int64 [runs]: rows that each tile of a part casts, from its first to its last that no other tile shares."""
        work = works[partition.part_cut[part]]
        if self.item == self.partial_item:
            return np.zeros(work.cut.num_runs, dtype=np.int64)
        packed = exact and self.problem.block_size == 1
        key = (id(work.cut), int(partition.part_columns[part]) if packed else 0)
        if key not in self._spans:
            order = self._packing(partition, part, work).entry_order if packed else None
            self._spans[key] = single_rows_span(work, order)
        return self._spans[key]

    def _zero_cycles(self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray) -> np.ndarray:
        if partition.homes == "parts":
            return part_homes.zeroing_cycles(self.problem, partition, works, bounds, self.target.tiles)
        segments = traffic.output_segments(self.problem, partition, works, bounds)
        tile, start, length, _ = traffic.pieces_at_homes(segments, self.y_home, segments.sources == 0)
        first = traffic.stretches(tile, start, length)
        if not len(first):
            return np.zeros(self.target.tiles)
        cycles = zero_cycles(np.add.reduceat(length, first) * self.item)
        return np.bincount(tile[first], weights=cycles, minlength=self.target.tiles)

    def _cast_cycles(
        self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, exact: bool
    ) -> np.ndarray:
        """Each tile casts its local rows from the first to the last that no other tile shares."""
        cycles = np.zeros(self.target.tiles)
        for part, work, width in _parts(partition, works, bounds):
            rows = self._lone_rows(partition, works, part, exact)
            count = rows * width * self.problem.block_size
            first = partition.part_first_tile[part]
            cast = cast_cycles(count, self.problem.partials_dtype, self.problem.dtype)
            cycles[first : first + work.cut.num_runs] += np.where(rows > 0, cast, 0)
        return cycles

    def _reduce_at_home(self, segments: traffic.Segments) -> np.ndarray:
        """One vertex for each stretch of Y that a tile sums: its output must be all its own."""
        tile, start, length, sources = traffic.pieces_at_homes(segments, self.y_home, segments.sources > 1)
        return self._reduce_cycles(tile, length, sources, traffic.stretches(tile, start, length))

    def _reduce_at_sources(
        self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray
    ) -> Tuple[Traffic, np.ndarray]:
        tiles = self.target.tiles
        sent = np.zeros(tiles)
        tile, length, sources = [], [], []
        for part, work, width in _parts(partition, works, bounds):
            entry, _, elements = summed_pieces(partition, work, width, self.problem)
            first, runs = int(partition.part_first_tile[part]), work.cut.num_runs
            rows = np.bincount(work.entry_run[work.entry_sources > 1], minlength=runs)
            sent[first : first + runs] += rows * float(width * self.problem.block_size * self.partial_item)
            tile.append(work.entry_run[entry] + first)
            length.append(elements)
            sources.append(work.row_sources[work.entry_row[entry]])
        where, size, count = np.concatenate(tile), np.concatenate(length), np.concatenate(sources)
        received = np.bincount(where, weights=size * (count - 1) * float(self.partial_item), minlength=tiles)
        local = np.bincount(where, weights=size * float(self.partial_item), minlength=tiles)
        fragments = np.bincount(where, weights=count, minlength=tiles)
        order = np.argsort(where, kind="stable")
        where, size, count = where[order], size[order], count[order]
        of_tile = np.flatnonzero(np.diff(where, prepend=-1))
        return Traffic(received, local, sent - local, fragments), self._reduce_cycles(where, size, count, of_tile)

    def _reduce_cycles(
        self, tile: np.ndarray, length: np.ndarray, sources: np.ndarray, first: np.ndarray
    ) -> np.ndarray:
        """float64 [tiles] from segments; first: int64, the first segment of each vertex."""
        if not len(tile):
            return np.zeros(self.target.tiles)
        offsets = np.append(first, len(tile))
        cycles = reduce_vertex_cycles(length, sources, self.problem.partials_dtype, self.problem.dtype, offsets)
        return np.bincount(tile[first], weights=cycles, minlength=self.target.tiles)


def single_rows_span(work: CutWork, entry_order: Optional[np.ndarray] = None) -> np.ndarray:
    """int64 [runs]: local rows from a run's first to its last row that no other run shares; 0 if all are shared.

    entry_order: int64 [entries], the order in which tiles hold their rows; None: that of `work`.
    """
    runs = work.cut.num_runs
    local = np.arange(len(work.entry_run)) - work.entry_offsets[work.entry_run]
    if entry_order is not None:
        local[entry_order] = local.copy()
    alone = work.entry_sources == 1
    low, high = np.full(runs, np.iinfo(np.int64).max), np.full(runs, -1, dtype=np.int64)
    np.minimum.at(low, work.entry_run[alone], local[alone])
    np.maximum.at(high, work.entry_run[alone], local[alone])
    return np.where(high >= 0, high - low + 1, 0)


def _parts(partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray) -> List[Tuple[int, CutWork, int]]:
    """(part, its cut's work, columns) of every part that has columns in this pass."""
    widths = np.diff(bounds)
    return [(int(p), works[partition.part_cut[p]], int(widths[p])) for p in np.flatnonzero(widths)]


def _mean_steps(runs: List[List[StepCost]], repeats: int) -> List[StepCost]:
    """One list of steps for passes alike: mean cycles of each step, made `repeats` times."""
    if len(runs) == 1:
        return [replace(step, repeats=repeats) for step in runs[0]]
    found: Dict[str, List[StepCost]] = {}
    for step in (step for steps in runs for step in steps):
        found.setdefault(step.name, []).append(step)
    means = []
    for steps in found.values():
        cycles = sum(step.cycles for step in steps) / len(runs)
        tiles = [step.per_tile for step in steps if step.per_tile is not None]
        per_tile = np.sum(tiles, axis=0) / len(runs) if tiles else None
        means.append(replace(steps[0], cycles=cycles, per_tile=per_tile, repeats=repeats))
    return means
