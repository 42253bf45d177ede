"""Propagation in a program: packets, the prepared exchanges that move them, and the loop that chooses among these.

Each round of the loop makes one operation of the list that was loaded with the pattern: a hop, a delivery with the
product that follows, or (grad-weight) the store of results that came back. Cursors advance by a copy within the next
exchange, so no vertex reads what another one writes.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from popsparse_planner.bucket_cycles import BUCKET_VERTEX_CYCLES
from popsparse_planner.bucket_layout import CURSOR_FIELDS, BucketLayout, most_operations
from popsparse_planner.dynamic.frame import Frame
from popsparse_planner.dynamic.propagation import BUFFERS, num_shifts

from .bucket_variables import LISTS, VALUES, Buckets, gather_shares, shared_variable
from .buffers import Buffers, VariableBook
from .control import Switch, While
from .lower_compute import TYPES
from .program import Compute, CopySet, Exchange, FieldSlices, Step, Variable, VertexSet

OPERATIONS, OPERATION = "operations", "operation"
_PLACE_WORDS = 2


def bucket_vertices(
    vertex: str, tile: np.ndarray, fields: Dict[str, FieldSlices], scalars: Dict[str, np.ndarray], cycles: int
) -> VertexSet:
    """Vertices of one cost each."""
    return VertexSet(vertex, tile, fields, scalars, np.full(len(tile), cycles, dtype=np.int64))


def control_cycles(name: str) -> int:
    """Cycles of a control vertex."""
    return int(BUCKET_VERTEX_CYCLES[f"popsparse_py::{name}"]())


class Packets:
    """Variables and steps of propagation of one program; none where a single cell holds everything."""

    def __init__(self, buckets: Buckets, book: VariableBook, num_tiles: int, *, with_values: bool = True) -> None:
        self.frame: Frame = buckets.frame
        self.layout: BucketLayout = buckets.layout
        self.buckets, self.book = buckets, book
        self.exists = self.frame.num_cells > 1
        self.tiles = np.arange(self.frame.num_tiles, dtype=np.int64)
        if self.exists:
            self._add_packets()
            self._add_control(num_tiles)

    def _add_packets(self) -> None:
        layout, places = self.layout, self.frame.num_tiles
        kinds = (("list", "uint16", "meta", layout.packet_list_share), ("values", layout.dtype, "values", 0))
        sizes = {"list": layout.packet_list_share, "values": layout.packet_value_share}
        self.sizes = sizes
        self.out: Dict[Tuple[str, int], Buffers] = {}
        self.arrived: Dict[str, Buffers] = {}
        for name, dtype, role, _ in kinds:
            for buffer in range(BUFFERS):
                self.out[name, buffer] = shared_variable(
                    self.book, f"packet_{name}_{buffer}", dtype, role, sizes[name], places
                )
            whole = sizes[name] * self.frame.qn
            self.arrived[name] = shared_variable(self.book, f"arrived_{name}", dtype, role, whole, places)
        words = len(CURSOR_FIELDS)
        self.cursor = shared_variable(self.book, "cursor", "uint32", "meta", words, places)
        self.next_cursor = shared_variable(self.book, "next_cursor", "uint32", "meta", words, places)
        zeros = np.zeros(words * places, dtype=np.uint32)
        self.first_cursor = shared_variable(self.book, "first_cursor", "uint32", "constant", words, places)
        zeros.setflags(write=False)
        self.book.constants["first_cursor"] = zeros

    def _add_control(self, num_tiles: int) -> None:
        """The list of operations, on the last tile, and where the loop stands in it."""
        self.control_tile = num_tiles - 1
        tile, zero = np.array([self.control_tile], dtype=np.int32), np.zeros(1, dtype=np.int64)
        variables = [
            (OPERATIONS, "uint16", "meta", most_operations(self.frame.num_cells)),
            (OPERATION, "uint32", "meta", _PLACE_WORDS),
        ]
        variables += [(name, "uint32", "meta", _PLACE_WORDS) for name in ("place", "next_place")]
        variables.append(("first_place", "uint32", "constant", _PLACE_WORDS))
        for name, dtype, role, length in variables:
            self.book.variables[name] = Variable(name, dtype, length, role, zero, tile)
        start = np.zeros(_PLACE_WORDS, dtype=np.uint32)
        start.setflags(write=False)
        self.book.constants["first_place"] = start

    # --- copies ------------------------------------------------------------------------------------------------------

    def reset(self) -> List[CopySet]:
        """Cursors and the list of operations to their beginning."""
        if not self.exists:
            return []
        return [self._all("first_cursor", "cursor", len(CURSOR_FIELDS)), self.move_on("first_place")]

    def _all(self, source: str, destination: str, share: int) -> CopySet:
        begin = self.tiles * share
        return CopySet(source, destination, begin, begin, np.full(len(begin), share))

    def move_on(self, source: str = "next_place") -> CopySet:
        zero = np.zeros(1, dtype=np.int64)
        return CopySet(source, "place", zero, zero, np.array([_PLACE_WORDS]))

    def advance_cursor(self) -> CopySet:
        """The copy that moves every cursor past its step."""
        return self._all("next_cursor", "cursor", len(CURSOR_FIELDS))

    def delivery(self, shift: int, buffer: int) -> List[CopySet]:
        """Whole packets from `buffer` to every tile of the cell `shift` further."""
        return [
            gather_shares(self.frame, self.out[name, buffer].name, size, self.arrived[name], shift)
            for name, size in self.sizes.items()
        ]

    def hop(self, shift: int, buffer: int) -> List[CopySet]:
        """Shares of packets from `buffer` to the other one, `shift` cells further, each to the same part of n."""
        cells = self.frame.num_cells
        to = self.tiles // cells * cells + (self.tiles % cells + shift) % cells
        return [
            CopySet(
                self.out[name, buffer].name,
                self.out[name, 1 - buffer].name,
                self.tiles * size,
                to * size,
                np.full(len(to), size),
            )
            for name, size in self.sizes.items()
        ]

    # --- vertices ----------------------------------------------------------------------------------------------------

    def slices(self, variable: Buffers, share: int) -> FieldSlices:
        """`share` elements of a shared variable for each place."""
        return FieldSlices(variable.name, variable.begin, np.full(len(self.tiles), share))

    def select_vertices(self) -> List[VertexSet]:
        """Every tile takes its share of its bucket's packet of this step into buffer 0, and finds the next one."""
        if not self.exists:
            return []
        layout, part = self.layout, self.tiles // self.frame.num_cells
        cursor = self.slices(self.cursor, len(CURSOR_FIELDS))
        name = f"PacketSelect<{TYPES[layout.dtype]}>"
        fields = {
            "list": self.buckets.slices(LISTS),
            "r": self.buckets.slices(VALUES),
            "cursor": cursor,
            "outList": self.slices(self.out["list", 0], self.sizes["list"]),
            "outValues": self.slices(self.out["values", 0], self.sizes["values"]),
        }
        scalars = {
            "firstEntry": part * self.sizes["list"],
            "firstValue": part * self.sizes["values"],
            "listShare": np.full(len(part), self.sizes["list"]),
            "valueShare": np.full(len(part), self.sizes["values"]),
            "blockElements": np.full(len(part), layout.block_size**2),
        }
        cost = int(BUCKET_VERTEX_CYCLES[f"popsparse_py::{name}"](layout.packet_bytes))
        select = bucket_vertices(f"popsparse_py::{name}", self.tiles, fields, scalars, cost)
        after = {"list": fields["list"], "cursor": cursor, "next": self.slices(self.next_cursor, len(CURSOR_FIELDS))}
        advance = bucket_vertices("popsparse_py::PacketAdvance", self.tiles, after, {}, control_cycles("PacketAdvance"))
        return [select, advance]

    def next_operation(self) -> List[VertexSet]:
        """The vertex that reads the next operation from the list."""
        if not self.exists:
            return []
        zero = np.zeros(1, dtype=np.int64)
        lengths = dict.fromkeys(("place", "next", "operation"), _PLACE_WORDS)
        lengths["operations"] = most_operations(self.frame.num_cells)
        names = {"operations": OPERATIONS, "place": "place", "next": "next_place", "operation": OPERATION}
        fields = {field: FieldSlices(names[field], zero, np.array([length])) for field, length in lengths.items()}
        tile = np.array([self.control_tile])
        return [bucket_vertices("popsparse_py::NextOperation", tile, fields, {}, control_cycles("NextOperation"))]

    # --- steps -------------------------------------------------------------------------------------------------------

    def loop(self, arrival: Sequence[Step], last: Sequence[Tuple[Step, ...]] = ()) -> While:
        """The loop; arrival: steps after a delivery, which read the next operation; last: further cases.

        The exchange of a delivery moves the list of operations on, and the cursors too unless `last` has cases that do.
        """
        moves = [] if last else [self.advance_cursor()]
        read_next = Compute("next operation", tuple(self.next_operation()), "other")
        cases: List[Tuple[Step, ...]] = [()]
        for bit in range(num_shifts(self.frame.num_cells)):
            for buffer in range(BUFFERS):
                copies = (*self.hop(1 << bit, buffer), self.move_on())
                cases.append((Exchange(f"hop {1 << bit}.{buffer}", copies), read_next))
        for bit in range(num_shifts(self.frame.num_cells)):
            for buffer in range(BUFFERS):
                copies = (*self.delivery(1 << bit, buffer), *moves, self.move_on())
                cases.append((Exchange(f"deliver {1 << bit}.{buffer}", copies), *arrival))
        cases.extend(last)
        return While("propagate", OPERATION, (Switch("operation", OPERATION, tuple(cases)),))
