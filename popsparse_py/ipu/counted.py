"""What a Program costs, counted from its own columns: the work lists of its vertices and the bytes of its copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Tuple, Union

import numpy as np

from popsparse_planner.codelet_cycles import VERTEX_CYCLES
from popsparse_planner.cost import (
    Cost,
    call_cost,
    compute_cost,
    exchange_cost,
    exchange_cycles,
    layout_cost,
    paired_share,
    second_stage_cost,
)
from popsparse_planner.errors import ProgramError
from popsparse_planner.layout import (
    BLOCK_HEADER_FIELDS,
    BLOCK_LIST_HEADER,
    ELEMENT_HEADER_FIELDS,
    REDUCE_SEGMENT_FIELDS,
    WORKERS,
)
from popsparse_planner.target import Target

from .control import all_steps
from .program import Compute, Exchange, FieldSlices, Program
from .ranges import expand, offsets_of


@dataclass(frozen=True)
class StepCount:
    """One step: cycles of its slowest tile, copies or vertices, bytes between tiles, cost with its sync and control."""

    name: str
    kind: str  # "exchange", "compute", "reduce" or "other"
    cycles: float
    slowest_tile: int
    rows: int
    moved_bytes: int
    cost: Cost


def counted_cost(program: Program, target: Target) -> Cost:
    """Cost of one call of `program` on `target`, counted."""
    tensors = [v.bytes_per_tile(program.num_tiles) for v in program.variables.values() if v.role in ("input", "output")]
    homes = np.sum(tensors, axis=0) if program.strided else np.zeros(0)
    cost = call_cost(target) + layout_cost(target, program.block_size, program.column_parts, homes)
    cost = cost + counted_second_stage(program, target)
    for step in step_counts(program, target):
        cost = cost + step.cost
    return cost


def counted_second_stage(program: Program, target: Target) -> Cost:
    """Cost of all sums that the program's reducing vertices make."""
    cost = Cost(clock_hz=target.clock_hz)
    for step in all_steps(program.steps):
        for one in step.vertices if isinstance(step, Compute) else ():
            if "ReducePartials" in one.vertex:
                lists = one.fields["workList"]
                length, sources = _reduce_work(one.vertex, program.constants[lists.variable], lists)
                item = 2 if "<half," in one.vertex else 4
                cost = cost + second_stage_cost(target, length * sources * item, sources)
    return cost


def step_counts(program: Program, target: Target) -> Tuple[StepCount, ...]:
    """Every step in order with its cycles."""
    return tuple(step_count(program, step, target) for step in program.steps if isinstance(step, (Exchange, Compute)))


def step_count(program: Program, step: Union[Exchange, Compute], target: Target) -> StepCount:
    """One execution of a step."""
    if isinstance(step, Exchange):
        return _exchange_count(program, step, target)
    return _compute_count(program, step, target)


def _compute_count(program: Program, step: Compute, target: Target) -> StepCount:
    per_tile = np.zeros(program.num_tiles)
    for one in step.vertices:
        per_tile += np.bincount(one.tile, weights=one.cycles, minlength=program.num_tiles)
    cycles = float(per_tile.max())
    cost = compute_cost(target, cycles, kind=step.part)
    return StepCount(step.name, step.part, cycles, int(per_tile.argmax()), step.num_vertices, 0, cost)


def _exchange_count(program: Program, step: Exchange, target: Target) -> StepCount:
    received, local, sent, pieces = (np.zeros(program.num_tiles) for _ in range(4))
    for one in step.copies:
        source, destination = program.variables[one.source], program.variables[one.destination]
        from_tile, to_tile = source.tile_of(one.source_begin), destination.tile_of(one.destination_begin)
        size, away = one.length * float(source.item_bytes), from_tile != to_tile
        share = paired_share(target) if one.paired else 1.0
        received += np.bincount(to_tile, weights=np.where(away, size * share, 0.0), minlength=program.num_tiles)
        local += np.bincount(to_tile, weights=np.where(away, 0.0, size), minlength=program.num_tiles)
        pieces += np.bincount(to_tile, minlength=program.num_tiles)
        first = _distinct(one.source_begin[away], one.length[away])
        sent += np.bincount(from_tile[away][first], weights=size[away][first], minlength=program.num_tiles)
    passing = step.passing_bytes if len(step.passing_bytes) else 0.0
    cycles = exchange_cycles(target, received, local, sent, pieces, passing)
    slowest = int((received / target.exchange_bytes_per_cycle + local / target.vector_bytes).argmax())
    cost = exchange_cost(target, cycles)
    return StepCount(step.name, "exchange", cycles, slowest, step.num_copies, int(received.sum()), cost)


