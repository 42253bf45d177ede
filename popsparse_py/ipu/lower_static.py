"""A static plan as a Program: gather, multiply, cast, bring partials together, sum and move home, once per serial pass.

X and Y lie in their linear homes ([kb][n_padded][b] and [mb][n_padded][b]) or with their parts of n, values with the
runs that multiply them or, where the plan broadcasts them, in a linear home of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Optional

import numpy as np

from popsparse_planner.cost import paired_share
from popsparse_planner.errors import PlanError
from popsparse_planner.plan import StaticPlan

from .buffers import Buffers
from .lower_compute import DotVertices, zero_vertices
from .lower_exchange import gather_values, gather_x, passing_bytes, value_slices
from .lowering import Lowering
from .part_homes import PartHomes
from .places import find_places
from .program import Program
from .ranges import expand


@dataclass(frozen=True, eq=False)
class Lowered:
    """A Program and how its values are filled: unit i of `values` is block value_blocks[i] of the pattern that is
    multiplied (of merged blocks, where the plan merges them).

    value_blocks: int32, one per b x b elements; nnz_blocks stands for zeros (alignment). part_homes: where X and Y live
    if that is with their parts of n; None: in order, [kb][n_padded][b] and [mb][n_padded][b].
    """

    program: Program
    value_blocks: np.ndarray
    part_homes: Optional[PartHomes]


def lower_static(plan: StaticPlan) -> Lowered:
    """The Program of a plan; PlanError if the plan has no partition, ProgramError if a 16-bit field is too small."""
    if plan.partition is None:
        raise PlanError(f"the plan has no partition: {plan.reason}")
    return _StaticLowering(plan).run()


class _StaticLowering(Lowering):
    """A static plan while it is lowered."""

    def __init__(self, plan: StaticPlan) -> None:
        super().__init__(find_places(plan), plan.target)
        self.plan = plan

    def run(self) -> Lowered:
        places, book = self.places, self.book
        self.add_tensors()
        value_blocks = self._place_values()
        dots = DotVertices(places, book)
        for number in range(places.partition.num_passes):
            self._lower_pass(number, dots)
        return Lowered(self.program(), value_blocks, places.part_homes)

    def _place_values(self) -> np.ndarray:
        """Adds the variable `values`; returns which block each of its units is."""
        places, problem = self.places, self.places.problem
        block, nnz = problem.block_size**2, places.pattern.nnz_blocks
        if places.partition.values == "broadcast":
            self.book.tensor("values", problem.dtype, "values", places.value_home)
            blocks = np.full(places.value_home.num_elements // block, nnz, dtype=np.int32)
            blocks[:nnz] = places.partition.cuts[0].block_order
            return blocks
        self.values = self.book.buffers("values", problem.dtype, "values", places.num_blocks * block, places.tile)
        made = self.book.variables.get("values")
        blocks = np.full(made.length // block if made else 0, nnz, dtype=np.int32)
        for group in places.groups:
            for first in group.first_place:
                runs = slice(first, first + group.work.cut.num_runs)
                blocks[expand(self.values.begin[runs] // block, group.work.num_blocks)] = group.block_order
        return blocks

    def _lower_pass(self, number: int, dots: DotVertices) -> None:
        places, problem = self.places, self.places.problem
        row_length = places.widths(number) * problem.block_size
        buffers: Dict[str, Buffers] = {
            "x_slices": self.temp("x_slices", problem.dtype, places.num_cols * row_length),
            "partials": self.products(number, row_length),
        }
        gather = [replace(gather_x(places, buffers["x_slices"], number), paired=places.partition.paired)]
        if places.partition.values == "broadcast":
            sizes = np.where(row_length > 0, value_slices(places)[1], 0)
            buffers["values"] = self.temp("value_slices", problem.dtype, sizes)
            gather.append(gather_values(places, buffers["values"], row_length > 0))
        else:
            sizes = places.num_blocks * problem.block_size**2
            buffers["values"] = self.values
        share = paired_share(self.target) if places.partition.paired else 1.0
        self.exchange("gather", number, gather, passing_bytes(places, number) * share)
        dot = dots.of_pass(number, buffers, sizes) + zero_vertices(places, self.book, number)
        self.compute("dot", number, dot, "compute")
        self.bring_home(number, buffers["partials"], row_length)
