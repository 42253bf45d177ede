"""Is a layer faster sparse? The dense and the sparse product of one weight, compared on a chip or on this processor."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import numpy as np

from popsparse_planner import BlockPattern, Target, plan_dense, plan_static
from popsparse_planner.errors import PlanError
from popsparse_planner.problem import BLOCK_SIZES, DTYPES, column_grain

from .backends.cpu import CpuBackend, host_profile
from .plans import chip, cuda_plan

_FEWEST, _MOST, _ENOUGH_SECONDS = 3, 50, 0.05  # calls of what is timed
_PEAK_ROUNDS = 20000  # some milliseconds of multiply-adds


@dataclass(frozen=True)
class LayerPlan:
    """One weight (m, k) for x with n rows: what the dense product takes, what the sparse one is predicted to take.

    dense, sparse: in `unit`, "cycles" (target a chip) or "us" (target "cuda" or "cpu"); None where there is no number.
    Both are predicted, but on "cpu" dense is measured here, on one thread, and sparse is what the cpu plan predicts for
    the pace at which this processor multiplies at the moment. reason: the verdict in words.
    """

    name: str
    shape: Tuple[int, int]
    n: int
    dtype: str
    block_size: int
    density: float
    target: str
    unit: str
    dense: Optional[float]
    sparse: Optional[float]
    faster: bool
    reason: str

    @property
    def speedup(self) -> Optional[float]:
        """dense / sparse; None where a number is missing."""
        return self.dense / self.sparse if self.dense is not None and self.sparse else None

    def cells(self) -> List[str]:
        """What dense and sparse take, with the unit, and the verdict: three cells of a table."""
        return [*(self.told(value) for value in (self.dense, self.sparse)), self.reason]

    def told(self, value: Optional[float]) -> str:
        """A number of cycles or microseconds with its unit; "" for none."""
        digits = 1 if self.unit == "us" else 0
        return "" if value is None else f"{value:,.{digits}f} {self.unit}"

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return {**asdict(self), "shape": list(self.shape), "speedup": self.speedup}


def plan_layer(
    name: str,
    pattern: BlockPattern,
    n: int,
    dtype: str,
    *,
    target: Union[str, Target],
    dense_seconds: Callable[[], float],
) -> LayerPlan:
    """The LayerPlan of a weight with `pattern`, for x with n rows.

    target: "cpu", "cuda" (the GPU that is here, or an H200), "ipu_model" (the Bow chip), "bow", "mk2", a TOML file or a
    Target. dense_seconds: measures the dense layer on this processor; called for "cpu" only. Raises TargetError,
    TargetUnavailableError, DTypeError, PlanError (n < 1).
    """
    if n < 1:
        raise PlanError(f"n must be at least 1, got {n}")
    if target == "cpu":
        return _on_cpu(name, pattern, n, dtype, dense_seconds)
    head = (name, pattern.shape, n, dtype, pattern.block_size, pattern.density, *where(target))
    if target == "cuda":
        made = cuda_plan(pattern, n, dtype, by_rows=True)
        times = (made.dense_seconds * 1e6, made.cost.total_seconds * 1e6)
        return LayerPlan(*head, *times, *_verdict(*times, f"bound by {made.cost.bound}"))
    machine = chip(target)
    if dtype not in DTYPES or pattern.block_size not in BLOCK_SIZES:
        reason = f"cannot run there: {dtype} in blocks of {pattern.block_size}; the chip has {', '.join(DTYPES)} "
        return LayerPlan(*head, None, None, False, reason + f"in blocks of {', '.join(map(str, BLOCK_SIZES))}")
    columns = -(-n // column_grain(dtype)) * column_grain(dtype)
    dense = plan_dense(*pattern.shape, columns, dtype=dtype, target=machine)
    static = plan_static(pattern, columns, dtype=dtype, target=machine)
    before = dense.cost.total_cycles if dense.fits else None
    if not static.fits or static.cost is None:
        return LayerPlan(*head, before, None, False, f"does not fit: {static.reason or static.shortfall}")
    after = static.cost.total_cycles
    return LayerPlan(*head, before, after, *_verdict(before, after, f"mostly {static.bottleneck}"))


def where(target: Union[str, Target]) -> Tuple[str, str]:
    """Name of a target and the unit of its times."""
    return (str(target), "us") if target in ("cpu", "cuda") else (chip(target).name, "cycles")


def _on_cpu(name: str, pattern: BlockPattern, n: int, dtype: str, dense_seconds: Callable[[], float]) -> LayerPlan:
    made = CpuBackend().plan(pattern, n, dtype)
    cost = made.cost
    before, after = dense_seconds() * 1e6, cost.total_seconds * 1e6 * slowness(made.tier)
    bound = "multiplying" if cost.multiply_seconds >= cost.fetch_seconds else "fetching x"
    verdict = _verdict(before, after, f"mostly {bound}")
    return LayerPlan(
        name, pattern.shape, n, dtype, pattern.block_size, pattern.density, "cpu", "us", before, after, *verdict
    )


def _verdict(dense: Optional[float], sparse: float, bound: str) -> Tuple[bool, str]:
    if dense is None:
        return True, f"only sparse fits, {bound}"
    ratio = dense / sparse
    return ratio > 1, f"{ratio:.2f}x faster, {bound}" if ratio > 1 else f"{1 / ratio:.2f}x slower, {bound}"


def dense_layer_seconds(layer: Any, n: int) -> float:
    """CPU seconds that a torch.nn.Linear takes for n rows on one thread of this processor, the median of some calls."""
    torch = import_module("torch")
    weight = layer.weight.detach().cpu()
    bias = None if layer.bias is None else layer.bias.detach().cpu()
    x = torch.zeros(n, layer.in_features, dtype=weight.dtype).normal_()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            return _timed_seconds(lambda: torch.nn.functional.linear(x, weight, bias))
    finally:
        torch.set_num_threads(threads)


def slowness(tier: str) -> float:
    """How many times longer this processor takes to multiply, now, than the profile that cpu plans are made for."""
    core = import_module("popsparse_py._core")
    seconds = _timed_seconds(lambda: core.cpu_peak_flops(_PEAK_ROUNDS, tier))
    return float(host_profile()[f"flops_per_second.{tier}"]) * seconds / (core.cpu_peak_flops(1, tier) * _PEAK_ROUNDS)


def _timed_seconds(call: Callable[[], Any]) -> float:
    """Median CPU seconds of this thread for one call, after one that is not counted."""
    call()
    spent: List[float] = []
    while len(spent) < _FEWEST or (len(spent) < _MOST and sum(spent) < _ENOUGH_SECONDS):
        begin = time.thread_time()
        call()
        spent.append(time.thread_time() - begin)
    return float(np.median(spent))
