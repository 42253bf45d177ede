"""The vertices of one serial pass: products, zeros, casts and sums, with their work lists."""

from __future__ import annotations

from typing import Dict, List, Mapping, Tuple

import numpy as np

from popsparse_planner.problem import column_grain

from .buffers import Buffers, VariableBook
from .counted import vertex_cycles
from .lower_exchange import empty_rows, value_slices
from .lower_reduce import Reduction
from .places import Places
from .program import FieldSlices, VertexSet, column
from .work_lists import DotLists, dot_lists, reduce_list

TYPES = {"float16": "half", "float32": "float"}


def vertex_set(
    book: VariableBook,
    vertex: str,
    tile: np.ndarray,
    fields: Dict[str, FieldSlices],
    scalars: Dict[str, np.ndarray],
) -> VertexSet:
    """Vertices with the cycles that their own work lists and counts give."""
    return VertexSet(vertex, tile, fields, scalars, vertex_cycles(vertex, fields, scalars, book.constants))


class DotVertices:
    """Products of all passes; their work lists are made once per group and number of columns."""

    def __init__(self, places: Places, book: VariableBook) -> None:
        self.places, self.book = places, book
        problem = places.problem
        size = f",{problem.block_size}" if problem.block_size > 1 else ""
        kind = "StaticBlockDot" if problem.block_size > 1 else "StaticElementDot"
        self.vertex = f"popsparse_py::{kind}<{TYPES[problem.dtype]},{TYPES[problem.partials_dtype]}{size}>"
        broadcast = places.partition.values == "broadcast"
        self._shift = value_slices(places)[2] if broadcast else np.zeros(len(places.part), dtype=np.int64)
        self._columns = [group.local_columns(places.pattern) for group in places.groups]
        self._lists: Dict[Tuple[int, int], Tuple[str, DotLists, np.ndarray]] = {}

    def of_pass(self, number: int, buffers: Mapping[str, Buffers], value_length: np.ndarray) -> List[VertexSet]:
        """One set per group and width. buffers: x_slices, values and partials of every place; value_length: int64
        [places], elements of its values."""
        sets = []
        for index, group in enumerate(self.places.groups):
            widths = np.diff(self.places.partition.n_bounds[number])[group.parts]
            for width in np.unique(widths[widths > 0]):
                sets += self._of_width(index, int(width), np.flatnonzero(widths == width), buffers, value_length)
        return sets

    def _of_width(
        self, index: int, width: int, members: np.ndarray, buffers: Mapping[str, Buffers], value_length: np.ndarray
    ) -> List[VertexSet]:
        """members: int64, which parts of group `index` have `width` columns."""
        places, b = self.places, self.places.problem.block_size
        group = places.groups[index]
        runs = np.flatnonzero(group.work.num_blocks)
        if not len(runs):
            return []
        name, lists, rank = self._lists_of(index, width)
        list_begin = rank[members][:, None] * len(lists.data) + lists.begin[runs]
        place = (group.first_place[members][:, None] + runs).ravel()
        lengths = {
            "partials": places.num_rows[place] * width * b,
            "x_slices": places.num_cols[place] * width * b,
            "values": value_length[place],
        }
        fields = {
            field: FieldSlices(buffers[buffer].name, buffers[buffer].begin[place], lengths[buffer])
            for field, buffer in (("q", "partials"), ("s", "x_slices"), ("r", "values"))
        }
        fields["workList"] = FieldSlices(name, list_begin.ravel(), np.tile(lists.length[runs], len(members)))
        scalars = {"numColumns": np.full(len(place), width, dtype=np.int64)}
        return [vertex_set(self.book, self.vertex, places.tile[place], fields, scalars)]

    def _lists_of(self, index: int, width: int) -> Tuple[str, DotLists, np.ndarray]:
        """(variable, lists of one part, int64 [parts]: which copy of them each part of the group has)."""
        if (index, width) not in self._lists:
            self._lists[index, width] = self._make_lists(index, width)
        return self._lists[index, width]

    def _make_lists(self, index: int, width: int) -> Tuple[str, DotLists, np.ndarray]:
        places, group = self.places, self.places.groups[index]
        runs = group.work.cut.num_runs
        shift = self._shift[group.first_place[0] : group.first_place[0] + runs]
        lists = dot_lists(places.problem, group, self._columns[index], width, shift)
        uses = (np.diff(places.partition.n_bounds, axis=1)[:, group.parts] == width).any(axis=0)
        rank, owners = np.cumsum(uses) - 1, group.first_place[uses]
        used = np.flatnonzero(lists.length)
        begins = (np.arange(len(owners))[:, None] * len(lists.data) + lists.begin[used]).ravel()
        tiles = places.tile[(owners[:, None] + used).ravel()]
        name = self.book.aligned_lists("work_lists", begins, tiles, np.tile(lists.data, len(owners)))
        return name, lists, rank


def zero_vertices(places: Places, book: VariableBook, number: int) -> List[VertexSet]:
    """Zeros for the rows of Y that no tile computes."""
    begin, length = empty_rows(places, number)
    if not len(begin):
        return []
    tile = book.variables["y"].tile_of(begin)
    vertex = f"popsparse_py::Zero<{TYPES[places.problem.dtype]}>"
    return [vertex_set(book, vertex, tile, {"out": FieldSlices("y", begin, length)}, {"count": column(length)})]


def cast_vertices(
    places: Places, book: VariableBook, partials: Buffers, begin: np.ndarray, casts: Buffers, size: np.ndarray
) -> List[VertexSet]:
    """Partials to the data type: size[i] elements of each place i from begin[i] on; int64 [places]."""
    used = np.flatnonzero(size)
    if not len(used):
        return []
    problem = places.problem
    fields = {
        "in": FieldSlices(partials.name, begin[used], size[used]),
        "out": FieldSlices(casts.name, casts.begin[used], size[used]),
    }
    vertex = f"popsparse_py::Cast<{TYPES[problem.partials_dtype]},{TYPES[problem.dtype]}>"
    return [vertex_set(book, vertex, places.tile[used], fields, {"count": size[used]})]


def reduce_vertices(places: Places, book: VariableBook, reduction: Reduction) -> List[VertexSet]:
    """One vertex for each stretch of results that an owner sums: a vertex's output must be all its own."""
    segments, problem = reduction.segments, places.problem
    owner, length, begin = segments.owner, segments.length, reduction.out_begin
    if not len(owner):
        return []
    breaks = (owner[1:] != owner[:-1]) | (begin[1:] != begin[:-1] + length[:-1])
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    counts = np.diff(np.append(first, len(owner)))
    last = first + counts - 1
    tile = reduction.owner_tile[owner[first]]
    data = reduce_list(begin - np.repeat(begin[first], counts), length, segments.sources, column_grain(problem.dtype))
    lists = book.lists("reduce_lists", 3 * counts, tile, data)
    input_begin = reduction.input_begin[first]
    input_end = reduction.input_begin[last] + (length * segments.sources)[last]
    fields = {
        "partials": FieldSlices(reduction.inputs.name, input_begin, input_end - input_begin),
        "out": FieldSlices(reduction.out, begin[first], begin[last] + length[last] - begin[first]),
        "workList": FieldSlices(lists.name, lists.begin, 3 * counts),
    }
    vertex = f"popsparse_py::ReducePartials<{TYPES[problem.partials_dtype]},{TYPES[problem.dtype]}>"
    return [vertex_set(book, vertex, tile, fields, {"numSegments": counts})]
