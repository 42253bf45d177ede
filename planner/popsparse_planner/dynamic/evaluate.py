"""The cost and memory of a dynamic plan's passes under the project's one model.

Forward and grad-input move X (or dY) and partials exactly as a static product does whose tiles hold every row and
column of their cell; what differs is the bucket that each cell gathers, the codelet, and the propagation that may
follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Tuple

import numpy as np

from .. import bucket_cycles as cycles_of
from ..bucket_layout import BucketLayout
from ..codelet_cycles import reduce_vertex_cycles, zero_cycles
from ..cost import (
    ONE_STAGE_SOURCES,
    Cost,
    call_cost,
    compute_cost,
    decision_cost,
    exchange_cost,
    exchange_cycles,
    layout_cost,
    paired_share,
    second_stage_cost,
)
from ..layout import WORKERS
from ..memory import Memory
from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import Problem
from ..static import traffic
from ..static.evaluate import StaticModel, StepCost
from ..static.tile_memory import tensor_bytes
from ..static.traffic import Traffic
from ..static.work import CutWork
from ..target import Target
from .draft import Draft
from .frame import Frame, frame_partition, frame_problem, frame_work
from .propagation import propagation_step_cost
from .tile_memory import pass_memory, weight_memory

PASSES = ("forward", "grad_input", "grad_weight")


@dataclass(frozen=True)
class PassCost:
    """Cost, memory and steps of one call of a pass."""

    cost: Cost
    memory: Memory
    steps: Tuple[StepCost, ...]


def evaluate_pass(problem: Problem, target: Target, draft: Draft, kind: str) -> PassCost:
    """PassCost of "forward", "grad_input" or "grad_weight"."""
    if kind == "grad_weight":
        return _weight_pass(problem, target, draft)
    return _FrameModel(problem, target, draft, transposed=kind == "grad_input").evaluate_frame()


def worker_blocks(peak_blocks: int, rows: int, n_groups: int) -> Tuple[np.ndarray, np.ndarray]:
    """(rows, blocks) of the busiest worker, each int64 [1], where rows are dealt to 6 / n_groups groups (b = 1)."""
    groups = WORKERS // n_groups
    most_rows = -(-rows // groups)
    mean = peak_blocks / max(rows, 1)
    even = most_rows * mean if rows < 4 * groups else peak_blocks / groups + 0.5 * mean
    blocks = peak_blocks if groups == 1 else min(float(peak_blocks), even + (mean**0.5 if rows < 4 * groups else 0.0))
    return np.array([most_rows]), np.array([int(np.ceil(blocks))])


def dot_cycles(problem: Problem, draft: Draft, kind: str) -> int:
    """Cycles of the multiplying vertex of the fullest cell."""
    layout, b = draft.layout, problem.block_size
    rows, blocks, columns = draft.frame.cell_rows, draft.peak_blocks, layout.columns
    if kind == "forward" and b == 1:
        split = worker_blocks(blocks, rows, draft.n_groups)
        return int(cycles_of.element_dot_cycles(problem.dtype, problem.partials_dtype, columns, draft.n_groups, *split))
    if kind == "forward":
        return int(cycles_of.block_dot_cycles(problem.dtype, problem.partials_dtype, b, columns, rows, blocks))
    if kind == "grad_input":
        out = draft.frame.cell_cols
        if b == 1:
            return int(cycles_of.element_transposed_cycles(problem.dtype, columns, out, rows, blocks))
        return int(cycles_of.block_transposed_cycles(problem.dtype, b, columns, out, rows, blocks))
    if b == 1:
        return int(cycles_of.element_sampled_cycles(problem.dtype, columns, rows, blocks))
    return int(cycles_of.block_sampled_cycles(problem.dtype, b, columns, rows, blocks))


def bucket_traffic(frame: Frame, layout: BucketLayout, tiles: int) -> Traffic:
    """Every tile of a cell brings the cell's whole bucket together; nothing where one tile holds it."""
    used = np.zeros(tiles)
    if frame.qn == 1:
        return Traffic(used, used, used, used)
    used[: frame.num_tiles] = 1.0
    share = float(layout.bucket_bytes)
    return Traffic(used * share * (frame.qn - 1), used * share, used * share, used * 2 * frame.qn)


