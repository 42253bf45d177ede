"""Addresses of X and Y in a program that keeps them with its parts of n (popsparse_planner/static/part_homes.py).

X is [pass][part][kb][columns][b]; of each part, a matrix in order over the part's own tiles. Y holds, pass by pass and
tile by tile, the rows that the tile alone makes, the pieces that it sums, and its rows without blocks.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from popsparse_planner.layout import LinearLayout, part_x_layout
from popsparse_planner.partition import Partition
from popsparse_planner.problem import Problem, column_grain
from popsparse_planner.static.part_homes import empty_bounds
from popsparse_planner.static.pieces import dealt_pieces

from .groups import Group
from .program import Variable
from .ranges import expand, offsets_of


class _Pass(NamedTuple):
    """Y of one pass on each tile, int64 [tiles]: its first element, and elements of its rows, kind by kind."""

    begin: np.ndarray
    lone: np.ndarray
    summed: np.ndarray
    empty: np.ndarray


class PartHomes:
    """The homes of one partition."""

    def __init__(self, problem: Problem, partition: Partition, groups: Tuple[Group, ...], num_tiles: int) -> None:
        self.problem, self.partition, self.num_tiles = problem, partition, num_tiles
        self.groups = groups
        self._group_of = {int(part): group for group in groups for part in group.parts}
        self._part_tiles = partition.part_tiles(num_tiles)
        self._passes: Dict[int, _Pass] = {}

    # --- X ------------------------------------------------------------------------------------------------------------

    def x_begin(self, number: int, part: int) -> int:
        """First element of X of a part in pass `number`."""
        return int(self.partition.n_bounds[number, part]) * self.problem.block_grid[1] * self.problem.block_size

    def x_per_tile(self, number: int, part: int) -> int:
        """Elements of X of a part in pass `number` on each of its tiles but the last that has any."""
        return self._x_layout(number, part).per_tile

    def _x_layout(self, number: int, part: int) -> LinearLayout:
        bounds = self.partition.n_bounds[number]
        return part_x_layout(self.problem, int(bounds[part + 1] - bounds[part]), int(self._part_tiles[part]))

    def _parts(self) -> Iterator[Tuple[int, int, int]]:
        """(pass, part, columns) of every part that has columns, in the order of X."""
        for number, widths in enumerate(np.diff(self.partition.n_bounds, axis=1)):
            for part in np.flatnonzero(widths).tolist():
                yield number, part, int(widths[part])

    def x_variable(self) -> Variable:
        """X as a tensor of the program."""
        begins: List[np.ndarray] = []
        tiles: List[np.ndarray] = []
        for number, part, _ in self._parts():
            layout = self._x_layout(number, part)
            used = np.arange(layout.tiles_used, dtype=np.int64)
            begins.append(self.x_begin(number, part) + used * layout.per_tile)
            tiles.append(int(self.partition.part_first_tile[part]) + used)
        length = self.problem.block_grid[1] * self.problem.n_padded * self.problem.block_size
        return Variable("x", self.problem.dtype, length, "input", np.concatenate(begins), np.concatenate(tiles))

    def encode_x(self, linear: np.ndarray) -> np.ndarray:
        """X of the program from X [kb][n_padded][b], flat."""
        problem = self.problem
        tensor = linear.reshape(problem.block_grid[1], problem.n_padded, problem.block_size)
        bounds = self.partition.n_bounds
        parts = [tensor[:, bounds[t, part] : bounds[t, part] + width].reshape(-1) for t, part, width in self._parts()]
        return np.concatenate(parts)

    # --- Y ------------------------------------------------------------------------------------------------------------

    def _pass(self, number: int) -> _Pass:
        if number not in self._passes:
            self._passes[number] = self._make_pass(number)
        return self._passes[number]

    def _make_pass(self, number: int) -> _Pass:
        problem, partition = self.problem, self.partition
        lone, summed, empty = np.zeros((3, self.num_tiles), dtype=np.int64)
        for part, width in enumerate(np.diff(partition.n_bounds[number]).tolist()):
            if not width:
                continue
            work, first = self._group_of[part].work, int(partition.part_first_tile[part])
            row, runs, count = width * problem.block_size, work.cut.num_runs, int(self._part_tiles[part])
            alone = work.entry_run[work.entry_sources == 1]
            lone[first : first + runs] = np.bincount(alone, minlength=runs) * row
            entry, _, length = dealt_pieces(work, width, problem)
            pieces = np.bincount(work.entry_run[entry], weights=length, minlength=runs)
            summed[first : first + runs] = pieces.astype(np.int64)
            empty[first : first + count] = np.diff(empty_bounds(work, count)) * row
        start = int(partition.n_bounds[number, 0]) * problem.block_grid[0] * problem.block_size
        return _Pass(start + offsets_of(lone + summed + empty)[:-1], lone, summed, empty)

    def lone_begin(self, number: int) -> np.ndarray:
        """int64 [tiles]: where the rows that each tile alone makes in pass `number` begin, in local order."""
        return self._pass(number).begin

    def summed_begin(self, number: int) -> np.ndarray:
        """int64 [tiles]: where the pieces that each tile sums in pass `number` begin."""
        made = self._pass(number)
        return made.begin + made.lone

    def empty(self, number: int) -> Tuple[np.ndarray, np.ndarray]:
        """(begin, elements) of the rows without blocks on each tile that has some."""
        made = self._pass(number)
        used = np.flatnonzero(made.empty)
        return (made.begin + made.lone + made.summed)[used], made.empty[used]

    def y_variable(self) -> Variable:
        """Y as a tensor of the program."""
        begins: List[np.ndarray] = []
        tiles: List[np.ndarray] = []
        for number in range(self.partition.num_passes):
            made = self._pass(number)
            used = np.flatnonzero(made.lone + made.summed + made.empty)
            begins.append(made.begin[used])
            tiles.append(used)
        length = self.problem.block_grid[0] * self.problem.n_padded * self.problem.block_size
        return Variable("y", self.problem.dtype, length, "output", np.concatenate(begins), np.concatenate(tiles))

    def y_order(self) -> np.ndarray:
        """int64 [8-byte grains]: where in Y [mb][n_padded][b] each grain of the program's Y belongs."""
        grain = column_grain(self.problem.dtype)
        total = self.problem.block_grid[0] * self.problem.n_padded * self.problem.block_size // grain
        order = np.full(total, -1, dtype=np.int64)
        for number, part, width in self._parts():
            for begin, at, length in self._segments(number, part, width):
                order[expand(begin // grain, length // grain)] = expand(at // grain, length // grain)
        return order

    def _segments(self, number: int, part: int, width: int) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(begin in the program's Y, begin in Y [mb][n_padded][b], elements) of a part's rows, kind by kind."""
        problem, partition, group = self.problem, self.partition, self._group_of[part]
        work, b, first = group.work, problem.block_size, int(partition.part_first_tile[part])
        column, row = int(partition.n_bounds[number, part]), width * b

        def at(rows: np.ndarray) -> np.ndarray:
            return (rows * problem.n_padded + column) * b

        alone = np.flatnonzero(work.entry_sources == 1)
        begin = self.lone_begin(number)[first + work.entry_run[alone]] + group.lone_rank[alone] * row
        yield begin, at(work.entry_row[alone]), np.full(len(alone), row)
        entry, offset, length = dealt_pieces(work, width, problem)
        place = at(work.entry_row[entry]) + offset
        order = np.lexsort((place, work.entry_run[entry]))
        entry, length, place = entry[order], length[order], place[order]
        run = work.entry_run[entry]
        before = offsets_of(length)[:-1]
        within = before - before[np.searchsorted(run, run, side="left")]
        yield self.summed_begin(number)[first + run] + within, place, length
        none = np.flatnonzero(work.row_sources == 0)
        bounds = empty_bounds(work, int(self._part_tiles[part]))
        tile = np.searchsorted(bounds, np.arange(len(none)), side="right") - 1
        made = self._pass(number)
        start = (made.begin + made.lone + made.summed)[first + tile] + (np.arange(len(none)) - bounds[tile]) * row
        yield start, at(none), np.full(len(none), row)
