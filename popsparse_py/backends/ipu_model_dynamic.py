"""Dynamic plans on the embedded IPU model: compiled once, any pattern within capacity loaded, any number of times."""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, Optional, Tuple

import numpy as np

from popsparse_planner.dynamic_plan import DynamicPlan
from popsparse_planner.errors import PlanError, TileMemoryError
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem

from ..formats import BlockSparseMatrix
from ..ipu.bucket_variables import LISTS, VALUES
from ..ipu.counted_dynamic import dynamic_counts
from ..ipu.encode import decode_y, encode_x
from ..ipu.encode_buckets import Encoded, decode_gradients, encode_matrix
from ..ipu.frame_places import frame_places
from ..ipu.lower_dynamic import lower_dynamic
from ..ipu.lower_weight import GRADS, lower_weight
from ..ipu.packets import OPERATIONS
from ..ipu.part_homes import PartHomes
from ..ipu.program import Program
from .base import Number, Result, StepTrace, Trace, checked_values, checked_x
from .model_build import Built, build_model


class _Pass:
    """One compiled pass: its program and model. version: of the matrix whose buckets it holds."""

    def __init__(self, plan: DynamicPlan, kind: str, threads: int) -> None:
        self.kind = kind
        start = time.perf_counter()
        self.program: Program = (
            lower_weight(plan) if kind == "grad_weight" else lower_dynamic(plan, transposed=kind == "grad_input")
        )
        self.built: Built = build_model(self.program, plan.target.tile_bytes, threads)
        self.homes = _part_homes(plan, kind)
        result = self.homes.get("x") if kind != "grad_weight" else None
        self.y_order = None if result is None else result.y_order()
        self.seconds = time.perf_counter() - start
        self.version = -1

    def write(self, name: str, contents: np.ndarray) -> None:
        """Set a variable that the program has."""
        if name in self.built.variables:
            self.built.model.write(self.built.variables[name], contents)

    def write_operand(self, name: str, linear: np.ndarray) -> None:
        """Set an operand, given in order, where the program keeps it."""
        homes = self.homes.get(name)
        self.write(name, linear if homes is None else homes.encode_x(linear))

    def load(self, encoded: Encoded, version: int) -> None:
        """Put buckets and operations in place, unless they are there."""
        if self.version != version:
            self.write(LISTS, encoded.lists)
            self.write(VALUES, encoded.values)
            self.write(OPERATIONS, encoded.weight_operations if self.kind == "grad_weight" else encoded.operations)
            self.version = version


def _part_homes(plan: DynamicPlan, kind: str) -> Dict[str, PartHomes]:
    """Where each operand of a pass lives that lives with the parts of n, by name; none where it lies in order."""
    assert plan.draft is not None
    turned = {"forward": {"x": False}, "grad_input": {"x": True}, "grad_weight": {"x": False, "dy": True}}[kind]
    places = {
        name: frame_places(plan.problem, plan.draft, plan.target.tiles, transposed=transposed)
        for name, transposed in turned.items()
    }
    return {name: one.part_homes for name, one in places.items() if one.part_homes is not None}