def _distinct(begin: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Index of one of each kind of equal (begin, length): what goes to many tiles is sent once."""
    key = begin * (int(length.max(initial=0)) + 1) + length
    return np.unique(key, return_index=True)[1]


# --- cycles of vertices from their work lists ------------------------------------------------------------------------


def vertex_cycles(
    vertex: str,
    fields: Mapping[str, FieldSlices],
    scalars: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray],
) -> np.ndarray:
    """int64 [vertices]: tile cycles of each, read from its own work list; ProgramError for a codelet without a rule."""
    if vertex not in VERTEX_CYCLES:
        raise ProgramError(f"no cycle rule for vertex {vertex!r}: expected one of {', '.join(sorted(VERTEX_CYCLES))}")
    rule = VERTEX_CYCLES[vertex]
    if "workList" not in fields:
        return rule(scalars["count"])
    lists = fields["workList"]
    data = constants[lists.variable]
    if "StaticElementDot" in vertex:
        return rule(*_element_work(data, lists))
    if "StaticBlockDot" in vertex:
        return rule(*_block_work(data, lists))
    length, sources = _reduce_work(vertex, data, lists)
    return rule(length, sources, vertex_offsets=offsets_of(scalars["numSegments"]))


def _reduce_work(vertex: str, data: np.ndarray, lists: FieldSlices) -> Tuple[np.ndarray, np.ndarray]:
    """(outputs, partials of each output) of every sum that the vertices make, int64."""
    table = data[expand(lists.begin, lists.length)].astype(np.int64).reshape(-1, len(REDUCE_SEGMENT_FIELDS))
    segments = dict(zip(REDUCE_SEGMENT_FIELDS, table.T))
    unit = 2 if vertex.endswith(",float>") else 4  # elements of the output in 8 bytes
    return segments["length"] * unit, segments["numSources"]


def _headers(data: np.ndarray, lists: FieldSlices, names: Tuple[str, ...]) -> Dict[str, np.ndarray]:
    """int64 [vertices, workers] of each header field."""
    where = lists.begin[:, None] + np.arange(WORKERS * len(names))
    table = data[where].astype(np.int64).reshape(len(lists.begin), WORKERS, len(names))
    return {name: table[:, :, index] for index, name in enumerate(names)}


def _element_work(data: np.ndarray, lists: FieldSlices) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(columns, rows, nonzeros) of each worker, [vertices, workers]; a row group ends where the next one starts."""
    header = _headers(data, lists, ELEMENT_HEADER_FIELDS)
    start = header["firstEntryLow"] + (header["firstEntryHigh"] << 16)
    rows = header["numRows"]
    starts = np.where(rows > 0, start, np.iinfo(np.int64).max)
    later = np.where(starts[:, None, :] > starts[:, :, None], starts[:, None, :], lists.length[:, None, None])
    ends = np.minimum(later.min(axis=2), lists.length[:, None])
    return header["numColumns"], rows, np.where(rows > 0, ends - start - rows, 0)


def _block_work(data: np.ndarray, lists: FieldSlices) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(columns of the widest worker, rows, blocks) of each vertex; a list has 13 entries, two a row, one a block."""
    columns = _headers(data, lists, BLOCK_HEADER_FIELDS)["numColumns"].max(axis=1)
    rows = data[lists.begin + BLOCK_LIST_HEADER - 1].astype(np.int64)
    return columns, rows, lists.length - BLOCK_LIST_HEADER - 2 * rows


def table(counts: Tuple[StepCount, ...]) -> str:
    """The steps as text: name, kind, cycles on the slowest tile, that tile, copies or vertices, bytes moved."""
    lines: List[str] = [f"{'step':<14}{'kind':<10}{'cycles':>12}{'tile':>7}{'rows':>11}{'bytes moved':>14}"]
    for one in counts:
        lines.append(
            f"{one.name:<14}{one.kind:<10}{one.cycles:>12,.0f}{one.slowest_tile:>7}{one.rows:>11,}{one.moved_bytes:>14,}"
        )
    return "\n".join(lines)
