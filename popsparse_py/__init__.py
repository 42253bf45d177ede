"""Block-sparse products Y = W X, planned for a Graphcore Bow IPU and executed on an embedded model of it.

The names below are the public ones; each is imported on its first use, so `import popsparse_py` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

if TYPE_CHECKING:
    from popsparse_planner import (
        BlockPattern,
        CapacityError,
        DensePlan,
        DTypeError,
        DynamicPlan,
        FormatError,
        ModelError,
        PatternError,
        PlanError,
        PlanOptions,
        PopsparseError,
        ProgramError,
        ShapeError,
        StaticPlan,
        Target,
        TargetError,
        TargetUnavailableError,
        TileMemoryError,
        load_target,
        plan_dense,
        plan_dynamic,
        plan_static,
    )

    from .formats import BlockSparseMatrix, magnitude_prune
    from .nn import DynamicSparseLinear, StaticSparseLinear
    from .ops import Result, get_num_threads, linear, run, sddmm, set_num_threads, spmm, targets, use_target
    from .plans import plan
    from .sparsify import BlockSparseConfig, densify_, plan_model, sparsify_

__all__ = [
    "BlockPattern",
    "BlockSparseConfig",
    "BlockSparseMatrix",
    "CapacityError",
    "DTypeError",
    "DensePlan",
    "DynamicPlan",
    "DynamicSparseLinear",
    "FormatError",
    "ModelError",
    "PatternError",
    "PlanError",
    "PlanOptions",
    "PopsparseError",
    "ProgramError",
    "Result",
    "ShapeError",
    "StaticPlan",
    "StaticSparseLinear",
    "Target",
    "TargetError",
    "TargetUnavailableError",
    "TileMemoryError",
    "densify_",
    "get_num_threads",
    "linear",
    "load_target",
    "magnitude_prune",
    "plan",
    "plan_dense",
    "plan_dynamic",
    "plan_model",
    "plan_static",
    "run",
    "sddmm",
    "set_num_threads",
    "sparsify_",
    "spmm",
    "targets",
    "use_target",
]

_HOMES: Dict[str, Tuple[str, ...]] = {  # module -> the names above that it holds; popsparse_planner holds the rest
    "popsparse_py.formats": ("BlockSparseMatrix", "magnitude_prune"),
    "popsparse_py.ops": (
        "Result",
        "get_num_threads",
        "linear",
        "run",
        "sddmm",
        "set_num_threads",
        "spmm",
        "targets",
        "use_target",
    ),
    "popsparse_py.nn": ("DynamicSparseLinear", "StaticSparseLinear"),
    "popsparse_py.plans": ("plan",),
    "popsparse_py.sparsify": ("BlockSparseConfig", "densify_", "plan_model", "sparsify_"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported now and kept (PEP 562); `__version__` is that of the installed package."""
    if name == "__version__":
        value: Any = metadata.version("popsparse_py")
    elif name in __all__:
        home = next((module for module, names in _HOMES.items() if name in names), "popsparse_planner")
        value = getattr(import_module(home), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
