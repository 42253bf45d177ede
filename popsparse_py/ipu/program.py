"""The program of an IPU as data: variables with their tiles, and steps that move or compute. Nothing here runs.

Everything is stored as NumPy columns, one row per copy or vertex, so that a million copies lower in about a second. The
same Program is run by the embedded model and can be built into a graph of the chip.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Dict, Mapping, Tuple, Union

import numpy as np

from popsparse_planner.errors import ProgramError
from popsparse_planner.layout import ALIGN_BYTES

from .control import If, Repeat, Switch, While, all_steps

ITEM_BYTES = {"float16": 2, "float32": 4, "uint16": 2, "uint32": 4}
ROLES = ("input", "values", "meta", "constant", "partials", "output", "temp")
TEMPORARY_ROLES = ("partials", "temp")  # live only while a step still needs their contents
COST_PARTS = ("compute", "reduce", "other")


def column(values: Any, dtype: type = np.int64) -> np.ndarray:
    """`values` as a read-only, contiguous, one-dimensional array of `dtype`, copied only where that is needed."""
    view: np.ndarray = np.ascontiguousarray(values, dtype=dtype).reshape(-1).view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, eq=False)
class Variable:
    """A tensor of `length` elements spread over tiles.

    begins: int64 [intervals], sorted, begins[0] == 0, each a multiple of 8 bytes; tiles: int32 [intervals].
    Interval i = elements [begins[i], begins[i + 1] or length) lies on tiles[i]. ProgramError if that is not so.
    """

    name: str
    dtype: str
    length: int
    role: str
    begins: np.ndarray
    tiles: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", int(self.length))
        object.__setattr__(self, "begins", column(self.begins))
        object.__setattr__(self, "tiles", column(self.tiles, np.int32))
        if self.dtype not in ITEM_BYTES:
            raise ProgramError(f"variable {self.name!r}: dtype {self.dtype!r}, expected one of {', '.join(ITEM_BYTES)}")
        if self.role not in ROLES:
            raise ProgramError(f"variable {self.name!r}: role {self.role!r}, expected one of {', '.join(ROLES)}")
        begins = self.begins
        if len(begins) != len(self.tiles) or not len(begins) or begins[0] != 0:
            raise ProgramError(f"variable {self.name!r}: expected intervals from element 0 on, each with a tile")
        if np.any(np.diff(begins) <= 0) or begins[-1] >= self.length:
            raise ProgramError(f"variable {self.name!r}: intervals must rise and none may be empty")
        odd = np.flatnonzero(begins * self.item_bytes % ALIGN_BYTES)
        if len(odd):
            raise ProgramError(
                f"variable {self.name!r} (tile {self.tiles[odd[0]]}): an interval begins at byte "
                f"{begins[odd[0]] * self.item_bytes}, expected a multiple of {ALIGN_BYTES}"
            )

    @property
    def item_bytes(self) -> int:
        """Bytes of an element."""
        return ITEM_BYTES[self.dtype]

    @property
    def temporary(self) -> bool:
        """Whether its memory may serve others when no step needs its contents."""
        return self.role in TEMPORARY_ROLES

    @cached_property
    def ends(self) -> np.ndarray:
        """int64 [intervals]: the element after each interval."""
        return np.append(self.begins[1:], self.length)

    def interval_of(self, element: np.ndarray) -> np.ndarray:
        """The interval that holds each element of the variable."""
        return np.searchsorted(self.begins, element, side="right") - 1

    def tile_of(self, element: np.ndarray) -> np.ndarray:
        """int32: the tile of each element of the variable."""
        tiles: np.ndarray = self.tiles[self.interval_of(element)]
        return tiles

    def bytes_per_tile(self, num_tiles: int) -> np.ndarray:
        """int64 [tiles]: bytes of its intervals, each rounded up to 8."""
        sizes = -(-(self.ends - self.begins) * self.item_bytes // ALIGN_BYTES) * ALIGN_BYTES
        return np.bincount(self.tiles, weights=sizes, minlength=num_tiles).astype(np.int64)


@dataclass(frozen=True, eq=False)
class CopySet:
    """Copies from one variable to another, int64 columns in elements; each lies inside one interval on both sides.

    paired: tiles 2i and 2i + 1 receive the same in this set, and can share a stream of the exchange.
    """

    source: str
    destination: str
    source_begin: np.ndarray
    destination_begin: np.ndarray
    length: np.ndarray
    paired: bool = False

    def __post_init__(self) -> None:
        for name in ("source_begin", "destination_begin", "length"):
            object.__setattr__(self, name, column(getattr(self, name)))
        if not len(self.source_begin) == len(self.destination_begin) == len(self.length):
            raise ProgramError(f"copies from {self.source!r} to {self.destination!r}: columns of different lengths")


@dataclass(frozen=True, eq=False)
class Exchange:
    """Copies that all happen at the same time.

    passing_bytes: float64 [tiles] or empty, multicasts to its neighbours that a tile lets pass (they cost it time).
    """

    name: str
    copies: Tuple[CopySet, ...]
    passing_bytes: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "passing_bytes", column(self.passing_bytes, np.float64))

    @property
    def num_copies(self) -> int:
        """Copies of all sets."""
        return sum(len(one.length) for one in self.copies)


@dataclass(frozen=True, eq=False)
class FieldSlices:
    """An edge of every vertex of a set: vertex i sees length[i] elements of `variable` from begin[i] (int64)."""

    variable: str
    begin: np.ndarray
    length: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", column(self.begin))
        object.__setattr__(self, "length", column(self.length))


@dataclass(frozen=True, eq=False)
class VertexSet:
    """Instances of one codelet, one per row: its tile (int32), edges, scalar fields (int64) and cycles (int64)."""

    vertex: str
    tile: np.ndarray
    fields: Mapping[str, FieldSlices]
    scalars: Mapping[str, np.ndarray]
    cycles: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "tile", column(self.tile, np.int32))
        object.__setattr__(self, "cycles", column(self.cycles))
        object.__setattr__(self, "scalars", {name: column(values) for name, values in self.scalars.items()})
        columns = {name: len(values) for name, values in self.scalars.items()}
        columns["cycles"] = len(self.cycles)
        for name, slices in self.fields.items():
            columns[name], columns[f"length of {name}"] = len(slices.begin), len(slices.length)
        wrong = [name for name, length in columns.items() if length != len(self.tile)]
        if wrong:
            raise ProgramError(f"{self.vertex}: expected {len(self.tile)} rows, as tiles, in {', '.join(wrong)}")


@dataclass(frozen=True, eq=False)
class Compute:
    """Vertices that all run at the same time; part: of the Cost that they count in, one of COST_PARTS."""

    name: str
    vertices: Tuple[VertexSet, ...]
    part: str = "compute"

    @property
    def num_vertices(self) -> int:
        """Vertices of all sets."""
        return sum(len(one.tile) for one in self.vertices)


Step = Union[Exchange, Compute, Repeat, While, If, Switch]


@dataclass(frozen=True, eq=False)
class Program:
    """What an IPU executes in one call.

    constants: contents of each variable of role "constant", written when the program is built. reserved_bytes: int64
    [tiles], bytes of code, vertex state and exchange code on each tile. block_size: of the blocks in whose order the
    input and output lie; column_parts: parts of n that tiles take, in all passes; strided: input and output lie in the
    order of all columns, so that such a part is a strided piece of them. Raises ProgramError that names step,
    variable and tile if a rule of the data is broken; what only the machine can see (write conflicts, memory) is
    checked by the model.
    """

    num_tiles: int
    variables: Mapping[str, Variable]
    steps: Tuple[Step, ...]
    constants: Mapping[str, np.ndarray]
    reserved_bytes: np.ndarray
    block_size: int = 1
    column_parts: int = 1
    strided: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "reserved_bytes", column(self.reserved_bytes))
        object.__setattr__(self, "steps", tuple(self.steps))
        if len(self.reserved_bytes) != self.num_tiles:
            raise ProgramError(f"reserved bytes of {len(self.reserved_bytes)} tiles, the program has {self.num_tiles}")
        for variable in self.variables.values():
            self._check_variable(variable)
        for step in all_steps(self.steps):
            if isinstance(step, Exchange):
                for copies in step.copies:
                    self._check_copies(step.name, copies)
            elif isinstance(step, Compute):
                for vertices in step.vertices:
                    self._check_vertices(step, vertices)
            elif not isinstance(step, Repeat):
                self._check_decision(step)

    def _check_variable(self, variable: Variable) -> None:
        if self.variables.get(variable.name) is not variable:
            raise ProgramError(f"variable {variable.name!r} is listed under another name")
        if variable.tiles.min() < 0 or variable.tiles.max() >= self.num_tiles:
            raise ProgramError(f"variable {variable.name!r}: tiles must lie in [0, {self.num_tiles})")
        if (variable.role == "constant") != (variable.name in self.constants):
            raise ProgramError(f"variable {variable.name!r} ({variable.role}): constants, and only they, have contents")
        if variable.role == "constant":
            contents = self.constants[variable.name]
            if len(contents) != variable.length or contents.dtype != variable.dtype:
                raise ProgramError(
                    f"constant {variable.name!r}: expected {variable.length} elements of {variable.dtype}, "
                    f"got {len(contents)} of {contents.dtype}"
                )

    def _variable(self, step: str, name: str) -> Variable:
        if name not in self.variables:
            raise ProgramError(f"step {step!r} names variable {name!r}, which the program does not have")
        return self.variables[name]

    def _check_inside(self, what: str, variable: Variable, begin: np.ndarray, length: np.ndarray) -> np.ndarray:
        """The interval of each slice; ProgramError for the first that is not inside one."""
        interval = variable.interval_of(begin)
        ends = variable.ends[np.maximum(interval, 0)]
        wrong = np.flatnonzero((interval < 0) | (begin + length > ends) | (length <= 0))
        if len(wrong):
            row = int(wrong[0])
            tile = int(variable.tiles[max(int(interval[row]), 0)])
            raise ProgramError(
                f"{what}, row {row}: [{begin[row]}, {begin[row] + length[row]}) of variable {variable.name!r} must lie "
                f"inside one interval (tile {tile})"
            )
        return interval

    def _check_copies(self, step: str, copies: CopySet) -> None:
        source, destination = self._variable(step, copies.source), self._variable(step, copies.destination)
        if source.dtype != destination.dtype:
            raise ProgramError(
                f"exchange {step!r}: {source.name!r} is {source.dtype}, {destination.name!r} is {destination.dtype}"
            )
        what = f"exchange {step!r}"
        self._check_inside(what, source, copies.source_begin, copies.length)
        self._check_inside(what, destination, copies.destination_begin, copies.length)
        if copies.paired:
            _check_pairs(what, copies, destination.tile_of(copies.destination_begin))

    def _check_decision(self, step: Union[While, If, Switch]) -> None:
        variable = self._variable(step.name, step.variable)
        if not variable.dtype.startswith("uint"):
            raise ProgramError(
                f"step {step.name!r} decides by {variable.name!r}, which is {variable.dtype}, no integer"
            )

    def _check_vertices(self, step: Compute, vertices: VertexSet) -> None:
        if step.part not in COST_PARTS:
            raise ProgramError(f"compute {step.name!r}: part {step.part!r}, expected one of {', '.join(COST_PARTS)}")
        for name, slices in vertices.fields.items():
            what = f"compute {step.name!r}, {vertices.vertex}, field {name!r}"
            variable = self._variable(step.name, slices.variable)
            interval = self._check_inside(what, variable, slices.begin, slices.length)
            away = np.flatnonzero(variable.tiles[interval] != vertices.tile)
            if len(away):
                row = int(away[0])
                raise ProgramError(
                    f"{what}, row {row}: the vertex is on tile {vertices.tile[row]}, its slice of "
                    f"{variable.name!r} on tile {variable.tiles[interval[row]]}"
                )

    def always_live_bytes(self) -> np.ndarray:
        """int64 [tiles]: reserved bytes and all variables that are never freed."""
        kept = [v.bytes_per_tile(self.num_tiles) for v in self.variables.values() if not v.temporary]
        total: np.ndarray = sum(kept, self.reserved_bytes)
        return total

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe summary: variables and steps with their counts, not the columns themselves."""
        return {
            "num_tiles": self.num_tiles,
            "reserved_bytes": int(self.reserved_bytes.sum()),
            "variables": [
                {
                    "name": v.name,
                    "dtype": v.dtype,
                    "role": v.role,
                    "length": v.length,
                    "intervals": len(v.begins),
                    "largest_tile_bytes": int(v.bytes_per_tile(self.num_tiles).max()),
                }
                for v in self.variables.values()
            ],
            "steps": [_step_summary(step, self.variables) for step in all_steps(self.steps)],
        }

    def __str__(self) -> str:
        fields = self.to_dict()
        lines = [f"program on {self.num_tiles} tiles"]
        lines.append(f"{'variable':<22}{'dtype':<9}{'role':<10}{'elements':>14}{'B on a tile':>14}")
        lines += [
            f"{v['name']:<22}{v['dtype']:<9}{v['role']:<10}{v['length']:>14,}{v['largest_tile_bytes']:>14,}"
            for v in fields["variables"]
        ]
        lines.append(f"{'step':<22}{'kind':<10}{'what':<42}{'rows':>10}")
        for step in fields["steps"]:
            for row in step["rows"]:
                lines.append(f"{step['name']:<22}{step['kind']:<10}{row['what']:<42}{row['count']:>10,}")
        return "\n".join(lines)


