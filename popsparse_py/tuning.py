"""Plans for target "cpu" by measurement: schedules are timed on this processor, the fastest is kept for next time."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any, Dict, List, Optional

import numpy as np

from popsparse_planner.cpu_plan import CpuPlan
from popsparse_planner.cpu_schedule import CpuSchedule

from .backends.cpu import CpuBackend, CpuKernel, processor_name
from .backends.host_arrays import empty_like
from .formats import BlockSparseMatrix
from .tuning_cache import TuningCache

_FEWEST_ROUNDS = 3
_GAIN = 0.97  # of the default's time: another schedule has to be faster than this to be worth a change


def tune(
    a: BlockSparseMatrix,
    n: int,
    *,
    by_rows: bool = False,
    cache: Optional[TuningCache] = None,
    seconds: float = 0.5,
    backend: Optional[CpuBackend] = None,
) -> CpuPlan:
    """The plan of a x with n columns that is fastest here: measured for about `seconds`, or found in the cache.

    by_rows: x and y are rows of samples, (n, k) and (n, m), as `linear` takes them. cache: None is the user's own,
    TuningCache().path says where. Measured on one thread by its CPU time, with a's own pattern; entries hold for the
    processor, instruction set, shape, block size, number of blocks, data type and n. The plan's cost is the estimate of
    the schedule that it has. Raises ShapeError, DTypeError, TargetUnavailableError.
    """
    backend, cache = backend or CpuBackend(), cache or TuningCache()
    default = backend.plan(a.pattern, n, a.dtype, by_rows=by_rows)
    key = _key(default, by_rows)
    entry = cache.get(key)
    schedule = None if entry is None else _read(entry, default)
    if schedule is None:
        timed = _measured(a, default, by_rows, seconds)
        best = min(timed, key=lambda one: one["seconds"])
        chosen = best if best["seconds"] < _GAIN * timed[0]["seconds"] else timed[0]
        cache.put(key, {**chosen, "default_seconds": timed[0]["seconds"]})
        schedule = CpuSchedule(**chosen["schedule"])
    return backend.replan(default, schedule)


def candidates(plan: CpuPlan, max_vectors: Dict[int, int]) -> List[CpuSchedule]:
    """Schedules worth timing for a plan, its own first: other tiles, panels and bands; each one that its tier has."""
    own = plan.schedule
    found = [own]
    for rows, most in max_vectors.items():
        if most and rows < 2 * plan.block_size:
            vectors = min(most, max(1, own.tile_rows * own.tile_vectors // rows))
            found.append(replace(own, tile_rows=rows, tile_vectors=1 << (vectors.bit_length() - 1), by_rows=False))
    of_tile = replace(own, by_rows=False)
    found += [replace(of_tile, panel_columns=p, pack=k) for p, k in ((0, False), (64, False), (64, True), (128, True))]
    if own.band_blocks:
        found += [replace(own, band_blocks=count) for count in (0, own.band_blocks // 2 or 1, 2 * own.band_blocks)]
    return list(dict.fromkeys(found))


def _key(plan: CpuPlan, by_rows: bool) -> str:
    """Everything that a measurement holds for."""
    m, k = plan.shape
    form = "rows" if by_rows else "columns"
    return f"{processor_name()}/{plan.tier}/{m}x{k}/b{plan.block_size}/{plan.blocks}/{plan.dtype}/n{plan.n}/{form}"


def _read(entry: Dict[str, Any], plan: CpuPlan) -> Optional[CpuSchedule]:
    """The schedule of a cache entry; None if it is not one that this program can run."""
    try:
        schedule = CpuSchedule(**entry["schedule"])
        most = import_module("popsparse_py._core").cpu_tier_facts(plan.tier)["max_vectors"]
        fits = 1 <= schedule.tile_vectors <= most.get(schedule.tile_rows, 0)
    except (KeyError, TypeError):
        return None
    numbers = (schedule.chunk_blocks, schedule.band_blocks, schedule.panel_columns)
    return schedule if fits and min(numbers) >= 0 else None


def _measured(a: BlockSparseMatrix, plan: CpuPlan, by_rows: bool, seconds: float) -> List[Dict[str, Any]]:
    """{schedule, seconds} of each candidate, in turns; the default first."""
    facts = import_module("popsparse_py._core").cpu_tier_facts(plan.tier)
    shape = (plan.n, plan.shape[1]) if by_rows else (plan.shape[1], plan.n)
    x = empty_like(shape, plan.dtype, a.values)[0]
    x[:] = 1
    kernels = []
    for schedule in candidates(plan, facts["max_vectors"]):
        kernel = CpuKernel(replace(plan, schedule=schedule), 1, False)
        kernel.load(a)
        kernels.append((schedule, kernel.multiply_rows if by_rows else kernel.multiply))
    best = np.full(len(kernels), np.inf)
    rounds, end = 0, time.perf_counter() + seconds
    while rounds < _FEWEST_ROUNDS or time.perf_counter() < end:
        for i, (_, call) in enumerate(kernels):
            call(x)
            start = time.thread_time()
            call(x)
            best[i] = min(best[i], time.thread_time() - start)
        rounds += 1
    return [{"schedule": asdict(s), "seconds": float(t)} for (s, _), t in zip(kernels, best)]
