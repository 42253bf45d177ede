"""The cost and memory of a published dynamic plan under the project's one model, for uniform random patterns.

Forward pass as the published program makes it (popsparse-dynamic 5): every tile gathers its slice of X and the buckets
of the Pz tiles that share its cell, multiplies, takes part in the propagation steps that such patterns need, and sends
its partials to where they are summed. Steps are charged with what the fullest tile really does: the published
estimate (`cost_cycles` of a choice) takes every tile for the mean one and propagation for free.

`popsparse validate` compares it with the measured dynamic rates (dynamic_fit.py): one coefficient is fitted,
dynamic_partials_cycles_per_byte; without it the rms error is 21%. With float16 partials for blocks, which were not
measured, predicted rates are up to three times as high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from ..codelet_cycles import cast_cycles, reduce_vertex_cycles, zero_cycles
from ..cost import Cost, call_cost, compute_cost, exchange_cost, exchange_cycles
from ..dynamic_codelet_cycles import Buckets, block_cycles, forward_element_cycles
from ..layout import aligned, x_layout, y_layout
from ..memory import Memory
from ..plan import Step
from ..problem import PlanOptions, Problem, item_bytes
from ..target import Target
from .popsparse import PublishedDynamicChoice
from .published_buckets import META_BYTES
from .published_load import UniformLoad, uniform_load
from .published_spills import Capacity
from .published_worker_split import split_between_workers

_EMPTY_BUCKET_CYCLES = 33  # to find that a bucket holds nothing for the tile: one header (popsparse-dynamic 7.5)
_CONTROL_STEPS = 2  # compute sets around each propagation step: count down and compare, toggle the buffer
_BUFFERS = 2


@dataclass(frozen=True)
class PublishedDynamicEvaluation:
    """Cost, memory and steps of one forward call for a uniform random pattern.

    propagation_steps: of the median pattern; spill_probability: that a pattern needs any.
    """

    cost: Cost
    memory: Memory
    steps: Tuple[Step, ...]
    propagation_steps: int
    spill_probability: float


class _Tile(NamedTuple):
    """Sizes on the fullest tile: rows and columns of W in elements, columns of n, bytes of a bucket."""

    rows: int
    depth: int
    columns: int
    bucket_bytes: int


def evaluate_published_dynamic(
    problem: Problem,
    nnz_blocks: int,  # blocks of problem.block_size
    choice: PublishedDynamicChoice,
    target: Target,
    options: PlanOptions,
) -> PublishedDynamicEvaluation:
    """Evaluate `choice`, which must be ok, for problem and options that it was made for."""
    capacity = Capacity.of(choice, grad_weight=options.grad_weight)
    ratio = problem.block_size // choice.block_size
    grid = (problem.block_grid[0] * ratio, problem.block_grid[1] * ratio)
    load = uniform_load(grid, nnz_blocks * ratio * ratio, choice.block_size, capacity)
    tile = _tile(problem, choice, grid)
    steps = _steps(problem, target, choice, tile, load)
    cost = call_cost(target) + compute_cost(target, 0.0)  # the guard of the propagation
    for step in steps:
        one = exchange_cost(target, step.cycles) if step.kind == "exchange" else _computed(target, step)
        cost = cost + one * step.repeats
    cost = cost + compute_cost(target, 0.0, kind="other") * (_CONTROL_STEPS * load.steps)
    memory = _memory(problem, target, choice, tile, options)
    return PublishedDynamicEvaluation(cost, memory, tuple(steps), load.steps, load.spill_probability)


def _computed(target: Target, step: Step) -> Cost:
    return compute_cost(target, step.cycles, kind=step.kind)


def _tile(problem: Problem, choice: PublishedDynamicChoice, grid: Tuple[int, int]) -> _Tile:
    b = choice.block_size
    columns = -(-problem.n // choice.z_group) // choice.pz * choice.z_group
    bucket = choice.nz_elems_per_bucket * item_bytes(problem.dtype) + choice.meta_fwd * META_BYTES
    return _Tile(-(-grid[0] // choice.px) * b, -(-grid[1] // choice.py) * b, columns, bucket)


def _steps(
    problem: Problem, target: Target, choice: PublishedDynamicChoice, tile: _Tile, load: UniformLoad
) -> List[Step]:
    item, wide = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    slice_bytes, partials = tile.depth * tile.columns * item, tile.rows * tile.columns
    runs = tile.depth // choice.block_size if choice.pz > 1 else 1
    others, bucket = choice.pz - 1, tile.bucket_bytes
    share = -(-problem.m * problem.n // target.tiles)
    pieces = choice.py * (share // (tile.columns * choice.block_size) + 1)
    steps = [
        Step("gather", "exchange", _moved(target, slice_bytes + others * bucket, bucket, runs + 2 * others)),
        Step("dot", "compute", float(zero_cycles(partials * wide)) + multiply_cycles(problem, choice, tile, load)),
    ]
    if load.steps > 0:
        steps.append(Step("propagate", "exchange", _moved(target, bucket, bucket, 2), load.steps))
        steps.append(Step("propagate dot", "compute", _piece_cycles(problem, choice, tile, load), load.steps))
    if choice.py == 1 and wide != item:
        steps.append(Step("cast", "reduce", float(cast_cycles(partials, problem.partials_dtype, problem.dtype))))
    sent = partials * (wide if choice.py > 1 else item)
    steps.append(Step("partials", "exchange", _moved(target, share * choice.py * wide, sent, pieces)))
    if choice.py > 1:
        arrange = partials * wide * target.model["dynamic_partials_cycles_per_byte"]
        reduce = reduce_vertex_cycles(share, choice.py, problem.partials_dtype, problem.dtype)[0]
        steps.append(Step("reduce", "reduce", float(reduce) + arrange))
    return steps


def _moved(target: Target, received_bytes: float, sent_bytes: float, fragments: float) -> float:
    received, sent, pieces = (np.array([float(value)]) for value in (received_bytes, sent_bytes, fragments))
    return exchange_cycles(target, received, np.zeros(1), sent, pieces)


def multiply_cycles(problem: Problem, choice: PublishedDynamicChoice, tile: _Tile, load: UniformLoad) -> float:
    """Cycles of the slowest tile in the initial distribution: it walks the Pz buckets of its cell one by one.

    A cell's blocks fill its first buckets evenly, so each bucket has a share of the rows, and rows cut by a bucket's
    end count twice. In each bucket all workers wait for the slowest.
    """
    share = np.maximum(-(-load.blocks // choice.pz), 1)
    filled = np.maximum(-(-load.blocks // share), 1)
    rows = np.maximum(np.minimum(load.rows + filled - 1, load.blocks), 1)
    idle = _EMPTY_BUCKET_CYCLES * (choice.pz - filled)
    per_row = load.blocks / rows
    if choice.block_size == 1:
        empty, one = _element_cycles(problem, np.ceil(rows / filled).astype(np.int64), tile.columns)
        return float((idle + filled * (empty + (one - empty) * per_row)).max())
    none, single = _block_cycles(problem, choice, tile.columns)
    return float((idle + filled * none + rows + load.blocks * (single - none)).max())


def _element_cycles(problem: Problem, rows: np.ndarray, columns: int) -> Tuple[np.ndarray, np.ndarray]:
    """Cycles int64 [cells] of a bucket of so many rows with no nonzero in each, and with one."""
    grain = 8 // item_bytes(problem.dtype)
    height, width = split_between_workers(rows, np.full(len(rows), max(columns // grain, 1)))
    empty, one = (
        forward_element_cycles(problem.dtype, Buckets(1, 1), height, width * grain, nonzeros) for nonzeros in (0, 1)
    )
    slowest = np.argmax(np.where(height > 0, one, 0), axis=1)[:, None]
    return np.take_along_axis(empty, slowest, 1)[:, 0], np.take_along_axis(one, slowest, 1)[:, 0]


def _block_cycles(problem: Problem, choice: PublishedDynamicChoice, columns: int) -> Tuple[int, int]:
    """Cycles of a bucket with one row and no block, and with one block."""
    _, width = split_between_workers(np.array([1]), np.array([columns]))
    types = (problem.dtype, problem.partials_dtype, choice.block_size)
    empty, one = (int(block_cycles(*types, Buckets(1, 1), 1, int(width.max()), blocks)) for blocks in (0, 1))
    return empty, one


def _piece_cycles(problem: Problem, choice: PublishedDynamicChoice, tile: _Tile, load: UniformLoad) -> float:
    """Cycles of a propagation step on a tile that finds a spilled piece of the mean size."""
    if choice.block_size > 1:
        empty, one = _block_cycles(problem, choice, tile.columns)
        return float(empty + load.spilled_rows + load.spilled_blocks * (one - empty))
    rows = np.array([max(int(np.ceil(load.spilled_rows)), 1)])
    none, single = _element_cycles(problem, rows, tile.columns)
    return float(none[0] + (single[0] - none[0]) * load.spilled_blocks / rows[0])


def _memory(
    problem: Problem, target: Target, choice: PublishedDynamicChoice, tile: _Tile, options: PlanOptions
) -> Memory:
    """Bytes of the plan: all buffers of a pass side by side, for each pass with X, dY or both as it needs them.

    Assumed: no buffer of a pass makes room for another, as the propagation between them is control flow decided at run
    time. With it, the plans that no longer fit are those for which the published planner had to give up its bound, and
    beyond which the measured rates stop growing.
    """
    tiles, item = target.tiles, item_bytes(problem.dtype)
    used = np.arange(tiles) < choice.used_tiles
    homes = (x_layout(problem, tiles), y_layout(problem, tiles))
    x_home, y_home = (aligned(np.diff(home.bounds(tiles)) * item) for home in homes)
    values = used * aligned(np.array(choice.nz_elems_per_bucket * item))
    meta = used * aligned(np.array(choice.meta_fwd * META_BYTES))
    always = {"input": x_home, "output": y_home, "values": values, "constants": meta}
    always["control"] = np.full(tiles, int(target.model["code_bytes"]))
    moments = {"forward": _pass_bytes(problem, choice, tile, used, (tile.depth, tile.rows, choice.py))}
    if options.grad_input:
        moments["grad_input"] = _pass_bytes(problem, choice, tile, used, (tile.rows, tile.depth, choice.px))
    return Memory(always, moments, target.tile_bytes)


def _pass_bytes(
    problem: Problem, choice: PublishedDynamicChoice, tile: _Tile, used: np.ndarray, sizes: Tuple[int, int, int]
) -> Dict[str, np.ndarray]:
    """sizes: elements that the pass sums over and that it puts out on a tile, and tiles that share an output."""
    summed, out, depth = sizes
    item, wide = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    partials = out * tile.columns
    pieces = {
        "x_slices": summed * tile.columns * item,
        "value_slices": (choice.pz - 1 + _BUFFERS) * tile.bucket_bytes,
        "partials": partials * wide,
        "reduce_inputs": partials * wide if depth > 1 else 0,
        "reduced": -(-partials // depth) * item,
    }
    return {name: used * aligned(np.array(size)) for name, size in pieces.items()}
