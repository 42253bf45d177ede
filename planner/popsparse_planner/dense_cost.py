"""Cycles and bytes of a dense product on the tiles: every way to cut it, costed in NumPy columns.

The structure is that of the published dense matmul planner (graphcore/poplibs lib/poplin, ConvPlan and ConvModel, which
see Y = W X as a 1 x 1 convolution): the matrix unit holds a group of W's elements, 16 rows of 32 bytes each, while all
columns of the tile stream past it; W, X and Y lie evenly over the chip; X slices go to their tiles once, W slices in
every serial pass over m; partials of Y have X's data type. Constants without another source are from its
PerformanceEstimation.hpp (getConvPartial1x1Supervisor*); what is fitted lies in the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, NamedTuple, Tuple

import numpy as np

from .codelet_cycles import published_general_reduce_cycles
from .problem import item_bytes
from .target import Target

GROUP_ROWS = 16  # rows of W in the matrix unit: its 16 conv units
_GROUP_ROW_BYTES = 32  # coefficients of one conv unit: 16 half or 8 float elements of k
_VERTEX_CYCLES, _K_GROUP_CYCLES, _GROUP_CYCLES = 50, 15, 25  # supervisor code once, per k group, per 16-row group
_ZERO_SLOTS = 2  # float32 workers zero their partials in the first k group: 2 slots and those of one more product


class DenseShape(NamedTuple):
    """Y (m, n) = W (m, k) X (k, n) in `dtype`, as the matrix unit sees it."""

    m: int
    k: int
    n: int
    dtype: str

    @property
    def group_depth(self) -> int:
        """Elements of k in one group of the matrix unit: 16 half, 8 float."""
        return _GROUP_ROW_BYTES // item_bytes(self.dtype)

    @property
    def m_groups(self) -> int:
        """Groups of 16 rows, the last padded."""
        return -(-self.m // GROUP_ROWS)

    @property
    def k_groups(self) -> int:
        """Groups along k, the last padded."""
        return -(-self.k // self.group_depth)


class Grids(NamedTuple):
    """Ways to cut a product into qm x qk x qn tiles and `passes` serial passes over m; each column int64 [candidates].

    m_groups, k_groups, columns: what the fullest tile multiplies in one pass.
    """

    qm: np.ndarray
    qk: np.ndarray
    qn: np.ndarray
    m_groups: np.ndarray
    k_groups: np.ndarray
    columns: np.ndarray
    passes: int

    def take(self, keep: np.ndarray) -> Grids:
        """The candidates that the mask or index array `keep` selects."""
        qm, qk, qn, m_groups, k_groups, columns = (column[keep] for column in self[:6])
        return Grids(qm, qk, qn, m_groups, k_groups, columns, self.passes)


class Buffers(NamedTuple):
    """Bytes on the fullest tile that live only while it works; each int64 [candidates]."""

    x_slices: np.ndarray
    value_slices: np.ndarray
    partials: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """All three live at once."""
        total: np.ndarray = self.x_slices + self.value_slices + self.partials
        return total


@dataclass(frozen=True)
class Terms:
    """Cycles of candidates over all passes, float64 [candidates] each; linear in the target's dense_* coefficients.

    multiply: without the workers' start; calls: groups multiplied, each of which starts the workers; send_x, send_w,
    send_partials: exchange; reduce: summing partials; slice_bytes: cut out of W and put into Y when there are several
    passes; steps: exchange phases and compute sets.
    """

    multiply: np.ndarray
    calls: np.ndarray
    send_x: np.ndarray
    send_w: np.ndarray
    send_partials: np.ndarray
    reduce: np.ndarray
    slice_bytes: np.ndarray
    steps: np.ndarray

    def by_cause(self, target: Target, dtype: str) -> Dict[str, np.ndarray]:
        """Cycles by the parts of `Cost`, without sync."""
        model = target.model
        slicing = self.slice_bytes * model["dense_slice_cycles_per_byte"]
        return {
            "compute_cycles": self.multiply + self.calls * model[f"dense_{dtype}_call_cycles"],
            "exchange_cycles": self.send_x + self.send_w + self.send_partials,
            "reduce_cycles": self.reduce,
            "other_cycles": self.steps * model["dense_step_cycles"] + slicing,
        }

    def profiled_cycles(self, target: Target, dtype: str) -> np.ndarray:
        """All parts together, float64 [candidates]: what published rates count, and what the search compares."""
        parts = self.by_cause(target, dtype)
        total: np.ndarray = np.sum(list(parts.values()), axis=0)
        return total


def grids_by_passes(target: Target, shape: DenseShape) -> Iterator[Grids]:
    """All cuts that differ in what their fullest tile does, for 1, 2, 4, ... passes over m; one part a tile."""
    tiles = target.tiles
    k_parts, columns = _distinct(shape.k_groups, tiles), _distinct(shape.n, tiles)
    qk, qn = (axis.ravel() for axis in np.meshgrid(k_parts, columns, indexing="ij"))
    order = np.argsort(qk * qn, kind="stable")
    qk, qn = qk[order], qn[order]
    pair_tiles = qk * qn
    passes = 1
    while passes <= shape.m_groups:
        groups = -(-shape.m_groups // passes)
        m_parts = _distinct(groups, tiles)
        counts = np.searchsorted(pair_tiles, tiles // m_parts, side="right")
        pair = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        qm = np.repeat(m_parts, counts)
        yield Grids(
            qm, qk[pair], qn[pair], -(-groups // qm), -(-shape.k_groups // qk[pair]), -(-shape.n // qn[pair]), passes
        )
        passes *= 2


def _distinct(total: int, tiles: int) -> np.ndarray:
    """Numbers of parts int64, rising: the smallest for each size of the largest part, none above `tiles`."""
    parts = np.arange(1, min(total, tiles) + 1, dtype=np.int64)
    sizes = -(-total // parts)
    distinct: np.ndarray = parts[np.concatenate([[True], sizes[1:] != sizes[:-1]])]
    return distinct


def temporary_bytes(shape: DenseShape, grids: Grids) -> Buffers:
    """Slices and partials on the fullest tile; all are counted even where a tile holds its own (as published)."""
    item = item_bytes(shape.dtype)
    rows, depth = grids.m_groups * GROUP_ROWS, grids.k_groups * shape.group_depth
    return Buffers(depth * grids.columns * item, rows * depth * item, rows * grids.columns * item)


def resident_bytes(shape: DenseShape, tiles: int) -> Tuple[int, int, int]:
    """Bytes of W, X and Y on a tile, each spread evenly over the chip."""
    item = item_bytes(shape.dtype)
    weights, inputs, results = shape.m * shape.k, shape.k * shape.n, shape.m * shape.n
    return -(-weights // tiles) * item, -(-inputs // tiles) * item, -(-results // tiles) * item


def multiply_cycles(target: Target, shape: DenseShape, grids: Grids) -> np.ndarray:
    """Cycles of the matrix unit over all passes without the start of the workers, float64 [candidates]."""
    column_slots = GROUP_ROWS * shape.group_depth / target.amp_macs_per_cycle[shape.dtype]
    load = GROUP_ROWS * _GROUP_ROW_BYTES / target.coefficient_load_bytes_per_cycle
    stream = target.workers * column_slots * -(-grids.columns // target.workers)
    zero = target.workers * _ZERO_SLOTS + stream if shape.dtype == "float32" else 0.0
    per_k_group = _K_GROUP_CYCLES + grids.m_groups * (_GROUP_CYCLES + load + stream)
    cycles: np.ndarray = grids.passes * (_VERTEX_CYCLES + grids.k_groups * per_k_group + grids.m_groups * zero)
    return cycles


def cost_terms(target: Target, shape: DenseShape, grids: Grids) -> Terms:
    """Cycles of every candidate by cause, all passes.

    Exchange as published (poplin ExchangeEstimator, ConvModel): each direction at the fabric's rate; X at that of the
    shared bus where neighbouring tiles receive the same slice (qm a multiple of the tiles on a bus); of a slice that q
    tiles share, each holds 1/q already.
    """
    passes, rate = grids.passes, target.exchange_bytes_per_cycle
    buffers = temporary_bytes(shape, grids)
    pairs = np.where(grids.qm % target.tiles_per_exchange_bus == 0, target.tiles_per_exchange_bus, 1)
    cut_k = grids.qk > 1
    outputs = -(-(grids.m_groups * GROUP_ROWS * grids.columns) // grids.qk)
    reduce = published_general_reduce_cycles(outputs, grids.qk, shape.dtype, shape.dtype)
    weights, _, results = resident_bytes(shape, target.tiles)
    serial = passes > 1
    return Terms(
        multiply=multiply_cycles(target, shape, grids),
        calls=(passes * grids.m_groups * grids.k_groups).astype(np.float64),
        send_x=buffers.x_slices * (1 - 1 / grids.qm) / (rate * pairs),
        send_w=passes * buffers.value_slices * (1 - 1 / grids.qn) / rate,
        send_partials=passes * cut_k * buffers.partials / rate,
        reduce=passes * cut_k * reduce.astype(np.float64),
        slice_bytes=np.full(len(grids.qm), float(serial * (weights + results))),
        steps=passes * (1.0 + serial + (grids.qn > 1) + 2 * cut_k) + (grids.qm > 1),
    )