class _FrameModel(StaticModel):
    """The static model on the cells of a frame: one cut whose runs are the cells."""

    def __init__(self, problem: Problem, target: Target, draft: Draft, *, transposed: bool) -> None:
        self.given, self.draft, self.kind = problem, draft, "grad_input" if transposed else "forward"
        wide = frame_problem(problem, draft.frame, transposed=transposed)
        none = np.zeros(0, dtype=np.int32)
        super().__init__(BlockPattern((wide.m, wide.k), wide.block_size, none, none), wide, target)
        self.work = frame_work(draft.frame, transposed=transposed)

    def works(self, partition: Partition) -> Tuple[CutWork, ...]:
        return (self.work,)

    def _second_stage_cost(self, partition: Partition, works: Tuple[CutWork, ...]) -> Cost:
        """No row has more sources than its line of the frame has cells."""
        line = self.draft.frame.qm if self.kind == "grad_input" else self.draft.frame.qk
        if line <= ONE_STAGE_SOURCES:
            return Cost(clock_hz=self.target.clock_hz)
        return super()._second_stage_cost(partition, works)

    def dot_cycles(
        self, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, exact: bool = True
    ) -> np.ndarray:
        cycles = np.zeros(self.target.tiles)
        cycles[: self.draft.frame.num_tiles] = dot_cycles(self.given, self.draft, self.kind)
        return cycles

    def evaluate_frame(self) -> PassCost:
        """Cost and memory of one call; the second serial pass stands for all further ones."""
        frame, target = self.draft.frame, self.target
        partition = frame_partition(frame, self.draft.reduce_at)
        cost, fragments = call_cost(target), np.zeros(target.tiles)
        steps: List[StepCost] = []
        for number, repeats in enumerate((1, frame.passes - 1)):
            if not repeats:
                continue
            made, pieces = self._one_pass(partition.n_bounds[number], partition, first=number == 0)
            fragments = fragments + repeats * pieces
            for step in made:
                cost = cost + self._step_cost(step) * repeats
            travel = self._propagation()
            cost = cost + travel * repeats
            cycles = travel.exchange_cycles + travel.compute_cycles
            made.append(StepCost("propagate", "exchange", cycles))
            steps.extend(replace(step, repeats=repeats) for step in made)
        cost = cost + self._layout_cost(partition) + self._second_stage_cost(partition, (self.work,))
        memory = pass_memory(self.problem, target, self.draft, partition, (self.work,), fragments)
        return PassCost(cost, memory, tuple(steps))

    def _one_pass(self, bounds: np.ndarray, partition: Partition, *, first: bool) -> Tuple[List[StepCost], np.ndarray]:
        """As a pass of a static product: its steps, and the pieces that each tile receives."""
        works, tiles = (self.work,), self.target.tiles
        steps: List[StepCost] = []
        gather = self.gathered(partition, bounds)
        if first:
            gather = gather + bucket_traffic(self.draft.frame, self.draft.layout, tiles)
        self._exchange(steps, "gather", gather)
        dot = self.dot_cycles(partition, works, bounds)
        steps.append(StepCost("dot", "compute", float(dot.max()), dot))
        if self.item != self.partial_item:
            cast = self._cast_cycles(partition, works, bounds, exact=False)
            if cast.any():
                steps.append(StepCost("cast", "reduce", float(cast.max()), cast))
        collect = self._collect if partition.homes == "linear" else self._collect_in_place
        return steps, gather.fragments + collect(steps, bounds, partition, works)

    def gathered(self, partition: Partition, bounds: np.ndarray) -> Traffic:
        """Slices of X (or dY) to all tiles; neighbours that want the same receive them together.

        Nobody lets a multicast pass: the cells of a line want all slices of their group, those of other lines none,
        so that every line is served beside the others (the rule of static/multicast.py, for either direction).
        """
        one = traffic.gather_x(self.problem, partition, (self.work,), bounds, self.x_home, self.target.tiles)
        one = replace(one, passing=np.zeros(1))
        if self.kind == "forward" and self.draft.frame.pairs_share_x:
            return replace(one, received=one.received * paired_share(self.target))
        return one

    def input_bytes(self, partition: Partition) -> np.ndarray:
        """int64 [tiles]: bytes of X (or dY) that live on each tile."""
        return tensor_bytes(self.problem, partition, (self.work,), self.target.tiles)[0]

    def _propagation(self) -> Cost:
        """Of one serial pass: the test of the loop, and its expected steps for a random pattern."""
        draft = self.draft
        if draft.frame.num_cells == 1:
            return Cost(clock_hz=self.target.clock_hz)
        step = propagation_step_cost(self.problem, self.target, draft.frame, draft.layout)
        return decision_cost(self.target) + step * draft.spill_probability


