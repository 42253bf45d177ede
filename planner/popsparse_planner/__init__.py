"""Planner of sparse products on an IPU: from a block pattern to a partition, its predicted cycles and its bytes.

NumPy only (and tomli below Python 3.11); runs from a bare checkout.
"""

from .cost import Cost
from .dense import DensePlan, plan_dense
from .dynamic_plan import DynamicPlan, PatternForecast
from .dynamic_search import plan_dynamic
from .errors import (
    CapacityError,
    DeviceMemoryError,
    DTypeError,
    FormatError,
    ModelError,
    PatternError,
    PlanError,
    PopsparseError,
    ProgramError,
    ShapeError,
    TargetError,
    TargetUnavailableError,
    TileMemoryError,
)
from .memory import Memory
from .pattern import BlockPattern
from .plan import StaticPlan
from .problem import PlanOptions, Problem
from .search import plan_static
from .target import Target, load_target

__all__ = [
    "BlockPattern",
    "CapacityError",
    "Cost",
    "DTypeError",
    "DensePlan",
    "DeviceMemoryError",
    "DynamicPlan",
    "FormatError",
    "Memory",
    "ModelError",
    "PatternError",
    "PatternForecast",
    "PlanError",
    "PlanOptions",
    "PopsparseError",
    "Problem",
    "ProgramError",
    "ShapeError",
    "StaticPlan",
    "Target",
    "TargetError",
    "TargetUnavailableError",
    "TileMemoryError",
    "load_target",
    "plan_dense",
    "plan_dynamic",
    "plan_static",
]