class DynamicKernel:
    """A compiled dynamic plan; calls from several threads take turns.

    The forward pass is compiled at once, grad-input and grad-weight at their first call (the plan's options must ask
    for them). A pattern that does not fit raises CapacityError before anything is written: the old one stays in force.
    """

    def __init__(self, plan: DynamicPlan, threads: int) -> None:
        self.plan, self._threads = plan, threads
        self._passes: Dict[str, _Pass] = {"forward": _Pass(plan, "forward", threads)}
        self._lock = threading.RLock()
        self._encoded: Optional[Encoded] = None
        self._pattern: Optional[BlockPattern] = None
        self._token: object = None
        self._version = 0

    @property
    def program(self) -> Program:
        """The program of the forward pass."""
        return self._passes["forward"].program

    @property
    def tile_bytes(self) -> np.ndarray:
        """int64 [tiles]: bytes of each tile at the fullest step of the forward pass."""
        bytes_: np.ndarray = self._passes["forward"].built.model.tile_bytes()
        return bytes_

    @property
    def num_steps(self) -> int:
        """Propagation steps of the pattern that is loaded."""
        return self._loaded().buckets.placement.num_steps

    def load(self, w: BlockSparseMatrix) -> None:
        """Put W, of any pattern within capacity, on the tiles.

        Raises CapacityError (with needed_capacity_blocks), ShapeError, PatternError, DTypeError, FormatError for NaN or
        infinity; then the matrix that was loaded before stays in force.
        """
        encoded = encode_matrix(self.plan, w.pattern, checked_values(self.plan.problem, w))
        with self._lock:
            self._encoded, self._version = encoded, self._version + 1
            self._pattern, self._token = w.pattern, object()
            w._kernels["dynamic", id(self)] = self._token
            self._passes["forward"].load(encoded, self._version)

    def product(self, w: BlockSparseMatrix, x: Any, *, transposed: bool = False) -> Result:
        """W x, or W^T x, with W loaded first unless it is; no other thread's load comes between."""
        with self._lock:
            if not self._holds(w):
                self.load(w)
            return self.run_transposed(x) if transposed else self.run(x)

    def sampled(self, pattern: BlockPattern, dy: Any, x: Any) -> Result:
        """run_sampled at the blocks of `pattern`, which is loaded with zeros as values unless it is in force."""
        with self._lock:
            if self._encoded is None or self._pattern != pattern:
                side = pattern.block_size
                zeros = np.zeros((pattern.nnz_blocks, side, side), dtype=self.plan.problem.dtype)
                self.load(BlockSparseMatrix(pattern, zeros))
            return self.run_sampled(dy, x)

    def _holds(self, w: BlockSparseMatrix) -> bool:
        """Whether W, with the values that it has now, is loaded: it keeps the token of its last load."""
        return self._encoded is not None and w._kernels.get(("dynamic", id(self))) is self._token

    def run(self, x: Any) -> Result:
        """Y (m, n) = W x for x (k, n) of the plan's dtype, NumPy in and out; the same bits on every call."""
        return self._run("forward", self.plan.problem, x)

    def run_transposed(self, dy: Any) -> Result:
        """dX (k, n) = W^T dy for dy (m, n), from the same buckets; PlanError unless grad_input was planned."""
        problem = self.plan.problem
        return self._run("grad_input", Problem(problem.k, problem.m, problem.n, problem.block_size, problem.dtype), dy)

    def run_sampled(self, dy: Any, x: Any) -> Result:
        """dY X^T at the blocks of W, (nnz_blocks, b, b), for dy (m, n) and x (k, n); grad_weight must be planned."""
        problem = self.plan.problem
        turned = Problem(problem.k, problem.m, problem.n, problem.block_size, problem.dtype)
        operands = {"x": self._home(problem, x), "dy": self._home(turned, dy)}
        with self._lock:
            encoded, one = self._loaded(), self._ready("grad_weight")
            contents, trace = self._execute(one, operands, GRADS)
        return Result(decode_gradients(self.plan, encoded.buckets, contents), trace)

    def _home(self, problem: Problem, operand: Any) -> np.ndarray:
        """`operand` as it lies at home, n widened to the columns of all parts."""
        array = checked_x(problem, operand)
        columns = self.plan.frame.num_columns
        wide = Problem(problem.m, problem.k, columns, problem.block_size, problem.dtype)
        padded = np.zeros((problem.k, columns), dtype=problem.dtype)
        padded[:, : problem.n] = array
        return encode_x(wide, padded)

    def _run(self, kind: str, problem: Problem, operand: Any) -> Result:
        operands = {"x": self._home(problem, operand)}
        with self._lock:
            self._loaded()
            one = self._ready(kind)
            contents, trace = self._execute(one, operands, "y")
        columns = self.plan.frame.num_columns
        wide = Problem(problem.m, problem.k, columns, problem.block_size, problem.dtype)
        return Result(np.ascontiguousarray(decode_y(wide, contents, one.y_order)[:, : problem.n]), trace)

    def _loaded(self) -> Encoded:
        if self._encoded is None:
            raise PlanError("no values are loaded: call load(w) before run(x)")
        return self._encoded

    def _ready(self, kind: str) -> _Pass:
        """The compiled pass with the current buckets."""
        if kind != "forward" and not getattr(self.plan.options, kind):
            raise PlanError(f"the plan has no {kind} pass: plan with options=PlanOptions({kind}=True)")
        if kind not in self._passes:
            self._passes[kind] = _Pass(self.plan, kind, self._threads)
        self._passes[kind].load(self._loaded(), self._version)
        return self._passes[kind]

    def _execute(self, one: _Pass, operands: Dict[str, np.ndarray], result: str) -> Tuple[np.ndarray, Trace]:
        for name, contents in operands.items():
            one.write_operand(name, contents)
        start = time.perf_counter()
        one.built.model.run()
        seconds = time.perf_counter() - start
        contents = one.built.model.read(one.built.variables[result])
        return contents, self._trace(one, seconds)

    def _trace(self, one: _Pass, seconds: float) -> Trace:
        plan, buckets = self.plan, self._loaded().buckets
        counted, counts = dynamic_counts(one.program, plan, buckets, one.built.executions())
        numbers = {"planned_cycles": Number(plan.pass_costs[one.kind].total_cycles, "cycles", "estimated")}
        for part in ("compute", "exchange", "sync", "reduce", "other", "total", "profiled"):
            numbers[f"{part}_cycles"] = Number(float(getattr(counted, f"{part}_cycles")), "cycles", "counted")
        numbers["seconds"] = Number(counted.seconds, "s on the chip", "counted")
        flops = 2 * len(buckets.slot) * plan.problem.block_size**2 * plan.problem.n
        numbers["tflops"] = Number(flops / counted.seconds / 1e12, "TFLOP/s", "counted")
        numbers["peak_tile_bytes"] = Number(float(one.built.model.tile_bytes().max()), "B", "counted")
        numbers["propagation_steps"] = Number(float(buckets.placement.num_steps), "steps", "counted")
        numbers["spilled_blocks"] = Number(float(buckets.placement.spilled_blocks), "blocks", "counted")
        numbers["build_seconds"] = Number(one.seconds, "s", "timed")
        numbers["host_seconds"] = Number(seconds, "s", "timed")
        steps = tuple(
            StepTrace(s.name, s.kind, s.cycles * times, s.slowest_tile, s.rows, s.moved_bytes * times)
            for s, times in counts
        )
        return Trace("ipu_model", "asked for", numbers, steps)


def compile_dynamic(plan: DynamicPlan, threads: int) -> DynamicKernel:
    """The kernel of a plan that fits; PlanError or TileMemoryError with the reason otherwise."""
    plan.check_own()
    if plan.shortfall is not None:
        raise TileMemoryError(str(plan.shortfall), **vars(plan.shortfall))
    if not plan.fits:
        raise PlanError(f"the plan cannot run: {plan.reason}")
    return DynamicKernel(plan, threads)
