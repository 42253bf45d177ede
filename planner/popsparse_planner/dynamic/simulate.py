"""Random patterns drawn to see what the model of `capacity` and `published_load` says: how many need propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..bucket_layout import BucketLayout
from ..errors import CapacityError
from .frame import Frame
from .published_spills import Capacity
from .spills import place_blocks

PATTERNS = 1000


@dataclass(frozen=True)
class Simulation:
    """What uniform random patterns met.

    patterns: drawn; overfull: those with a cell that its bucket cannot hold; mean_overfull_cells, mean_spilled_blocks:
    over all patterns; median_steps, most_steps: propagation steps, of a plan of this project (else 0); refused: those
    that no placement holds.
    """

    patterns: int
    overfull: int
    mean_overfull_cells: float
    mean_spilled_blocks: float
    median_steps: int = 0
    most_steps: int = 0
    refused: int = 0

    @property
    def probability(self) -> float:
        """Share of the patterns that need propagation."""
        return self.overfull / self.patterns


def cell_sizes(frame: Frame) -> np.ndarray:
    """int64 [cells]: blocks that each cell covers."""
    rows, cols = (np.bincount(group).astype(np.int64) for group in (frame.row_group, frame.col_group))
    cells = np.arange(frame.num_cells)
    sizes: np.ndarray = rows[cells % frame.qm] * cols[cells // frame.qm]
    return sizes


def drawn_counts(sizes: np.ndarray, drawn: int, patterns: int, seed: int = 0) -> np.ndarray:
    """int64 [patterns, cells]: blocks in each cell of patterns of `drawn` blocks, uniform without replacement.

    The counts of such patterns are multivariate hypergeometric, so the patterns themselves need not be drawn.
    """
    counts: np.ndarray = np.random.default_rng(seed).multivariate_hypergeometric(sizes, drawn, patterns, "marginals")
    return counts


def simulate(frame: Frame, layout: BucketLayout, drawn: int, patterns: int = PATTERNS) -> Simulation:
    """What `patterns` random patterns of `drawn` blocks meet in the buckets of a plan; their placements are made."""
    counts = drawn_counts(cell_sizes(frame), drawn, patterns)
    found = _overfull(counts, layout.capacity)
    steps = np.zeros(patterns, dtype=np.int64)
    refused = 0
    for one in np.flatnonzero((counts > layout.capacity).any(axis=1)):
        try:
            steps[one] = place_blocks(counts[one], layout).num_steps
        except CapacityError:
            refused += 1
    return Simulation(*found, int(np.median(steps)), int(steps.max(initial=0)), refused)


def simulate_published(grid: Tuple[int, int], drawn: int, capacity: Capacity, patterns: int = PATTERNS) -> Simulation:
    """As `simulate` for the published scheme: contiguous cells of px x py, pz buckets each; meta-info is not looked at.

    grid: blocks of the codelets' size.
    """
    heights, widths = (_parts(blocks, parts) for blocks, parts in zip(grid, (capacity.px, capacity.py)))
    counts = drawn_counts(np.outer(heights, widths).ravel(), drawn, patterns)
    return Simulation(*_overfull(counts, capacity.pz * capacity.blocks))


def _parts(blocks: int, parts: int) -> np.ndarray:
    """int64 [parts]: blocks of each of `parts` equal parts, the last ones smaller."""
    bounds = np.minimum(np.arange(parts + 1, dtype=np.int64) * -(-blocks // parts), blocks)
    return np.diff(bounds)


def _overfull(counts: np.ndarray, room: int) -> Tuple[int, int, float, float]:
    over = np.maximum(counts - room, 0)
    cells = (over > 0).sum(axis=1)
    return len(counts), int((cells > 0).sum()), float(cells.mean()), float(over.sum(axis=1).mean())
