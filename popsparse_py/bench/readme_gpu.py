"""The README's table of target "cuda": what a GPU measured where there is such a report, else what is predicted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from . import gpu_goals, gpu_predicted
from .gpu_goals import DENSITIES, GOALS, OVER_PEERS, SPEEDUPS, rows_of, speedup
from .readme import between
from .result_tables import RESULTS, stored

BEGIN = "<!-- gpu: written by `python -m popsparse_py.bench readme` -->"
END = "<!-- end of gpu -->"
_BELOW = """it is missed,
"dense" where auto is to take a dense copy. W 4096 x 4096, n = 4096, bfloat16, uniform random blocks."""


def with_gpu_table(text: str) -> str:
    """`text` with fresh tables between its markers, where it has them; MarkerError for one without the other."""
    if BEGIN not in text and END not in text:
        return text
    is_measured = (RESULTS / "gpu.json").exists()
    return between(text, BEGIN, END, measured_lines(stored("gpu")) if is_measured else predicted_lines())


def predicted_lines() -> List[str]:
    """What plans for an H200 say of the goals; the same on every machine."""
    report = gpu_predicted.report()
    goals = [goal for goal in GOALS if goal.found(report) is not None]
    return [
        f"Predicted for an H200, never measured: times faster than the dense product / the goal, bold where {_BELOW}",
        "",
        *_grid(report),
        "",
        "| goal | asked for | predicted |",
        "| --- | ---: | ---: |",
        *(_goal_line(report, goal) for goal in goals),
    ]


def measured_lines(report: Dict[str, Any]) -> List[str]:
    """Speed-ups over dense and over other libraries that were measured, each beside its goal."""
    machine = report["machine"]
    return [
        f"Measured on {machine['device']['name']}, {machine['date'][:10]}, torch {machine['packages']['torch']}: times",
        f"faster than cuBLAS / the goal, bold where {_BELOW}",
        "",
        *_grid(report),
        "",
        "| goal | asked for | measured |",
        "| --- | ---: | ---: |",
        *(_peer_line(report, b) for b in OVER_PEERS),
        *(_goal_line(report, goal) for goal in GOALS),
    ]


def _grid(report: Dict[str, Any]) -> List[str]:
    head = f"| b | {' | '.join(map(str, DENSITIES))} |"
    lines = [head, f"| ---: |{' ---: |' * len(DENSITIES)}"]
    for b, goals in SPEEDUPS.items():
        found = [next(map(speedup, rows_of(report, "timing", b=b, d=density)), None) for density in DENSITIES]
        lines.append(f"| {b} | {' | '.join(map(_cell, found, goals))} |")
    return lines


def _cell(value: Optional[float], goal: Optional[float]) -> str:
    wanted = "dense" if goal is None else f"{goal:g}"
    if value is None:
        return f"failed / {wanted}"
    missed = goal is not None and value < goal
    return f"**{value:.2f}** / {wanted}" if missed else f"{value:.2f} / {wanted}"


def _peer_line(report: Dict[str, Any], b: int) -> str:
    limit, peers = OVER_PEERS[b]
    ratios = [gpu_goals.over_peers(row) for row in rows_of(report, "timing", b=b)]
    least = min((ratio for ratio in ratios if ratio is not None), default=None)
    text = "not measured" if least is None else f"{least:.2f}" if least >= limit else f"**{least:.2f}**"
    return f"| b = {b}: times faster than {', '.join(peers)}, at the least | {limit:g} | {text} |"


def _goal_line(report: Dict[str, Any], goal: gpu_goals.Goal) -> str:
    value, met = goal.found(report), goal.is_met(report)
    text = "not measured" if value is None else f"{value:.2f}" if met else f"**{value:.2f}**"
    return f"| {goal.name} | {'at least' if goal.at_least else 'at most'} {goal.limit:g} | {text} |"
