"""Bytes that the passes of a dynamic plan keep on every tile."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

import numpy as np

from ..bucket_layout import CURSOR_FIELDS, PACKET_VERTEX_BYTES, BucketLayout, most_operations
from ..layout import VERTEX_BYTES, aligned
from ..memory import Memory
from ..partition import Partition
from ..problem import Problem, item_bytes
from ..static.part_homes import in_place
from ..static.tile_memory import reduction_bytes, tensor_bytes
from ..static.work import CutWork
from ..target import Target
from .draft import Draft
from .frame import Frame
from .propagation import BUFFERS, num_operations, prepared_pieces

_PACKET_VERTICES = 10  # of a tile in the pass that has most: two selections, products, results, control


def _used(frame: Frame, tiles: int) -> np.ndarray:
    return (np.arange(tiles) < frame.num_tiles).astype(np.int64)


def packet_buffers(frame: Frame, layout: BucketLayout) -> int:
    """Bytes of a tile for travelling packets: two buffers, what is delivered, and the two cursors."""
    if frame.num_cells == 1:
        return 0
    return layout.packet_bytes * (BUFFERS + frame.qn) + 2 * 4 * len(CURSOR_FIELDS)


def _always(problem: Problem, target: Target, draft: Draft, pieces: np.ndarray) -> Dict[str, np.ndarray]:
    """Buckets, packets, code and control."""
    frame, layout, tiles = draft.frame, draft.layout, target.tiles
    used, last = _used(frame, tiles), (np.arange(tiles) == tiles - 1).astype(np.int64)
    values = layout.value_share * item_bytes(problem.dtype)
    cases = num_operations(frame.num_cells, with_store=True)
    prepared, operations, controls = 0, 0, 0
    if frame.num_cells > 1:
        prepared, controls = prepared_pieces(frame), cases + frame.passes + 2
        operations = 2 * most_operations(frame.num_cells) + 8 * 4
    received = pieces + used * prepared + last * controls
    code = np.ceil(received * target.model["exchange_code_bytes_per_fragment"]).astype(np.int64)
    vertex = sum(VERTEX_BYTES.values()) * frame.passes + _PACKET_VERTICES * PACKET_VERTEX_BYTES
    return {
        "values": used * (values + packet_buffers(frame, layout)),
        "constants": used * 2 * layout.list_share + last * operations,
        "vertex": used * vertex + last * (4 + frame.passes) * PACKET_VERTEX_BYTES,
        "exchange": aligned(code),
        "control": np.full(tiles, int(target.model["code_bytes"]) + 4 * cases),
    }


def pass_memory(
    problem: Problem,
    target: Target,
    draft: Draft,
    partition: Partition,
    works: Tuple[CutWork, ...],
    pieces: np.ndarray,  # [tiles] received in all exchange steps
) -> Memory:
    """Bytes of the forward or grad-input pass; problem: of the frame."""
    frame, layout, tiles, work = draft.frame, draft.layout, target.tiles, works[0]
    item, partial_item = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
    always = _always(problem, target, draft, pieces)
    always["input"], always["output"] = tensor_bytes(problem, partition, works, tiles)
    width = frame.columns * problem.block_size
    slices, partials, casts = (np.zeros(tiles, dtype=np.int64) for _ in range(3))
    slices[: frame.num_tiles] = np.tile(aligned(work.num_cols * width * item), frame.qn)
    partials[: frame.num_tiles] = np.tile(aligned(work.num_rows * width * partial_item), frame.qn)
    if item != partial_item and work.row_sources[0] == 1:
        casts[: frame.num_tiles] = np.tile(aligned(work.num_rows * width * item), frame.qn)
    if in_place(partition, works):  # products are written, or cast, straight to Y
        casts = np.zeros(tiles, dtype=np.int64)
        partials = partials * int(item != partial_item)
    gathered = _used(frame, tiles) * (layout.gathered_bytes if frame.qn > 1 else 0)
    kept = gathered if frame.passes > 1 else np.zeros(tiles, dtype=np.int64)
    inputs, reduced, lists, vertices = reduction_bytes(problem, partition, works, tiles, False)
    always["constants"] = always["constants"] + lists
    always["vertex"] = aligned(always["vertex"] + vertices)
    moments: Mapping[str, Mapping[str, np.ndarray]] = {
        "dot": {"x_slices": slices, "value_slices": gathered, "partials": partials},
        "collect": {"value_slices": kept, "partials": partials + casts, "reduce_inputs": inputs},
        "reduce": {"value_slices": kept, "reduce_inputs": inputs, "reduced": reduced},
    }
    return Memory(always, moments, target.tile_bytes)


def weight_memory(problem: Problem, target: Target, draft: Draft, inputs: np.ndarray, pieces: np.ndarray) -> Memory:
    """Bytes of the grad-weight pass; inputs: int64 [tiles], of X and dY together."""
    frame, layout = draft.frame, draft.layout
    item, used = item_bytes(problem.dtype), _used(draft.frame, target.tiles)
    always = _always(problem, target, draft, pieces)
    always["input"] = inputs
    always["output"] = used * int(aligned(np.array(layout.value_share * item)))
    width = frame.columns * problem.block_size * item
    slices = used * (frame.cell_rows + frame.cell_cols) * width
    packet = 4 * layout.packet_value_share * frame.qn * 2 if frame.num_cells > 1 else 0
    gathered = used * (layout.gathered_bytes if frame.qn > 1 else 0)
    partials = used * layout.value_length * 4
    moments = {
        "dot": {"x_slices": slices, "value_slices": gathered, "partials": partials + used * packet},
        "reduce": {
            "x_slices": slices,
            "value_slices": gathered,
            "partials": partials + used * packet,
            "reduce_inputs": partials,
        },
    }
    return Memory(always, moments, target.tile_bytes)
