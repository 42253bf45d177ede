"""Products on this computer's processor, by the native kernels of cpp/cpu."""

from __future__ import annotations

import os
import platform
import threading
import time
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from popsparse_planner.cpu_plan import CpuPlan, plan_cpu, replan_cpu
from popsparse_planner.cpu_profile import CpuProfile, load_cpu_profile
from popsparse_planner.cpu_schedule import CpuSchedule, Tier
from popsparse_planner.errors import DTypeError, PlanError, ShapeError, TargetUnavailableError
from popsparse_planner.pattern import BlockPattern

from ..formats import BlockSparseMatrix
from .base import Number, Result, Trace, check_x_shape
from .host_arrays import checked_bias, empty_like, host_view

ACTIVATIONS = ("none", "relu", "gelu")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_CPU_INFO = Path("/proc/cpuinfo")


class CpuBackend:
    """This computer's processor. threads: 0 for one per core; tier: instruction set, "" for the best that it has."""

    name = "cpu"

    def __init__(self, threads: int = 0, tier: str = "") -> None:
        self.threads = threads or available_cores()
        self.tier = tier

    def why_unavailable(self) -> Optional[str]:
        """None where the compiled core can be imported and has the tier."""
        try:
            core = import_module("popsparse_py._core")
        except ImportError as error:
            return f"the compiled core is missing ({error}): install the wheel, or build it with ./dev demo"
        if self.tier and self.tier not in core.cpu_tiers():
            return f"this processor has no {self.tier}: it has {', '.join(core.cpu_tiers())}"
        return None

    def plan(
        self, pattern: BlockPattern, n: int, dtype: str, *, transposed: bool = False, by_rows: bool = False
    ) -> CpuPlan:
        """The plan of W x, or of its transpose times x, with n columns, for this processor.

        by_rows: x and y will come as rows of samples, (n, k) and (n, m), as multiply_rows takes them.
        """
        self._require()
        shape = (pattern.shape[1], pattern.shape[0]) if transposed else pattern.shape
        tier = _tier(self.tier)
        size: Dict[str, Any] = {"block_size": pattern.block_size, "blocks": pattern.nnz_blocks}
        return plan_cpu(shape, n, **size, dtype=dtype, tier=tier, profile=host_profile(), by_rows=by_rows)

    def replan(self, plan: CpuPlan, schedule: CpuSchedule) -> CpuPlan:
        """The plan with another schedule."""
        return replan_cpu(plan, schedule, _tier(plan.tier), host_profile())

    def compile(self, plan: CpuPlan, *, transposed: bool = False) -> CpuKernel:
        """The kernel of a plan; transposed: it is loaded with W and multiplies by the transpose."""
        self._require()
        if not isinstance(plan, CpuPlan):
            raise PlanError(f"target 'cpu' runs plans of plan(..., target='cpu'), got a {type(plan).__name__}")
        tiers = import_module("popsparse_py._core").cpu_tiers()
        if plan.tier not in tiers:
            raise PlanError(f"the plan is for {plan.tier} instructions, this processor has {', '.join(tiers)}")
        return CpuKernel(plan, self.threads, transposed)

    def _require(self) -> None:
        reason = self.why_unavailable()
        if reason is not None:
            raise TargetUnavailableError(f"target 'cpu' cannot be used: {reason}")


