"""How soon the command line answers."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from .child import Outcome
from .measure import Case

CASES = (Case("popsparse --help", "startup", "show_help", 0.5),)
_CALLS = 5


def show_help() -> Outcome:
    """Median seconds of `popsparse --help`, the start of Python included."""
    seconds = []
    for _ in range(_CALLS):
        start = perf_counter()
        subprocess.run([sys.executable, "-m", "popsparse_py.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(perf_counter() - start)
    return Outcome(median(seconds), f"median of {_CALLS}, fastest {min(seconds):.2f} s")
