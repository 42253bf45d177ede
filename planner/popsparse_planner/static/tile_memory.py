"""Bytes that a static plan keeps on every tile: tensors, work lists, tails, vertices and code."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from ..layout import (
    VERTEX_BYTES,
    LinearLayout,
    aligned,
    block_list_entries,
    element_list_entries,
    value_layout,
    x_layout,
    y_layout,
)
from ..memory import Memory
from ..partition import Partition
from ..pattern import BlockPattern
from ..problem import Problem, item_bytes
from ..target import Target
from . import traffic
from .part_homes import held_elements, in_place, zeroing_cycles
from .pieces import summed_pieces
from .work import CutWork

MOST_SAMPLES, FEW_SAMPLES = 16, 3  # serial passes of equal widths that are looked at; of more, so many evenly spaced


def passes_of_equal_widths(n_bounds: np.ndarray) -> List[List[np.ndarray]]:
    """Bounds of all passes, those with the same widths of their parts together."""
    kinds: Dict[Tuple[int, ...], List[np.ndarray]] = {}
    for bounds in n_bounds:
        kinds.setdefault(tuple(np.diff(bounds).tolist()), []).append(bounds)
    return list(kinds.values())


def sampled(passes: List[np.ndarray], exact: bool) -> List[np.ndarray]:
    """Passes that stand for all, few of them unless `exact`: they differ only in where Y's homes cut them."""
    most = MOST_SAMPLES if exact else FEW_SAMPLES
    if len(passes) <= most:
        return passes
    return [passes[i] for i in np.linspace(0, len(passes) - 1, most).astype(int)]


def tile_memory(
    pattern: BlockPattern,
    problem: Problem,
    target: Target,
    partition: Partition,
    works: Tuple[CutWork, ...],
    fragments: np.ndarray,  # [tiles] pieces received in all exchange steps
    cast_rows: Sequence[np.ndarray],  # of each part, int64 [runs]: rows that are cast
    *,
    exact: bool = True,
) -> Memory:
    """Bytes by category on every tile; temporaries are those of the fullest pass."""
    tiles = target.tiles
    always = _zeros(("input", "output", "values", "constants", "vertex", "exchange", "control"), tiles)
    always["input"], always["output"] = tensor_bytes(problem, partition, works, tiles)
    always["exchange"] = aligned(np.ceil(fragments * target.model["exchange_code_bytes_per_fragment"]).astype(np.int64))
    always["control"] = np.full(tiles, int(target.model["code_bytes"]))
    temps = _zeros(("x_slices", "value_slices", "partials", "casts", "shared_partials"), tiles)
    for part in range(partition.num_parts):
        _add_part(always, temps, problem, partition, works, part, cast_rows[part])
    if partition.values == "broadcast":
        temps["value_slices"] = always["values"]
        home = value_layout(problem, pattern.nnz_blocks, tiles)
        always["values"] = linear_bytes(home, tiles, item_bytes(problem.dtype))
    if in_place(partition, works):
        temps["shared_partials"], temps["casts"] = np.zeros((2, tiles), dtype=np.int64)
        if problem.dtype == problem.partials_dtype:
            temps["partials"] = np.zeros(tiles, dtype=np.int64)
    inputs, reduced, lists, vertices = reduction_bytes(problem, partition, works, tiles, exact)
    always["constants"] = always["constants"] + lists
    always["vertex"] = aligned(always["vertex"] + vertices)
    moments = {
        "dot": {name: temps[name] for name in ("x_slices", "value_slices", "partials")},
        "cast": {"partials": np.where(temps["casts"] > 0, temps["partials"] + temps["casts"], 0)},
        "collect": {"partials": temps["shared_partials"] + temps["casts"], "reduce_inputs": inputs},
        "reduce": {"reduce_inputs": inputs, "reduced": reduced},
    }
    return Memory(always, moments, target.tile_bytes)


