"""What lowering static and dynamic plans share: variables and steps while they are made, partials brought home."""

from __future__ import annotations

from typing import List, Sequence, Tuple, Union

import numpy as np

from popsparse_planner.bucket_layout import PACKET_VERTEX_BYTES
from popsparse_planner.layout import VERTEX_BYTES, aligned
from popsparse_planner.target import Target

from .buffers import Buffers, VariableBook
from .control import all_steps
from .lower_compute import cast_vertices, reduce_vertices
from .lower_exchange import lone_rows
from .lower_reduce import lower_reduction
from .places import Places
from .program import Compute, CopySet, Exchange, Program, Step, VertexSet


class Lowering:
    """Steps and variables of one program while they are made."""

    def __init__(self, places: Places, target: Target) -> None:
        self.places, self.target = places, target
        self.book = VariableBook()
        self.steps: List[Step] = []

    def program(self) -> Program:
        """The program of all steps so far."""
        return Program(
            num_tiles=self.places.num_tiles,
            variables=self.book.variables,
            steps=tuple(self.steps),
            constants=self.book.constants,
            reserved_bytes=_reserved_bytes(self.target, self.book, self.steps),
            block_size=self.places.problem.block_size,
            column_parts=self.places.partition.column_parts,
            strided=self.places.partition.homes == "linear",
        )

    def add_tensors(self) -> None:
        """X and Y, where the partition keeps them."""
        places, dtype = self.places, self.places.problem.dtype
        if places.part_homes is None:
            self.book.tensor("x", dtype, "input", places.x_home)
            self.book.tensor("y", dtype, "output", places.y_home)
        else:
            self.book.variables.update(x=places.part_homes.x_variable(), y=places.part_homes.y_variable())

    def products(self, number: int, row_length: np.ndarray) -> Buffers:
        """Where the products of a pass are written: to partials, or straight to Y."""
        places, problem = self.places, self.places.problem
        if places.in_place and problem.dtype == problem.partials_dtype:
            return places.kept_rows(number)
        return self.temp("partials", problem.partials_dtype, places.num_rows * row_length, "partials")

    def temp(self, name: str, dtype: str, sizes: np.ndarray, role: str = "temp") -> Buffers:
        """One buffer of sizes[i] elements for each place i, for as long as a step needs it."""
        return self.book.buffers(name, dtype, role, sizes, self.places.tile)

    def exchange(
        self, name: str, number: int, copies: Sequence[CopySet], passing_bytes: Union[Tuple[()], np.ndarray] = ()
    ) -> None:
        """A step of those copies that move something, in serial pass `number`; passing_bytes: see Exchange."""
        moving = tuple(one for one in copies if len(one.length))
        if moving:
            self.steps.append(Exchange(numbered(name, number), moving, np.asarray(passing_bytes)))

    def compute(self, name: str, number: int, vertices: Sequence[VertexSet], part: str) -> None:
        """A step of these vertices, if there are any, in serial pass `number`."""
        if vertices:
            self.steps.append(Compute(numbered(name, number), tuple(vertices), part))

    def bring_home(self, number: int, partials: Buffers, row_length: np.ndarray) -> None:
        """Cast, exchange and sum partials until Y is at home; row_length: int64 [places], elements of a row."""
        lone, first_row = self._cast(number, partials, row_length)
        if self.places.in_place:
            return
        reduction = lower_reduction(self.places, self.book, partials, number)
        self.exchange("partials", number, [lone_rows(self.places, lone, first_row, number), reduction.collect])
        self.compute("reduce", number, reduce_vertices(self.places, self.book, reduction), "reduce")
        self.exchange("move", number, [reduction.move])

    def _cast(self, number: int, partials: Buffers, row_length: np.ndarray) -> Tuple[Buffers, np.ndarray]:
        """Where rows that no tile shares are read from in the data type: (buffers, first row held, int64 [places])."""
        places, problem = self.places, self.places.problem
        if problem.dtype == problem.partials_dtype:
            return partials, np.zeros(len(places.part), dtype=np.int64)
        low, high = np.zeros(len(places.part), dtype=np.int64), np.full(len(places.part), -1, dtype=np.int64)
        for group in places.groups:
            first, last = group.lone_rows()
            for place in group.first_place:
                low[place : place + len(first)], high[place : place + len(first)] = first, last
        size = (high - low + 1) * row_length
        casts = places.kept_rows(number) if places.in_place else self.temp("casts", problem.dtype, size)
        vertices = cast_vertices(places, self.book, partials, partials.begin + low * row_length, casts, size)
        self.compute("cast", number, vertices, "reduce")
        return casts, low


def numbered(name: str, number: int) -> str:
    """Step name: the serial pass is added from the second one on."""
    return f"{name}.{number}" if number else name


def _reserved_bytes(target: Target, book: VariableBook, steps: List[Step]) -> np.ndarray:
    """int64 [tiles]: code, exchange code of every received piece, state of every vertex."""
    tiles = target.tiles
    pieces, vertices = np.zeros(tiles, dtype=np.int64), np.zeros(tiles, dtype=np.int64)
    for step in all_steps(tuple(steps)):
        if isinstance(step, Exchange):
            for copies in step.copies:
                to = book.variables[copies.destination].tile_of(copies.destination_begin)
                pieces += np.bincount(to, minlength=tiles)
        elif isinstance(step, Compute):
            for one in step.vertices:
                vertices += _vertex_bytes(one.vertex) * np.bincount(one.tile, minlength=tiles)
    exchange = np.ceil(pieces * target.model["exchange_code_bytes_per_fragment"]).astype(np.int64)
    reserved: np.ndarray = aligned(exchange + vertices) + int(target.model["code_bytes"])
    return reserved


def _vertex_bytes(vertex: str) -> int:
    name = vertex.split("::")[-1].split("<")[0]
    if name.startswith("Packet") or name == "NextOperation":
        return PACKET_VERTEX_BYTES
    return VERTEX_BYTES[{"ReducePartials": "reduce", "Cast": "cast", "Zero": "zero"}.get(name, "dot")]
