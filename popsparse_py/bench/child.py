"""`python -m popsparse_py.bench.child MODULE FUNCTION`: runs one measurement and prints its result as JSON."""

from __future__ import annotations

import json
import resource
import sys
from importlib import import_module
from typing import NamedTuple


class Outcome(NamedTuple):
    """What a measuring function returns: the seconds that count, and a line about the rest."""

    seconds: float
    note: str


def main(module: str, function: str) -> None:
    """Runs popsparse_py.bench.MODULE.FUNCTION() and prints seconds, peak bytes of this process, and the note."""
    outcome: Outcome = getattr(import_module(f"{__package__}.{module}"), function)()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"seconds": outcome.seconds, "peak_bytes": peak, "note": outcome.note}))


if __name__ == "__main__":
    main(*sys.argv[1:])
