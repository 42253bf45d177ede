"""Programs of an IPU: what they are, how plans are lowered to them, and what they cost."""

from .counted import StepCount, counted_cost, step_counts
from .lower_static import Lowered, lower_static
from .program import Compute, CopySet, Exchange, FieldSlices, Program, Variable, VertexSet

__all__ = [
    "Compute",
    "CopySet",
    "Exchange",
    "FieldSlices",
    "Lowered",
    "Program",
    "StepCount",
    "Variable",
    "VertexSet",
    "counted_cost",
    "lower_static",
    "step_counts",
]
