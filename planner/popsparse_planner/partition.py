"""Where the nonzeros of a static plan go: parts of n, and for each a cut of the blocks into one run per tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .errors import PlanError

VALUE_PLACES = ("resident", "broadcast")
REDUCE_PLACES = ("home", "sources")
ROW_SPLITS = ("balanced", "consecutive")
HOMES = ("linear", "parts")


def frozen(array: object, dtype: type) -> np.ndarray:
    """A read-only, contiguous copy of `array` with element type `dtype`."""
    copy: np.ndarray = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


def even_bounds(total: int, parts: int, grain: int = 1) -> np.ndarray:
    """Bounds int64 [parts + 1] that cut `total` into `parts` whose sizes differ by at most one grain.

    `total` is a multiple of `grain`; the larger parts come first. Raises PlanError where a part would be empty.
    """
    grains = total // grain
    if parts < 1 or parts > grains:
        raise PlanError(f"{total} columns in grains of {grain} cannot be cut into {parts} parts", parts=parts)
    sizes = np.full(parts, grains // parts, dtype=np.int64)
    sizes[: grains % parts] += 1
    return np.concatenate([[0], np.cumsum(sizes)]) * grain


@dataclass(frozen=True)
class Cut:
    """An assignment of every block of a pattern to one run; a run is what one tile multiplies.

    block_order: int32 [nnz_blocks], indices into the pattern's row-major list of blocks, run after run;
    run_offsets: int64 [runs + 1] into block_order (a run may be empty);
    run_band: int32 [runs], the band of k that a run belongs to (for reports).
    """

    block_order: np.ndarray
    run_offsets: np.ndarray
    run_band: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in (("block_order", np.int32), ("run_offsets", np.int64), ("run_band", np.int32)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        offsets = self.run_offsets
        if offsets[0] != 0 or offsets[-1] != len(self.block_order) or np.any(np.diff(offsets) < 0):
            raise PlanError(f"run offsets must rise from 0 to {len(self.block_order)} blocks")
        if len(self.run_band) != self.num_runs:
            raise PlanError(f"{self.num_runs} runs need as many bands, got {len(self.run_band)}")

    @property
    def num_runs(self) -> int:
        """Runs, empty ones counted."""
        return len(self.run_offsets) - 1

    @property
    def num_bands(self) -> int:
        """Bands of k that exist."""
        return int(self.run_band.max()) + 1 if len(self.run_band) else 0


@dataclass(frozen=True)
class Partition:
    """A static plan's decision.

    cuts: one per distinct number of tiles of an n part; part_cut int32 [qn]: which cut a part uses;
    part_first_tile int32 [qn]: run i of part p is multiplied by tile part_first_tile[p] + i;
    n_bounds int64 [passes, qn + 1]: padded columns of each part in each serial pass (a part may be empty in the last);
    values: "resident" (each tile keeps its run's values) or "broadcast" (sent from a linear home on every call);
    reduce_at: "home" (partials go straight to the tile that holds the output) or "sources" (the tiles that made
    them share the sum, then the result moves home); qm, qk: parts along m and k, for Plan.grid;
    row_split: how the workers of a tile share its rows when b = 1 (static/packing.py), "balanced" or "consecutive";
    "" is the first, or the second where values are broadcast: they lie in the order of the cut, which the first breaks;
    homes: where X and Y live between calls, "linear" (in order over all tiles) or "parts" (X with the part of n that
    takes it, Y on the tiles that sum it; static/part_homes.py), which needs sums at the sources;
    paired: tiles 2i and 2i + 1 of a part take the same block columns of X, all that either needs, in one stream;
    block_size: of the blocks that the cuts divide, where the pattern's are merged (static/merged.py); 0: the pattern's.
    """

    cuts: Tuple[Cut, ...]
    part_cut: np.ndarray
    part_first_tile: np.ndarray
    n_bounds: np.ndarray
    values: str = "resident"
    reduce_at: str = "home"
    qm: int = 1
    qk: int = 1
    row_split: str = ""
    homes: str = "linear"
    paired: bool = False
    block_size: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cuts", tuple(self.cuts))
        for name, dtype in (("part_cut", np.int32), ("part_first_tile", np.int32), ("n_bounds", np.int64)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        if not self.row_split:
            object.__setattr__(self, "row_split", "consecutive" if self.values == "broadcast" else "balanced")
        if self.values == "broadcast" and self.row_split == "balanced":
            raise PlanError("values that are broadcast lie in the order of the cut: row_split must be 'consecutive'")
        if self.row_split not in ROW_SPLITS:
            raise PlanError(f"unknown split of rows {self.row_split!r}: expected one of {', '.join(ROW_SPLITS)}")
        if self.values not in VALUE_PLACES or self.reduce_at not in REDUCE_PLACES:
            raise PlanError(f"unknown placement {self.values!r} or {self.reduce_at!r}")
        if self.homes not in HOMES:
            raise PlanError(f"unknown homes of X and Y {self.homes!r}: expected one of {', '.join(HOMES)}")
        if self.homes == "parts" and self.reduce_at != "sources":
            raise PlanError("Y that lives on the tiles that sum it needs reduce_at 'sources'")
        if self.paired and (np.any(self.part_first_tile % 2) or any(cut.num_runs % 2 for cut in self.cuts)):
            raise PlanError(
                "tiles receive in pairs: every part must start at an even tile and have an even number of runs"
            )
        if self.n_bounds.ndim != 2 or self.n_bounds.shape[1] != self.num_parts + 1:
            raise PlanError(f"n_bounds of shape {self.n_bounds.shape} do not fit {self.num_parts} parts of n")

    @property
    def num_parts(self) -> int:
        """Parts of n that work at the same time (qn)."""
        return len(self.part_cut)

    @property
    def column_parts(self) -> int:
        """Parts of n that hold columns, those of all serial passes together; 1 = tiles take all columns at once."""
        return int(np.count_nonzero(np.diff(self.n_bounds, axis=1)))

    @property
    def num_passes(self) -> int:
        """Serial passes over n."""
        return int(self.n_bounds.shape[0])

    @property
    def part_columns(self) -> np.ndarray:
        """Columns int64 [qn] of each part in its widest pass."""
        widest: np.ndarray = np.diff(self.n_bounds, axis=1).max(axis=0)
        return widest

    @property
    def place_of_sums(self) -> str:
        """Where partials are summed, in words."""
        return "Y kept where it is summed" if self.homes == "parts" else f"sums at {self.reduce_at}"

    def part_tiles(self, tiles: int) -> np.ndarray:
        """Tiles int64 [qn] of each part on a chip of so many, those that its cut leaves idle included."""
        sizes: np.ndarray = np.diff(np.append(self.part_first_tile, tiles)).astype(np.int64)
        return sizes
