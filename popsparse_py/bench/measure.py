"""A measurement: a function of this package run in a process of its own, timed, against the bound it should keep."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Dict, NamedTuple, Optional

from popsparse_planner.errors import PopsparseError


class BenchError(PopsparseError, RuntimeError):
    """A measurement ended without a result."""


class Case(NamedTuple):
    """What is measured: popsparse_py.bench.<module>.<function>() in its own process; bounds on its result."""

    name: str
    module: str
    function: str
    bound_seconds: float
    bound_bytes: Optional[int] = None


@dataclass(frozen=True)
class Measurement:
    """Seconds of one case, and the peak bytes of the process that ran it; note: what else the function reports."""

    case: Case
    seconds: float
    peak_bytes: int
    note: str

    @property
    def within(self) -> bool:
        """Whether the bounds are kept."""
        bytes_kept = self.case.bound_bytes is None or self.peak_bytes <= self.case.bound_bytes
        return self.seconds <= self.case.bound_seconds and bytes_kept

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return {
            "name": self.case.name,
            "seconds": self.seconds,
            "bound_seconds": self.case.bound_seconds,
            "peak_bytes": self.peak_bytes,
            "bound_bytes": self.case.bound_bytes,
            "within": self.within,
            "note": self.note,
        }


def measure(case: Case) -> Measurement:
    """Runs a case in a fresh Python; BenchError with the end of its output if it fails."""
    command = [sys.executable, "-m", f"{__package__}.child", case.module, case.function]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise BenchError(f"{case.name}: exit code {done.returncode}: {last}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Measurement(case, found["seconds"], found["peak_bytes"], found["note"])