def _check_pairs(what: str, copies: CopySet, to_tile: np.ndarray) -> None:
    """ProgramError unless tiles 2i and 2i + 1 receive the same pieces."""
    columns = np.stack([to_tile // 2, copies.source_begin, copies.length])
    even, odd = (columns[:, to_tile % 2 == side] for side in (0, 1))
    if not all(np.array_equal(a, b) for a, b in zip(*(part[:, np.lexsort(part[::-1])] for part in (even, odd)))):
        raise ProgramError(
            f"{what}: {copies.source!r} is said to go to tiles in pairs, but neighbours receive differently"
        )


def _step_summary(step: Step, variables: Mapping[str, Variable]) -> Dict[str, Any]:
    if isinstance(step, (Repeat, While, If, Switch)):
        rows = [{"what": ", ".join(inner.name for inner in body), "count": len(body)} for body in step.bodies]
        return {"name": step.name, "kind": type(step).__name__.lower(), "rows": rows}
    if isinstance(step, Exchange):
        rows = [
            {
                "what": f"{one.source} -> {one.destination}",
                "count": len(one.length),
                "bytes": int(one.length.sum()) * variables[one.source].item_bytes,
            }
            for one in step.copies
        ]
        return {"name": step.name, "kind": "exchange", "rows": rows}
    vertices = [
        {"what": one.vertex, "count": len(one.tile), "largest_cycles": int(one.cycles.max(initial=0))}
        for one in step.vertices
    ]
    return {"name": step.name, "kind": step.part, "rows": vertices}
