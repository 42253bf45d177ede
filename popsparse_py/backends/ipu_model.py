"""Plans run on the embedded IPU model: functional and strict, with cycles counted from the program that runs."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from typing import Any, Optional, Union

from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.errors import PlanError, TargetUnavailableError, TileMemoryError
from popsparse_planner.plan import StaticPlan
from popsparse_planner.static.merged import merged, merged_problem

from ..formats import BlockSparseMatrix
from ..ipu.counted import counted_cost, step_counts
from ..ipu.encode import decode_y, encode_values, encode_x, merged_values
from ..ipu.lower_static import lower_static
from ..ipu.program import Program
from .base import Number, Result, StepTrace, Trace, check_same_pattern, checked_values, checked_x
from .ipu_model_dynamic import DynamicKernel, compile_dynamic
from .model_build import build_model


class IpuModelBackend:
    """The embedded model of the chip that a plan's target describes; threads: of this computer, 0 for one per core."""

    name = "ipu_model"

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads

    def why_unavailable(self) -> Optional[str]:
        """None where the compiled core can be imported."""
        try:
            import_module("popsparse_py._core")
        except ImportError as error:
            return f"the compiled core is missing ({error}): install the wheel, or build it with ./dev demo"
        return None

    def compile(self, plan: Union[StaticPlan, DynamicPlan]) -> Union[IpuModelKernel, DynamicKernel]:
        """The kernel of a plan that fits.

        Raises TileMemoryError (tile, buffer, bytes, nearest change) or PlanError (why there is no partition, or which
        16-bit field is too small) otherwise; TargetUnavailableError without the compiled core.
        """
        reason = self.why_unavailable()
        if reason is not None:
            raise TargetUnavailableError(f"target 'ipu_model' cannot be used: {reason}")
        if isinstance(plan, DynamicPlan):
            return compile_dynamic(plan, self.threads)
        if not isinstance(plan, StaticPlan):
            raise PlanError(f"target 'ipu_model' runs static and dynamic plans, got a {type(plan).__name__}")
        if plan.partition is None or plan.memory is None:
            raise PlanError(f"the plan cannot run: {plan.reason}")
        if plan.shortfall is not None:
            raise TileMemoryError(str(plan.shortfall), **vars(plan.shortfall))
        if plan.reason:
            raise PlanError(f"the plan cannot run: {plan.reason}")
        return IpuModelKernel(plan, self.threads)


class IpuModelKernel:
    """A compiled plan on the model; calls from several threads take turns.

    program: what runs; tile_bytes: int64 [tiles], bytes of each tile at its fullest step.
    """

    def __init__(self, plan: StaticPlan, threads: int) -> None:
        self.plan = plan
        start = time.perf_counter()
        lowered = lower_static(plan)
        self.program, self._value_blocks, self._homes = lowered.program, lowered.value_blocks, lowered.part_homes
        size = plan.partition.block_size if plan.partition is not None else 0
        self._merged, self._problem = merged(plan.pattern, size), merged_problem(plan.problem, size)
        self._y_order = None if self._homes is None else self._homes.y_order()
        lower_seconds = time.perf_counter() - start
        start = time.perf_counter()
        built = build_model(self.program, plan.target.tile_bytes, threads)
        self._model, self._ids = built.model, built.variables
        self.tile_bytes = self._model.tile_bytes()
        self._steps, self._numbers = _counts(plan, self.program, int(self.tile_bytes.max()))
        self._numbers["lower_seconds"] = Number(lower_seconds, "s", "timed")
        self._numbers["build_seconds"] = Number(time.perf_counter() - start, "s", "timed")
        self._lock = threading.Lock()
        self._loaded = False

    def load(self, w: BlockSparseMatrix) -> None:
        """Put W's values on the tiles. PlanError for another pattern, DTypeError, FormatError for NaN or infinity."""
        check_same_pattern(self.plan.pattern, w.pattern)
        values = checked_values(self.plan.problem, w)
        if self._merged.pattern.block_size != self.plan.pattern.block_size:
            values = merged_values(self.plan.pattern, self._merged, values)
        values = encode_values(self._problem, values, self._value_blocks)
        with self._lock:
            if "values" in self._ids:
                self._model.write(self._ids["values"], values)
            self._loaded = True

    def run(self, x: Any) -> Result:
        """Y (m, n) = W x for x (k, n) of the plan's dtype, NumPy in and out; the same bits on every call."""
        problem = self._problem
        x_home = encode_x(problem, checked_x(problem, x))
        if self._homes is not None:
            x_home = self._homes.encode_x(x_home)
        with self._lock:
            if not self._loaded:
                raise PlanError("no values are loaded: call load(w) before run(x)")
            self._model.write(self._ids["x"], x_home)
            start = time.perf_counter()
            self._model.run()
            seconds = time.perf_counter() - start
            home = self._model.read(self._ids["y"])
        numbers = dict(self._numbers, host_seconds=Number(seconds, "s", "timed"))
        return Result(decode_y(problem, home, self._y_order), Trace("ipu_model", "asked for", numbers, self._steps))


def _counts(plan: StaticPlan, program: Program, peak_bytes: int) -> Any:
    """(steps, numbers) of every run: cycles counted from the program, the plan's own beside them."""
    assert plan.cost is not None
    counted = counted_cost(program, plan.target)
    steps = tuple(
        StepTrace(s.name, s.kind, s.cycles, s.slowest_tile, s.rows, s.moved_bytes)
        for s in step_counts(program, plan.target)
    )
    numbers = {"planned_cycles": Number(plan.cost.total_cycles, "cycles", "estimated")}
    for part in ("compute", "exchange", "sync", "reduce", "other", "total", "profiled"):
        numbers[f"{part}_cycles"] = Number(float(getattr(counted, f"{part}_cycles")), "cycles", "counted")
    numbers["seconds"] = Number(counted.seconds, "s on the chip", "counted")
    numbers["tflops"] = Number(plan.flops / counted.seconds / 1e12, "TFLOP/s", "counted")
    numbers["peak_tile_bytes"] = Number(float(peak_bytes), "B", "counted")
    return steps, numbers
