"""A dynamic plan's grad-weight pass as a Program: dW = dY X^T at the blocks of W, in the order of the bucket's values.

Both operands are gathered, every tile sums over its own columns, and the tiles of a cell add their sums up where each
value lives. The gradient of a block that is stored away from its cell is made at the cell and travels back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from popsparse_planner.bucket_cycles import BUCKET_VERTEX_CYCLES
from popsparse_planner.dynamic.propagation import BUFFERS
from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.layout import U16_MAX
from popsparse_planner.problem import column_grain

from .bucket_variables import LISTS, Buckets, shared_variable
from .buffers import Buffers
from .control import While
from .frame_places import frame_places, gather_slices
from .lower_compute import TYPES, vertex_set
from .lower_exchange import gather_x
from .lowering import Lowering, numbered
from .packets import Packets, bucket_vertices
from .program import Compute, CopySet, Exchange, FieldSlices, Program, Step, VertexSet
from .work_lists import reduce_list

GRADS = "gradients"


def lower_weight(plan: DynamicPlan) -> Program:
    """The Program of grad-weight; PlanError if there is no plan to execute.

    Inputs "x" and "dy", result "gradients" in the shares of the buckets' values. Cycles of what depends on the pattern
    are 0.
    """
    plan.check_own()
    return _WeightLowering(plan).run()


class _WeightLowering(Lowering):
    """The pass while it is lowered."""

    def __init__(self, plan: DynamicPlan) -> None:
        assert plan.draft is not None
        tiles = plan.target.tiles
        super().__init__(frame_places(plan.problem, plan.draft, tiles), plan.target)
        self.backward = frame_places(plan.problem, plan.draft, tiles, transposed=True)
        self.frame, self.layout = plan.frame, plan.layout
        self.buckets = Buckets(plan.frame, plan.layout, self.book)
        self.packets = Packets(self.buckets, self.book, tiles)
        self._loop: Optional[While] = None
        self.kind, self.all = TYPES[plan.problem.dtype], np.arange(plan.frame.num_tiles, dtype=np.int64)

    def run(self) -> Program:
        """All serial passes, one after the other into the same sums."""
        book, layout, dtype = self.book, self.layout, self.places.problem.dtype
        for name, places in (("x", self.places), ("dy", self.backward)):
            if places.part_homes is None:
                book.tensor(name, dtype, "input", places.x_home)
            else:
                book.variables[name] = replace(places.part_homes.x_variable(), name=name)
        self.grads = shared_variable(book, GRADS, dtype, "output", layout.value_share, self.frame.num_tiles)
        self.sums = self.temp("gradient_sums", "float32", np.full(len(self.all), layout.value_length), "partials")
        for number in range(self.frame.passes):
            self._multiply(number)
            if self.packets.exists:
                self._loop = self._loop or self._propagation()
                self.steps.append(replace(self._loop, name=numbered("propagate", number)))
        self._sum_up("gradient_inputs", self.sums, layout.value_share, self.grads, self.steps)
        return self.program()

    def _slices(self, number: int) -> Dict[str, Buffers]:
        widths = self.places.widths(number) * self.places.problem.block_size
        dtype = self.places.problem.dtype
        return {
            "x": self.temp("x_slices", dtype, self.places.num_cols * widths),
            "dy": self.temp("dy_slices", dtype, self.backward.num_cols * widths),
        }

    def _multiply(self, number: int) -> None:
        slices = self._slices(number)
        copies = [gather_slices(self.places, self.frame, slices["x"], number, transposed=False)]
        wanted = gather_x(self.backward, slices["dy"], number)
        copies.append(CopySet("dy", wanted.destination, wanted.source_begin, wanted.destination_begin, wanted.length))
        copies += self.packets.reset() + (self.buckets.gather() if number == 0 else [])
        self.exchange("gather", number, copies)
        sums = FieldSlices(self.sums.name, self.sums.begin, np.full(len(self.all), self.layout.value_length))
        if number == 0:
            count = {"count": sums.length}
            zero = vertex_set(self.book, "popsparse_py::Zero<float>", self.all, {"out": sums}, count)
            self.compute("zero", 0, [zero], "compute")
        b = self.places.problem.block_size
        name = f"DynamicElementSampled<{self.kind}>" if b == 1 else f"DynamicBlockSampled<{self.kind},{b}>"
        fields = {"g": sums, **self._operands(slices, number), "list": self.buckets.slices(LISTS)}
        scalars = {"numColumns": np.full(len(self.all), self.frame.columns)}
        dot = bucket_vertices(f"popsparse_py::{name}", self.all, fields, scalars, 0)
        control = self.packets.select_vertices() + self.packets.next_operation()
        self.compute("dot", number, [dot, *control], "compute")

    def _operands(self, slices: Dict[str, Buffers], number: int) -> Dict[str, FieldSlices]:
        widths = self.places.widths(number) * self.places.problem.block_size
        counts = {"x": self.places.num_cols, "dy": self.backward.num_cols}
        return {name: FieldSlices(slices[name].name, slices[name].begin, counts[name] * widths) for name in ("dy", "x")}

    # --- sums over the tiles of a cell -------------------------------------------------------------------------------

    def _sum_up(self, name: str, sums: Buffers, share: int, out: Buffers, steps: List[Step]) -> None:
        """Share z of every tile's sums to tile z of the cell, added up there into `out`, in the data type."""
        inputs = self.temp(name, "float32", np.full(len(self.all), share * self.frame.qn))
        steps.append(Exchange(f"{name} gather", (self._scatter(sums, inputs, share),)))
        steps.append(Compute(f"{name} sum", (self._reduce(inputs, share, out),), "reduce"))

    def _scatter(self, sums: Buffers, inputs: Buffers, share: int) -> CopySet:
        frame = self.frame
        part, cell, other = np.meshgrid(
            np.arange(frame.qn), np.arange(frame.num_cells), np.arange(frame.qn), indexing="ij"
        )
        receiver, sender = part * frame.num_cells + cell, other * frame.num_cells + cell
        begin, to = sums.begin[sender] + part * share, inputs.begin[receiver] + other * share
        return CopySet(sums.name, inputs.name, begin.ravel(), to.ravel(), np.full(begin.size, share))

    def _reduce(self, inputs: Buffers, share: int, out: Buffers) -> VertexSet:
        """One vertex a place; a share longer than a segment may be is cut into several."""
        dtype, places = self.places.problem.dtype, len(self.all)
        grain = column_grain(dtype)
        assert share <= U16_MAX * grain, "a share is smaller than a tile"
        none, sources = np.zeros(places, dtype=np.int64), np.full(places, self.frame.qn)
        data = reduce_list(none, np.full(places, share), sources, grain)
        lists = self.book.lists("sum_lists", np.full(places, 3), self.all, data)
        fields = {
            "partials": FieldSlices(inputs.name, inputs.begin, np.full(places, share * self.frame.qn)),
            "out": FieldSlices(out.name, out.begin, np.full(places, share)),
            "workList": FieldSlices(lists.name, lists.begin, np.full(places, 3)),
        }
        vertex = f"popsparse_py::ReducePartials<float,{self.kind}>"
        return vertex_set(self.book, vertex, self.all, fields, {"numSegments": np.ones(places, dtype=np.int64)})

    # --- blocks that are stored away ---------------------------------------------------------------------------------

    def _propagation(self) -> While:
        """The loop, one for all serial passes: they hold their slices in the same places."""
        packets = self.packets
        result = shared_variable(
            self.book,
            "packet_sums",
            "float32",
            "values",
            packets.sizes["values"] * self.frame.qn,
            self.frame.num_tiles,
        )
        arrival: List[Step] = [Compute("packet", (self._packet_sampled(result),), "compute")]
        self._sum_up("packet_inputs", result, packets.sizes["values"], packets.out["values", 0], arrival)
        arrival.append(Compute("next operation", tuple(packets.next_operation()), "other"))
        return packets.loop(arrival, [self._store(buffer) for buffer in range(BUFFERS)])

    def _packet_sampled(self, result: Buffers) -> VertexSet:
        packets, frame, b = self.packets, self.frame, self.places.problem.block_size
        whole = packets.sizes["values"] * frame.qn
        fields = {
            "g": packets.slices(result, whole),
            **self._operands(self._slices(0), 0),
            "list": packets.slices(packets.arrived["list"], packets.sizes["list"] * frame.qn),
        }
        scalars = {"numColumns": np.full(len(self.all), frame.columns), "numElements": np.full(len(self.all), whole)}
        return bucket_vertices(f"popsparse_py::PacketSampled<{self.kind},{b}>", self.all, fields, scalars, 0)

    def _store(self, buffer: int) -> Tuple[Step, ...]:
        """Results in `buffer`, back at the cell that sent the packet, into its sums; then the next packet.

        Each tile adds those of its own share, so that the final sum over the tiles of a cell counts them once.
        """
        packets, layout = self.packets, self.layout
        whole = packets.sizes["values"] * self.frame.qn
        first = self.all // self.frame.num_cells * layout.value_share
        fields = {
            "sums": FieldSlices(self.sums.name, self.sums.begin + first, np.full(len(self.all), layout.value_share)),
            "results": packets.slices(packets.arrived["values"], whole),
            "list": self.buckets.slices(LISTS),
            "cursor": packets.slices(packets.cursor, 4),
        }
        scalars = {
            "firstElement": first,
            "numElements": np.full(len(self.all), layout.value_share),
            "blockElements": np.full(len(self.all), layout.block_size**2),
        }
        name = f"popsparse_py::PacketStore<{self.kind}>"
        cycles = int(BUCKET_VERTEX_CYCLES[name](layout.value_share * 4))
        store = bucket_vertices(name, self.all, fields, scalars, cycles)
        following = (*packets.select_vertices(), *packets.next_operation())
        return (
            Exchange(f"return.{buffer}", tuple(packets.delivery(0, buffer))),
            Compute(f"store.{buffer}", (store,), "other"),
            Exchange(f"advance.{buffer}", (packets.advance_cursor(), packets.move_on())),
            Compute(f"select.{buffer}", following, "other"),
        )
