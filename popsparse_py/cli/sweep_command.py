"""`popsparse sweep`: a TOML grid planned in parallel, into JSON lines and a page; goes on where it was stopped."""

from __future__ import annotations

from popsparse_planner.report.files import write_whole

from ..sweep.index import index_page
from ..sweep.points import PUBLISHED, load_sweep
from ..sweep.run import remaining, results
from ..sweep.store import Store
from .output import Output
from .requests import SweepRequest, UsageError


def execute(request: SweepRequest) -> int:
    """Plans what is not done yet and writes the page; 0, points that do not fit included."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    path = PUBLISHED if str(request.sweep) == "published" else request.sweep
    if request.jobs < 1:
        raise UsageError(f"-j must be at least 1, got {request.jobs}")
    sweep = load_sweep(path)
    with Store(request.out, resume=request.resume) as store:
        left = remaining(sweep, store.lines)
        found = len(sweep.points) - len(left)
        with output.step_bar(sweep.name, len(sweep.points), found) as advance:
            for line in results(left, request.jobs):
                store.add(line)
                advance()
        lines = {identity: store.lines[identity] for identity in sweep.points}
    if request.html is not None:
        write_whole(request.html, index_page(sweep, lines).encode())
    unfit = sum(not line["fits"] for line in lines.values())
    fields = {
        "schema": "popsparse.cli.sweep/1",
        "name": sweep.name,
        "points": len(lines),
        "planned_now": len(left),
        "found": found,
        "unfit": unfit,
        "out": str(request.out),
        "html": None if request.html is None else str(request.html),
    }
    output.show(f"{len(lines):,} points: {len(left):,} planned now, {found:,} found; {unfit:,} do not fit", fields)
    return 0