def tensor_bytes(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], tiles: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Bytes of X and of Y that live on each tile between calls."""
    item = item_bytes(problem.dtype)
    if partition.homes == "linear":
        x, y = (linear_bytes(home, tiles, item) for home in (x_layout(problem, tiles), y_layout(problem, tiles)))
        return x, y
    x, y = np.zeros((2, tiles), dtype=np.int64)
    for passes in passes_of_equal_widths(partition.n_bounds):
        held = held_elements(problem, partition, works, passes[0], tiles)
        x, y = x + aligned(held[0] * item) * len(passes), y + aligned(held[1] * item) * len(passes)
    return x, y


def _zeros(names: Tuple[str, ...], tiles: int) -> Dict[str, np.ndarray]:
    return {name: np.zeros(tiles, dtype=np.int64) for name in names}


def linear_bytes(home: LinearLayout, tiles: int, itemsize: int) -> np.ndarray:
    sizes: np.ndarray = aligned(np.diff(home.bounds(tiles)) * itemsize)
    return sizes


def _add_part(
    always: Dict[str, np.ndarray],
    temps: Dict[str, np.ndarray],
    problem: Problem,
    partition: Partition,
    works: Tuple[CutWork, ...],
    part: int,
    cast_rows: np.ndarray,
) -> None:
    """Values, work lists, vertices, slices of X and partials of one part of n on the tiles that work on it."""
    work, b, itemsize = works[partition.part_cut[part]], problem.block_size, item_bytes(problem.dtype)
    width = int(partition.part_columns[part])
    first = int(partition.part_first_tile[part])
    where = slice(first, first + work.cut.num_runs)
    widths = np.diff(partition.n_bounds, axis=1)[:, part]
    widths = widths[widths > 0]
    entries = element_list_entries if b == 1 else block_list_entries
    used = work.num_blocks > 0
    lists = np.where(used, aligned(2 * entries(work.num_rows, work.num_blocks)), 0)
    partials = aligned(work.num_rows * width * b * item_bytes(problem.partials_dtype))
    shares = np.bincount(work.entry_run, weights=work.entry_sources > 1, minlength=work.cut.num_runs) > 0
    reads_partials = (
        used if problem.partials_dtype == problem.dtype else shares
    )  # lone rows are read where they are cast
    always["values"][where] += aligned(work.num_blocks * b * b * itemsize)
    always["constants"][where] += lists * len(np.unique(widths))
    always["vertex"][where] += (used * VERTEX_BYTES["dot"] + (cast_rows > 0) * VERTEX_BYTES["cast"]) * len(widths)
    temps["x_slices"][where] += aligned(work.num_cols * width * b * itemsize)
    temps["partials"][where] += partials
    temps["shared_partials"][where] += np.where(reads_partials, partials, 0)
    temps["casts"][where] += aligned(cast_rows * width * b * itemsize)


def reduction_bytes(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], tiles: int, exact: bool
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(gathered partials, sums before they move home, work lists, vertices that sum or zero), int64 [tiles] each.

    The first two are those of the fullest pass, the others of all passes together.
    """
    inputs, reduced, lists, vertices = (np.zeros(tiles, dtype=np.int64) for _ in range(4))
    home = y_layout(problem, tiles)
    for passes in passes_of_equal_widths(partition.n_bounds):
        seen = sampled(passes, exact)
        times = len(passes) / len(seen)
        if partition.reduce_at == "sources":
            here = _sums_at_sources(problem, partition, works, passes[0], tiles)
            inputs = np.maximum(inputs, here[0])
            reduced = np.maximum(reduced, here[1]) if partition.homes == "linear" else reduced
            lists = lists + here[2]
            vertices = vertices + (here[2] > 0) * VERTEX_BYTES["reduce"] * len(passes)
        for bounds in seen:
            if partition.homes == "parts":
                zeroed = zeroing_cycles(problem, partition, works, bounds, tiles) > 0
                vertices = vertices + np.ceil(zeroed * (VERTEX_BYTES["zero"] * times)).astype(np.int64)
                continue
            segments = traffic.output_segments(problem, partition, works, bounds)
            zeros, _ = _stretches_at_homes(segments, home, segments.sources == 0, tiles)
            vertices = vertices + np.ceil(zeros * (VERTEX_BYTES["zero"] * times)).astype(np.int64)
            if partition.reduce_at == "home":
                shared = segments.sources > 1
                weight = segments.sources * shared * float(item_bytes(problem.partials_dtype))
                arrived = traffic.delivered(segments, weight, shared, home, tiles).received
                inputs = np.maximum(inputs, aligned(np.rint(arrived).astype(np.int64)))
                sums, table = _stretches_at_homes(segments, home, shared, tiles)
                lists = lists + np.ceil(table * times).astype(np.int64)
                vertices = vertices + np.ceil(sums * (VERTEX_BYTES["reduce"] * times)).astype(np.int64)
    return inputs, reduced, aligned(lists), vertices


def _stretches_at_homes(
    segments: traffic.Segments, home: LinearLayout, chosen: np.ndarray, tiles: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Vertices over the chosen segments, one for each stretch of Y on a tile, and bytes of their reduction lists."""
    tile, start, length, _ = traffic.pieces_at_homes(segments, home, chosen)
    first = traffic.stretches(tile, start, length)
    sizes = aligned(6 * np.diff(np.append(first, len(tile))))
    return np.bincount(tile[first], minlength=tiles), np.bincount(tile[first], weights=sizes, minlength=tiles)


def _sums_at_sources(
    problem: Problem, partition: Partition, works: Tuple[CutWork, ...], bounds: np.ndarray, tiles: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gathered partials, sums, work list) of one pass where the sources share the sums, int64 [tiles] each."""
    inputs, reduced, lists = (np.zeros(tiles, dtype=np.int64) for _ in range(3))
    partial_item, itemsize = item_bytes(problem.partials_dtype), item_bytes(problem.dtype)
    for part, width in enumerate(np.diff(bounds)):
        work, first = works[partition.part_cut[part]], int(partition.part_first_tile[part])
        entry, _, length = summed_pieces(partition, work, int(width), problem)
        runs, tile = work.cut.num_runs, work.entry_run[entry]
        sources = work.row_sources[work.entry_row[entry]]
        for total, weights in (
            (inputs, length * sources * float(partial_item)),
            (reduced, length * float(itemsize)),
            (lists, np.full(len(entry), 6.0)),
        ):
            total[first : first + runs] += np.bincount(tile, weights=weights, minlength=runs).astype(np.int64)
    return aligned(inputs), aligned(reduced), aligned(lists)
