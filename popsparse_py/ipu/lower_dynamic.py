"""A dynamic plan's forward and grad-input passes as Programs: gather slices and buckets, multiply, propagate, sum.

Nothing in a Program depends on a pattern: buckets and the list of propagation operations are variables that are written
when a pattern is loaded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional

import numpy as np

from popsparse_planner.dynamic_plan import DynamicPlan

from .bucket_variables import LISTS, VALUES, Buckets
from .buffers import Buffers
from .control import While
from .frame_places import frame_places, gather_slices
from .lower_compute import TYPES
from .lowering import Lowering, numbered
from .packets import Packets, bucket_vertices
from .program import Compute, FieldSlices, Program, VertexSet


def lower_dynamic(plan: DynamicPlan, *, transposed: bool = False) -> Program:
    """The Program of the forward pass, or of grad-input, dX = W^T dY; PlanError if there is no plan to execute.

    Variables "x" and "y" are the operand and the result of the pass. Cycles of what depends on the pattern are 0.
    """
    plan.check_own()
    return _DynamicLowering(plan, transposed).run()


class _DynamicLowering(Lowering):
    """One pass while it is lowered."""

    def __init__(self, plan: DynamicPlan, transposed: bool) -> None:
        assert plan.draft is not None
        super().__init__(frame_places(plan.problem, plan.draft, plan.target.tiles, transposed=transposed), plan.target)
        self.draft, self.transposed = plan.draft, transposed
        self.buckets = Buckets(plan.frame, plan.layout, self.book)
        self.packets = Packets(self.buckets, self.book, plan.target.tiles)
        self._loop: Optional[While] = None

    def run(self) -> Program:
        """All serial passes."""
        self.add_tensors()
        for number in range(self.places.partition.num_passes):
            self._lower_pass(number)
        return self.program()

    def _lower_pass(self, number: int) -> None:
        places, problem = self.places, self.places.problem
        row_length = places.widths(number) * problem.block_size
        buffers: Dict[str, Buffers] = {
            "s": self.temp("x_slices", problem.dtype, places.num_cols * row_length),
            "q": self.products(number, row_length),
        }
        gather = gather_slices(places, self.draft.frame, buffers["s"], number, transposed=self.transposed)
        copies = [gather, *self.packets.reset()]
        self.exchange("gather", number, copies + (self.buckets.gather() if number == 0 else []))
        fields = {
            "q": FieldSlices(buffers["q"].name, buffers["q"].begin, places.num_rows * row_length),
            "s": FieldSlices(buffers["s"].name, buffers["s"].begin, places.num_cols * row_length),
        }
        control = self.packets.select_vertices() + self.packets.next_operation()
        self.compute("dot", number, [self._dot(fields), *control], "compute")
        if self.packets.exists:
            self._loop = self._loop or self.packets.loop((Compute("packet", self._arrival(fields)),))
            self.steps.append(replace(self._loop, name=numbered("propagate", number)))
        self.bring_home(number, buffers["q"], row_length)

    def _dot(self, fields: Dict[str, FieldSlices]) -> VertexSet:
        problem, columns = self.places.problem, self.draft.frame.columns
        kind, b = TYPES[problem.dtype], problem.block_size
        edges = {**fields, "r": self.buckets.slices(VALUES), "list": self.buckets.slices(LISTS)}
        scalars = {"numColumns": np.full(len(self.places.tile), columns)}
        if self.transposed:
            name = f"DynamicElementTransposed<{kind}>" if b == 1 else f"DynamicBlockTransposed<{kind},{b}>"
            scalars["numOutputs"] = self.places.num_rows
        elif b == 1:
            name = f"DynamicElementDot<{kind},{TYPES[problem.partials_dtype]}>"
            scalars["numGroups"] = np.full(len(self.places.tile), self.draft.n_groups)
        else:
            name = f"DynamicBlockDot<{kind},{TYPES[problem.partials_dtype]},{b}>"
        return bucket_vertices(f"popsparse_py::{name}", self.places.tile, edges, scalars, 0)

    def _arrival(self, fields: Dict[str, FieldSlices]) -> tuple[VertexSet, ...]:
        """After a delivery: the product of what arrived, the next packet, the next operation."""
        problem, packets = self.places.problem, self.packets
        edges = {
            **fields,
            "r": packets.slices(packets.arrived["values"], packets.sizes["values"] * self.draft.frame.qn),
            "list": packets.slices(packets.arrived["list"], packets.sizes["list"] * self.draft.frame.qn),
        }
        places = len(self.places.tile)
        scalars = {
            "numColumns": np.full(places, self.draft.frame.columns),
            "transposed": np.full(places, int(self.transposed)),
        }
        kinds = f"{TYPES[problem.dtype]},{TYPES[problem.partials_dtype]},{problem.block_size}"
        dot = bucket_vertices(f"popsparse_py::PacketDot<{kinds}>", self.places.tile, edges, scalars, 0)
        vertices: List[VertexSet] = [dot, *packets.select_vertices(), *packets.next_operation()]
        return tuple(vertices)
