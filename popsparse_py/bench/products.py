"""Products of ours and of other libraries, timed in turns in one process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from popsparse_planner.errors import PopsparseError

from ..formats import BlockSparseMatrix
from .operands import Operands, Shape, exact, operands
from .peers import DENSE, OURS, PLAIN, Call, calls

_FEWEST, _MOST = 5, 400  # rounds
_SLOW = 12  # times slower than the fastest: such a peer is timed in the first rounds only
_PEAK_ROUNDS = 20000
# Of the largest entry: sums of up to some 10^4 products in float32, and the rounding of halves.
_ERROR = {"float32": 2e-4, "float16": 2e-3, "bfloat16": 2e-2}


class WrongResultError(PopsparseError, RuntimeError):
    """A library returned a product that is not the product."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one candidate."""

    seconds: List[float]

    @property
    def least(self) -> float:
        """Fastest round."""
        return min(self.seconds)

    @property
    def middle(self) -> float:
        """Median round."""
        return median(self.seconds)


@dataclass(frozen=True)
class Comparison:
    """One shape: timings of every candidate, interleaved; peak_gflops: multiply-adds from registers, same run."""

    shape: Shape
    threads: int
    timings: Mapping[str, Timing]
    absent: Mapping[str, str]
    peak_gflops: float

    def ratio(self, name: str, *, middle: bool = True) -> float:
        """How many times faster ours is than `name`, by medians or by minima."""
        ours, other = self.timings[OURS], self.timings[name]
        return other.middle / ours.middle if middle else other.least / ours.least

    @property
    def best_peer(self) -> Optional[str]:
        """The fastest sparse candidate that is not ours."""
        peers = [name for name in self.timings if name not in (OURS, DENSE, PLAIN)]
        return min(peers, key=lambda name: self.timings[name].middle) if peers else None

    @property
    def of_forward(self) -> Optional[float]:
        """Rate of ours over that of its forward product of float32, by minima; None for that product itself."""
        return None if PLAIN not in self.timings else self.ratio(PLAIN, middle=False)

    def gflops(self, name: str = OURS, *, middle: bool = True) -> float:
        """GFLOP/s: of nonzeros, for dense of all of W."""
        shape, timing = self.shape, self.timings[name]
        flops = 2 * shape.m * shape.k * shape.n if name == DENSE else shape.flops
        return flops / (timing.middle if middle else timing.least) / 1e9

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        shape = self.shape
        return {
            "m": shape.m,
            "k": shape.k,
            "n": shape.n,
            "block_size": shape.block_size,
            "density": str(shape.density),
            "product": shape.product,
            "dtype": shape.dtype,
            "of_forward_float32": self.of_forward,
            "threads": self.threads,
            "peak_gflops": self.peak_gflops,
            "best_peer": self.best_peer,
            "absent": dict(self.absent),
            "candidates": {name: self._candidate(name) for name in self.timings},
        }

    def _candidate(self, name: str) -> Dict[str, Any]:
        timing = self.timings[name]
        return {
            "rounds": len(timing.seconds),
            "min_seconds": timing.least,
            "median_seconds": timing.middle,
            "gflops_median": self.gflops(name),
            "gflops_best": self.gflops(name, middle=False),
            "ours_is_faster_by_median": self.ratio(name),
            "ours_is_faster_by_min": self.ratio(name, middle=False),
        }


def compare(shape: Shape, against: Sequence[str], threads: int, budget_seconds: float) -> Comparison:
    """Times ours and the installed ones of `against`, in turns, for about budget_seconds; each turn a warm second call.

    One thread: CPU time of this thread; more: wall clock. Packing W is outside the timed call, packing X inside.
    WrongResultError if a candidate's product is not that of float64.
    """
    data = operands(shape)
    candidates, absent = calls(data, against, threads)
    _check(data, candidates)
    core = import_module("popsparse_py._core")
    clock = time.thread_time if threads == 1 else time.perf_counter
    candidates["peak"] = lambda: core.cpu_peak_flops(_PEAK_ROUNDS, "")
    seconds = _timed(candidates, clock, budget_seconds)
    peak = core.cpu_peak_flops(1, "") * _PEAK_ROUNDS / min(seconds.pop("peak")) / 1e9 * threads
    timings = {name: Timing(found) for name, found in seconds.items()}
    return Comparison(shape, threads, timings, absent, peak)


def _timed(candidates: Dict[str, Call], clock: Callable[[], float], budget_seconds: float) -> Dict[str, List[float]]:
    """Rounds over all candidates; slow ones leave after the fewest."""
    seconds: Dict[str, List[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + budget_seconds
    for done in range(_MOST):
        if done >= _FEWEST and time.perf_counter() > end:
            break
        fastest = min((min(found) for found in seconds.values() if found), default=0)
        for name, call in candidates.items():
            if done >= _FEWEST and min(seconds[name]) > _SLOW * fastest and name != DENSE:
                continue
            call()  # brings its operands into the caches, from which the one before has driven them
            start = clock()
            call()
            seconds[name].append(max(clock() - start, 1e-9))
    return seconds


def _check(data: Operands, candidates: Mapping[str, Call]) -> None:
    expected = exact(data)
    largest = float(np.max(np.abs(expected), initial=1e-30))
    for name, call in candidates.items():
        if name == PLAIN:
            continue
        error = float(np.max(np.abs(_difference(data, call(), expected)), initial=0)) / largest
        if not error < _ERROR[data.shape.dtype]:
            raise WrongResultError(f"{name} is off by {error:.2g} of the largest entry of the product")


def _difference(data: Operands, found: Any, expected: np.ndarray) -> np.ndarray:
    """found - expected; of a sampled product at the nonzeros."""
    if data.shape.product != "sampled":
        return np.asarray(found.float() if hasattr(found, "float") else found) - expected
    ones = BlockSparseMatrix(data.w.pattern, np.ones(tuple(data.w.values.shape), np.float32))
    mask = np.asarray(ones.to_dense()) != 0
    if tuple(found.shape) == tuple(data.w.values.shape):
        wide = found.float().numpy() if hasattr(found, "float") else found.astype(np.float32)
        found = BlockSparseMatrix(data.w.pattern, wide).to_dense()
    elif hasattr(found, "float"):
        found = (found if found.layout is import_module("torch").strided else found.to_dense()).float()
    return np.asarray((np.asarray(found) - expected)[mask])
