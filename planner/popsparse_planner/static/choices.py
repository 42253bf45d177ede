"""The points of the balanced search: what a choice is, which there are, and their order by the closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from ..codelet_cycles import block_vertex_cycles, element_row_slots
from ..layout import WORKERS
from ..partition import Partition, even_bounds
from ..pattern import BlockPattern
from ..problem import PlanOptions, Problem, column_grain
from ..target import Target
from .cuts import CUT_KINDS, banded_cut
from .estimate import estimated_bytes, estimated_total, expected_load

_BAND_STEP = 1.35  # ratio between the numbers of bands that are tried


@dataclass(frozen=True)
class Choice:
    """One point of the search: parts of n, bands of k, kind of cut, serial passes, where partials are summed."""

    parts: int
    bands: int
    cut: str = "even"
    passes: int = 1
    reduce_at: str = "home"

    @property
    def name(self) -> str:
        """How a report calls it."""
        name = f"{self.parts} parts of n, {self.bands} bands of k, {self.cut} runs"
        return f"{name}, {self.passes} passes" if self.passes > 1 else name


class Ranked(NamedTuple):
    """A choice under the closed form of a uniform pattern: peak bytes and cycles."""

    choice: Choice
    num_bytes: float
    cycles: float


class ChoiceSpace:
    """All choices for one pattern, problem and target, less the ideas that `options` do without."""

    def __init__(
        self, pattern: BlockPattern, problem: Problem, target: Target, options: Optional[PlanOptions] = None
    ) -> None:
        self.pattern, self.problem, self.target = pattern, problem, target
        self.without = (options or PlanOptions()).without
        self.homes = "linear" if "homes by parts" in self.without else "parts"
        self.paired = target.tiles_per_exchange_bus == 2 and "paired tiles" not in self.without
        self.kinds = ("even",) if "whole rows" in self.without else CUT_KINDS

    def axes(self, passes: int) -> Tuple[np.ndarray, np.ndarray]:
        """Parts of n that differ in their widest part, and bands of k in steps of about a third."""
        grains = -(-self.problem.n_padded // column_grain(self.problem.dtype) // passes)
        widths = np.unique(-(-grains // np.arange(1, min(grains, self.target.tiles) + 1)))
        parts = np.unique(-(-grains // widths))
        most = min(self.pattern.block_grid[1], self.target.tiles)
        bands = np.unique(np.round(_BAND_STEP ** np.arange(0, 40)).astype(np.int64))
        return parts[parts <= self.target.tiles], bands[bands <= most]

    def ranked(self, passes: int) -> List[Ranked]:
        """Choices with `passes` passes, cheapest first; those that hardly fit come last."""
        parts, bands = self.axes(passes)
        grain = column_grain(self.problem.dtype)
        pass_grains = -(-self.problem.n_padded // grain // passes)
        columns = (-(-pass_grains // parts) * grain)[:, None].astype(np.float64)
        tiles = (self.target.tiles // parts)[:, None].astype(np.float64)
        scored: List[Ranked] = []
        for kind in self.kinds:
            load = expected_load(self.pattern, tiles, bands[None, :].astype(np.float64), kind, self.paired)
            cycles = estimated_total(
                self.pattern, self.problem, self.target, load, columns, passes, self.homes, self.paired
            )
            size = estimated_bytes(self.problem, self.target, load, columns, passes, self.homes)
            scored += [
                Ranked(Choice(int(parts[i]), int(bands[j]), kind, passes), float(size[i, j]), float(cycles[i, j]))
                for i, j in np.argwhere(bands[None, :] <= tiles)
            ]
        most = self.target.tile_bytes
        return sorted(scored, key=lambda r: (r.num_bytes > most, r.cycles, r.choice.parts, r.choice.bands))

    def neighbours(self, choice: Choice) -> Iterator[Choice]:
        """Choices with sums at home that differ from `choice` by one step in one respect."""
        choice = replace(choice, reduce_at="home")
        parts, bands = self.axes(choice.passes)
        for value in _around(parts, choice.parts):
            if value * choice.bands <= self.target.tiles:
                yield replace(choice, parts=value)
        for value in sorted({1, *_around(bands, choice.bands)}):  # one band: with whole rows nothing is left to sum
            if choice.parts * value <= self.target.tiles:
                yield replace(choice, bands=value)
        for kind in self.kinds:
            if kind != choice.cut:
                yield replace(choice, cut=kind)

    def partition(self, choice: Choice) -> Partition:
        """What `choice` means for the pattern."""
        tiles = self.target.tiles // choice.parts
        paired = self.paired and tiles >= 2 * choice.bands
        tiles -= tiles % 2 if paired else 0
        cut = banded_cut(self.pattern, tiles, choice.bands, choice.cut, *self._weights(choice), paired=paired)
        return Partition(
            cuts=(cut,),
            part_cut=np.zeros(choice.parts, dtype=np.int32),
            part_first_tile=np.arange(choice.parts) * tiles,
            n_bounds=pass_bounds(self.problem, choice.passes, choice.parts),
            values=self.value_place(choice.parts),
            reduce_at="sources" if self.homes == "parts" else choice.reduce_at,
            homes=self.homes,
            paired=paired,
            row_split="consecutive" if "worker split" in self.without else "",
            qm=max(1, int(np.bincount(cut.run_band, minlength=1).max())),
            qk=max(1, cut.num_bands),
        )

    def value_place(self, parts: int) -> str:
        """Where the values of a choice with so many parts of n live."""
        return "broadcast" if "resident values" in self.without and parts > 1 else "resident"

    def _weights(self, choice: Choice) -> Tuple[float, float]:
        """Cycles of a block and of a row on a tile of this choice."""
        problem = self.problem
        columns = int(np.diff(pass_bounds(problem, choice.passes, choice.parts)).max())
        if problem.block_size == 1:
            slots = element_row_slots(problem.dtype, columns, problem.partials_dtype)
            return float(slots.per_nonzero), float(slots.per_row)
        worker, dtypes = -(-columns // WORKERS), (problem.dtype, problem.partials_dtype, problem.block_size)
        one, two, row = (int(block_vertex_cycles(*dtypes, worker, r, z)) for r, z in ((1, 1), (1, 2), (2, 2)))
        return float(two - one), float(row - two)


def _around(values: np.ndarray, value: int) -> List[int]:
    """The neighbours of `value` in sorted `values`."""
    below, above = values[values < value], values[values > value]
    return [int(v) for v in (*below[-1:], *above[:1])]


def pass_bounds(problem: Problem, passes: int, parts: int) -> np.ndarray:
    """int64 [passes, parts + 1]: columns of every part in every pass; all passes but the last are equally wide."""
    grain = column_grain(problem.dtype)
    width = -(-problem.n_padded // grain // passes) * grain
    starts = np.arange(0, problem.n_padded, width)
    rows = []
    for start in starts:
        stop = min(int(start) + width, problem.n_padded)
        live = min(parts, (stop - int(start)) // grain)
        bounds = int(start) + even_bounds(stop - int(start), live, grain)
        rows.append(np.concatenate([bounds, np.full(parts - live, stop)]))
    return np.stack(rows)
