"""An executed product for a reader: tables for a terminal, and the same numbers as JSON."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from popsparse_planner import StaticPlan

from ..backends.base import Trace
from ..formats import BlockSparseMatrix
from .accuracy import Accuracy
from .output import new_table
from .plan_view import compared, headline, memory_table, partition_line, step_rows

NOTE = (
    "Executed on the embedded model of a Bow IPU, on this computer: every tile, worker and exchange of the program\n"
    "runs, and its cycles are counted from work lists and bytes by rules taken from published sources.\n"
    "This project has never been run on an IPU."
)


class Run(NamedTuple):
    """One executed product; origin: where the weight comes from, in words."""

    origin: str
    matrix: BlockSparseMatrix
    x: np.ndarray
    y: np.ndarray
    plan: StaticPlan
    trace: Trace


def run_tables(done: Run, accuracy: Accuracy) -> List[RenderableType]:
    """What `popsparse run` prints above its verdict."""
    return [
        Text(f"weight: {done.origin}\n{headline(done.plan)}"),
        partition_line(done.plan),
        cycles_table(done),
        memory_table(done.plan),
        _facts(done, accuracy),
        Text(NOTE, style="italic"),
    ]


def cycle_rows(done: Run) -> List[Tuple[str, str, float, float]]:
    """(name, kind, predicted cycles, counted cycles) of each step in all serial passes, then control and sync."""
    counted: Dict[str, float] = {}
    for step in done.trace.steps:
        name = step.name.split(".")[0]  # the serial pass follows the point
        counted[name] = counted.get(name, 0.0) + step.cycles
    counted["control"], counted["sync"] = done.trace["other_cycles"], done.trace["sync_cycles"]
    predicted = {name: (kind, cycles) for name, kind, cycles in step_rows(done.plan)}
    names = [*[name for name in predicted if name not in ("control", "sync")], *counted]
    rows = []
    for name in dict.fromkeys(names):
        kind, cycles = predicted.get(name, ("", 0.0))
        rows.append((name, kind, cycles, counted.get(name, 0.0)))
    return rows


def cycles_table(done: Run) -> Table:
    """Cycles by phase: what the plan predicted and what the program's own work lists and bytes come to."""
    table = new_table("cycles by phase, of the slowest tile", "phase", "kind")
    for name in ("predicted", "counted"):
        table.add_column(name, justify="right")
    for name, kind, predicted, counted in cycle_rows(done):
        table.add_row(name, kind, f"{predicted:,.0f}", f"{counted:,.0f}")
    table.add_section()
    table.add_row("total", "", f"{done.trace['planned_cycles']:,.0f}", f"{done.trace['total_cycles']:,.0f}")
    return table


def balance(plan: StaticPlan) -> Dict[str, Any]:
    """Blocks and multiplying cycles of the tiles that have any: least, mean, most."""
    used = plan.tile_blocks > 0
    fields: Dict[str, Any] = {"tiles_used": int(np.count_nonzero(used)), "tiles": plan.target.tiles}
    for name, values in (("blocks", plan.tile_blocks[used]), ("cycles", plan.dot_cycles[used])):
        if len(values):
            fields[name] = {"least": int(values.min()), "mean": float(values.mean()), "most": int(values.max())}
    return fields


def _facts(done: Run, accuracy: Accuracy) -> Table:
    plan, trace = done.plan, done.trace
    table = Table.grid(padding=(0, 2))
    shares = balance(plan)
    for name in ("blocks", "cycles"):
        if name in shares:
            least, mean, most = (shares[name][which] for which in ("least", "mean", "most"))
            table.add_row(f"{name} of a tile", f"least {least:,}, mean {mean:,.1f}, most {most:,}")
    assert plan.memory is not None
    capacity, peak = plan.target.tile_bytes, int(trace["peak_tile_bytes"])
    table.add_row("fullest tile", f"{peak:,} of {capacity:,} B counted, {plan.memory.peak_bytes:,} B predicted")
    table.add_row("rate", f"{trace['tflops']:.2f} TFLOP/s of nonzeros counted, {plan.tflops:.2f} predicted")
    table.add_row("against dense", f"{compared(plan)}, predicted for the same chip")
    table.add_row("error", f"{accuracy.max_error:.3e} at {accuracy.at}, bound there {accuracy.bound_there:.3e}")
    table.add_row("bound", f"{accuracy.statement}, elementwise; largest error / bound {accuracy.worst_ratio:.3f}")
    table.add_row("host", f"{trace['host_seconds']:.2f} s to execute on this computer")
    return table


def run_fields(done: Run) -> Dict[str, Any]:
    """JSON-safe numbers of the run."""
    names = ("name", "kind", "predicted", "counted")
    return {
        "executed_on": "embedded model of a Bow IPU; never run on an IPU",
        "phases": [dict(zip(names, row)) for row in cycle_rows(done)],
        "balance": balance(done.plan),
        "trace": done.trace.to_dict(),
    }