class CpuKernel:
    """A compiled plan. Several threads may run it at once, also while another loads new values."""

    def __init__(self, plan: CpuPlan, threads: int, transposed: bool) -> None:
        self.plan = plan
        self.threads = threads
        self._transposed = transposed
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._pattern: Tuple[Optional[BlockPattern], Any] = (None, None)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the packed values and their index; 0 before load."""
        return 0 if self._loaded is None else int(self._loaded.packed_bytes)

    def load(self, w: BlockSparseMatrix) -> None:
        """Pack W's values: any pattern of the plan's shape and block size, in time proportional to its blocks.

        PlanError for another shape or block size, DTypeError for another dtype; the old values stay then.
        """
        shape = w.shape[::-1] if self._transposed else w.shape
        if (shape, w.block_size) != (self.plan.shape, self.plan.block_size):
            raise PlanError(
                f"W is {w.shape} in blocks of {w.block_size}, the plan is for {self.plan.shape} in blocks of "
                f"{self.plan.block_size}"
            )
        _check_dtype(w.dtype, self.plan.dtype, "W")
        core, values = import_module("popsparse_py._core"), np.ascontiguousarray(host_view(w.values, "W"))
        with self._lock:
            if self._pattern[0] is not w.pattern:
                self._pattern = (w.pattern, native_pattern(w.pattern))
            schedule = self.plan.schedule.astuple()
            fresh = core.CpuMatrix(self._pattern[1], self._transposed, schedule, self.plan.tier)
            fresh.set_values(values, self.threads)
            self._loaded = fresh

    def run(
        self,
        x: Any,  # (k, n)
        *,
        bias: Any = None,  # (m)
        activation: str = "none",
        out_dtype: Optional[str] = None,
        out: Any = None,
    ) -> Result:
        """Result(y (m, n), trace) of activation(W x + bias), for any n; y is an array, or a tensor if x is one.

        x: of the plan's dtype, any strides; out_dtype: of y, the plan's by default; out: where to put y.
        """
        start = time.perf_counter()
        y = self.multiply(x, bias, activation, out_dtype, out)
        seconds = time.perf_counter() - start
        n = y.shape[1]
        flops = self.plan.flops // self.plan.n * n
        numbers = {
            "seconds": Number(seconds, "s", "timed"),
            "gflops": Number(flops / seconds / 1e9, "GFLOP/s", "timed"),
            "planned_seconds": Number(self.plan.cost.total_seconds, "s on one thread", "estimated"),
            "threads": Number(self.plan.threads(self.threads, n), "threads", "counted"),
        }
        return Result(y, Trace("cpu", "asked for", numbers))

    def multiply(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (m, n) as `run` gives it, without a trace."""
        view = host_view(x, "x")
        check_x_shape(*self.plan.shape, view.shape)
        return self._product(view, x, bias, activation, out_dtype, out, by_rows=False)

    def multiply_rows(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (batch, m) = activation(x W^T + bias) for x (batch, k): PyTorch's orientation, nothing transposed first."""
        view = host_view(x, "x")
        if view.ndim != 2 or view.shape[1] != self.plan.shape[1]:
            raise ShapeError(f"x has shape {view.shape}: expected (batch, {self.plan.shape[1]})")
        return self._product(view.T, x, bias, activation, out_dtype, out, by_rows=True)

    def _product(
        self,
        view: np.ndarray,  # (k, n)
        x: Any,
        bias: Any,
        activation: str,
        out_dtype: Optional[str],
        out: Any,
        *,
        by_rows: bool,
    ) -> Any:
        loaded = self._loaded
        if loaded is None:
            raise PlanError("no values are loaded: call load(w) before run(x)")
        if activation not in ACTIVATIONS:
            raise PlanError(f"activation {activation!r} is unknown: expected one of {', '.join(ACTIVATIONS)}")
        if view.dtype != _NUMPY_OF[self.plan.dtype]:
            _check_dtype("bfloat16" if view.dtype == np.uint16 else view.dtype.name, self.plan.dtype, "x")
        m, n = self.plan.shape[0], view.shape[1]
        shape = (n, m) if by_rows else (m, n)
        if out is None:
            y, memory = empty_like(shape, out_dtype or self.plan.dtype, x)
        else:
            y, memory = out, checked_out(out, shape)
        shifts = None if bias is None else checked_bias(bias, m)
        threads = self.plan.threads(self.threads, n)
        loaded.multiply(view, memory.T if by_rows else memory, shifts, activation, threads)
        return y


_NUMPY_OF = {"float32": np.dtype("float32"), "float16": np.dtype("float16"), "bfloat16": np.dtype("uint16")}


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)  # reading takes longer than a small product, and the processor stays the same
def host_profile() -> CpuProfile:
    """The shipped machine profile with the cache sizes that Linux gives for this processor, where it gives them."""
    found = {}
    for folder in sorted(_CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if level in "12" and kind in ("Data", "Unified") and size.endswith("K"):
            found[f"l{level}_bytes"] = int(size[:-1]) * 1024
    profile = load_cpu_profile()
    return profile.replace(str(_CACHES), **found) if found else profile


def _tier(name: str) -> Tier:
    facts = import_module("popsparse_py._core").cpu_tier_facts(name)
    return Tier(facts["name"], facts["lanes"], facts["max_vectors"])


def processor_name() -> str:
    """Model of the processor with its family and model number, as far as the system tells."""
    fields: Dict[str, str] = {}
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{word} {fields[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in fields]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def native_pattern(pattern: BlockPattern) -> Any:
    """The pattern as the native core keeps it, checked again there."""
    core, b = import_module("popsparse_py._core"), pattern.block_size
    offsets = np.ascontiguousarray(pattern.row_offsets(), dtype=np.int64)
    return core.CpuPattern(*pattern.shape, b, b, offsets, np.ascontiguousarray(pattern.cols, dtype=np.int32))


def checked_out(out: Any, shape: Tuple[int, ...]) -> np.ndarray:
    """The memory of `out`; ShapeError, or PlanError if results cannot be written there in place."""
    memory = host_view(out, "out")
    if memory.shape != shape:
        raise ShapeError(f"out has shape {memory.shape}: expected {shape}")
    if memory is out or not isinstance(out, np.ndarray) or np.shares_memory(memory, out):
        return memory
    raise PlanError("out must be aligned, of this machine's byte order, and in host memory")


def _check_dtype(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise DTypeError(
            f"{what} has dtype {found}, the plan is for {expected}: convert one of them, for example {what}.astype",
            dtype=found,
        )
