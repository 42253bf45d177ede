"""Sizes of the work lists for dY X^T at the blocks of a pattern that is encoded on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from .cuda_dynamic import Frame, Launch, UnitGrid, blocks_for
from .cuda_sampled import CELL, CELLS_AT_ONCE, PANEL_BYTES, SAMPLED_WARPS, STAGES
from .errors import PlanError

CLEAR, MARK, COUNT, COUNT_BANDS, BEGINS, LEAD, SCATTER, PHASES = range(8)  # CellPhase in cpp/cuda/encode_cells.cuh
_BANDS = (8, 16, 32)


@dataclass(frozen=True)
class CellSizes:
    """Lists of cells of 16 x 16 (EncodeCellsArguments in cpp/cuda/encode_arguments.cuh).

    band_rows: rows of cells of a band; at_once: cells of a block of threads of the product, 1 for float32.
    """

    grid: UnitGrid
    band_rows: int
    at_once: int

    @property
    def bands(self) -> int:
        """Bands of rows of cells."""
        return -(-self.grid.rows // self.band_rows)

    @property
    def groups(self) -> int:
        """Blocks of threads of the product, for float32 cells, that any pattern takes at most."""
        of_all = self.bands * -(-self.band_rows * self.grid.columns // self.at_once)
        partly_filled = self.bands if self.at_once > 1 else 0
        return min(of_all, most_cells(self.grid) // self.at_once + partly_filled)

    @property
    def has_places(self) -> bool:
        """Whether cells are no whole parts of blocks, so that each element's place is listed."""
        return self.grid.frame.block_size % CELL != 0

    @property
    def panels(self) -> int:
        """Of dY and X that a block of threads holds at most."""
        return self.band_rows + self.at_once

    @property
    def stage_bytes(self) -> int:
        """Shared memory of a stage of panels."""
        return self.panels * PANEL_BYTES

    @property
    def visits(self) -> int:
        """Cells of all slots, those that several blocks cover once for each."""
        b = self.grid.frame.block_size
        along = b // CELL if b % CELL == 0 else (b + CELL - 2) // CELL + 1
        return self.grid.frame.slots * along**2

    def launches(self, multiprocessors: int, cluster: int) -> List[Launch]:
        """Of the encoder: one where a block of threads, or a cluster of so many, is soon done with everything."""
        grid = self.grid
        listed = self.groups * (3 + 2 * CELLS_AT_ONCE if self.at_once > 1 else 2)
        listed += self.groups * self.at_once * CELL**2 if self.has_places else 0
        words = grid.rows * grid.words + grid.block_words + listed
        for blocks in sorted({1, cluster}):
            if words <= blocks << 15 and self.visits * self.band_rows <= blocks << 15:
                return [Launch(CLEAR, PHASES, blocks, blocks)]
        items = (words, grid.frame.slots, 32 * grid.rows, 32 * self.bands, 0, self.visits, self.visits)
        wide = [Launch(phase, phase + 1, blocks_for(count, multiprocessors)) for phase, count in enumerate(items)]
        if grid.rows * grid.words > cluster << 14:
            return wide
        return [*wide[:COUNT], Launch(COUNT, LEAD, cluster, cluster), *wide[LEAD:]]


def cell_sizes(frame: Frame, dtype: str, shared_bytes: int) -> CellSizes:
    """Of lists for 16-bit elements, whose blocks of threads hold a band's rows of dY and a row of X for each cell; or
    for float32, a cell at a time. PlanError beyond 2^31 stored values.
    """
    if frame.slots * frame.block_size**2 >= 1 << 31:
        raise PlanError(
            f"W has room for {frame.slots * frame.block_size**2:,} values: those of a pattern that is encoded on the "
            f"device are sampled below {1 << 31:,}"
        )
    grid = UnitGrid(frame, CELL, CELL)
    if dtype == "float32":
        return CellSizes(grid, 1, 1)
    most = shared_bytes // (STAGES * PANEL_BYTES)
    density = min(1.0, most_cells(grid) / (grid.rows * grid.columns))

    def read(band: int) -> Tuple[float, int]:
        """Panels that are copied for a cell, and cells of a block of threads."""
        at_once = min(CELLS_AT_ONCE, (most - band) // SAMPLED_WARPS * SAMPLED_WARPS)
        met = 1 - (1 - density) ** band
        return (band + at_once * met / (band * density)) / at_once, at_once

    band = min((rows for rows in _BANDS if rows + SAMPLED_WARPS <= most), key=lambda rows: read(rows)[0])
    return CellSizes(grid, band, read(band)[1])


def most_cells(grid: UnitGrid) -> int:
    """Cells that the blocks of all slots cover at most."""
    b = grid.frame.block_size
    first = np.arange(CELL, dtype=np.int64) * b  # where blocks begin repeats after that
    along = int(((first + b - 1) // CELL - first // CELL).max()) + 1
    return min(grid.rows * grid.columns, grid.frame.slots * along**2)