def _weight_pass(problem: Problem, target: Target, draft: Draft) -> PassCost:
    """dW at the blocks of W: both operands gathered, partials of every part of n summed where the values live."""
    frame, layout, tiles = draft.frame, draft.layout, target.tiles
    forward = _FrameModel(problem, target, draft, transposed=False)
    backward = _FrameModel(problem, target, draft, transposed=True)
    partition = frame_partition(frame, draft.reduce_at)
    buckets = bucket_traffic(frame, layout, tiles)
    gather = Traffic(*(np.zeros(tiles) for _ in range(4)))
    for model in (forward, backward):
        gather = gather + model.gathered(partition, partition.n_bounds[0])
    later, first = _exchange_cycles(target, gather), _exchange_cycles(target, gather + buckets)
    share = float(layout.value_share * 4)
    used = (np.arange(tiles) < frame.num_tiles).astype(np.float64)
    summed = Traffic(used * share * (frame.qn - 1), used * share, used * share * (frame.qn - 1), used * frame.qn)
    sources = np.array([frame.qn])
    reduce = int(reduce_vertex_cycles(np.array([layout.value_share]), sources, "float32", problem.dtype)[0])
    dot, zero = dot_cycles(problem, draft, "grad_weight"), int(zero_cycles(layout.value_length * 4))
    steps: List[StepCost] = [StepCost("gather", "exchange", first)]
    if frame.passes > 1:
        steps.append(StepCost("gather", "exchange", later, None, frame.passes - 1))
    steps += [
        StepCost("zero", "compute", float(zero)),
        StepCost("dot", "compute", float(dot), used * dot, frame.passes),
        StepCost("partials", "exchange", _exchange_cycles(target, summed)),
        StepCost("reduce", "reduce", float(reduce)),
    ]
    cost = call_cost(target) + decision_cost(target) + _layout_of(target, partition, (forward, backward))
    every = np.ones(frame.num_tiles, dtype=np.int64)
    cost = cost + second_stage_cost(target, every * share * frame.qn, every * frame.qn)
    for step in steps:
        made = (
            exchange_cost(target, step.cycles)
            if step.kind == "exchange"
            else compute_cost(target, step.cycles, kind=step.kind)
        )
        cost = cost + made * step.repeats
    pieces = gather.fragments * frame.passes + buckets.fragments + summed.fragments
    inputs = sum((model.input_bytes(partition) for model in (forward, backward)), np.zeros(tiles, dtype=np.int64))
    return PassCost(cost, weight_memory(problem, target, draft, inputs, pieces), tuple(steps))


def _exchange_cycles(target: Target, one: Traffic) -> float:
    return exchange_cycles(target, one.received, one.local, one.sent, one.fragments)


def _layout_of(target: Target, partition: Partition, models: Tuple[_FrameModel, ...]) -> Cost:
    """Bringing X and dY into the order of blocks; nothing where each part has its own."""
    tensors = np.zeros(0)
    if partition.homes == "linear":
        tensors = np.sum([np.diff(model.x_home.bounds(target.tiles)) * model.item for model in models], axis=0)
    return layout_cost(target, models[0].problem.block_size, partition.column_parts, np.asarray(tensors))
