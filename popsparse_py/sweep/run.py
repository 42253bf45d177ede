"""The points of a sweep that are not done yet, planned in this process or in several."""

from __future__ import annotations

import os
import threading
import time
from importlib import import_module
from typing import Any, Dict, Iterator, List, Tuple

from .points import Point, Sweep
from .work import plan_point

_WATCH = "popsparse sweep: parent"
_WATCH_SECONDS = 1.0


def remaining(sweep: Sweep, done: Any) -> List[Tuple[str, Point]]:
    """(id, point) of every point that `done` does not hold."""
    return [(identity, point) for identity, point in sweep.points.items() if identity not in done]


def results(points: List[Tuple[str, Point]], jobs: int) -> Iterator[Dict[str, Any]]:
    """Lines of the points as they are planned; in order with one job. ImportError without joblib for more jobs."""
    if jobs == 1:
        for identity, point in points:
            yield plan_point(identity, point)
        return
    try:
        joblib = import_module("joblib")
    except ImportError as error:
        raise ImportError("-j above 1 needs joblib: python -m pip install 'popsparse_py[report]'") from error
    calls = (joblib.delayed(_in_worker)(os.getpid(), identity, point) for identity, point in points)
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")(calls)


def _in_worker(parent: int, identity: str, point: Point) -> Dict[str, Any]:
    """The line of a point, in a process that ends when its parent does (joblib's stay when theirs is killed)."""
    if all(thread.name != _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_leave_with, args=(parent,), name=_WATCH, daemon=True).start()
    return plan_point(identity, point)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
