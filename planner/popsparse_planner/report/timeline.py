"""The supersteps of a plan in time, for a drawing and for a trace viewer."""

from __future__ import annotations

import gzip
import json
from typing import Any, Dict, List, Mapping, Sequence

from ..plan import Step
from .facts import Plan

MOST_EVENTS = 400  # drawn; of more serial passes the first are drawn one by one, the rest as one event
LANES = ("compute", "exchange", "reduce", "other", "sync", "control")


def supersteps(plan: Plan) -> List[Dict[str, Any]]:
    """Every step with its sync, one after another from 0 to the plan's total cycles.

    name; kind: one of LANES; start_cycles, cycles; repeats: serial passes that the event stands for. "control" comes
    first and holds what belongs to no single step: launch, control code, layout changes of X and Y.
    """
    if plan.cost is None:
        return []
    steps = [step for step in plan.steps if step.cycles > 0]
    runs = sum(step.repeats for step in steps)
    sync = plan.cost.sync_cycles / runs if runs else 0.0
    busy = sum(step.cycles * step.repeats for step in steps)
    events = [_event("control", "control", 0.0, plan.cost.total_cycles - busy - sync * runs)]
    for group in _passes(steps):
        _add_passes(events, group, sync)
    return [event for event in events if event["cycles"] > 0]


def _event(name: str, kind: str, start: float, cycles: float, repeats: int = 1) -> Dict[str, Any]:
    return {"name": name, "kind": kind, "start_cycles": start, "cycles": cycles, "repeats": repeats}


def _passes(steps: Sequence[Step]) -> List[List[Step]]:
    """Neighbouring steps that are repeated together."""
    groups: List[List[Step]] = []
    for step in steps:
        if groups and groups[-1][0].repeats == step.repeats:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _add_passes(events: List[Dict[str, Any]], group: List[Step], sync: float) -> None:
    repeats = group[0].repeats
    drawn = min(repeats, max(1, MOST_EVENTS // (2 * len(group))))
    for _ in range(drawn):
        for step in group:
            for name, kind, cycles in (("sync", "sync", sync), (step.name, step.kind, step.cycles)):
                end = events[-1]["start_cycles"] + events[-1]["cycles"]
                events.append(_event(name, kind, end, cycles))
    if drawn < repeats:
        left = repeats - drawn
        cycles = left * sum(step.cycles + sync for step in group)
        end = events[-1]["start_cycles"] + events[-1]["cycles"]
        events.append(_event(f"{left:,} more passes", "other", end, cycles, left))


def chrome_trace(fields: Mapping[str, Any]) -> bytes:
    """A gzipped trace for Perfetto or chrome://tracing: supersteps by kind, and each tile's multiplying.

    Times are microseconds at the target's clock; equal reports give equal bytes.
    """
    to_us = 1e6 / fields["target"]["clock_hz"]
    events: List[Dict[str, Any]] = [_label("process_name", 0, 0, f"{fields['target']['name']}, supersteps")]
    events += [_label("thread_name", 0, lane, kind) for lane, kind in enumerate(LANES)]
    multiply = None
    for step in fields["supersteps"]:
        if step["kind"] == "compute" and multiply is None:
            multiply = step
        events.append(_slice(step["name"], 0, LANES.index(step["kind"]), step["start_cycles"], step["cycles"], to_us))
        events[-1]["args"] = {"cycles": step["cycles"], "repeats": step["repeats"]}
    if multiply is not None:
        events.append(_label("process_name", 1, 0, "tiles, multiplying in the first pass"))
        passes = max(fields["partition"]["passes"], 1)
        for tile, (cycles, blocks) in enumerate(zip(fields["tiles"]["cycles"], fields["tiles"]["blocks"])):
            if cycles:
                events.append(_slice("multiply", 1, tile, multiply["start_cycles"], cycles / passes, to_us))
                events[-1]["args"] = {"tile": tile, "blocks": blocks}
    content = {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"schema": fields["schema"]}}
    return gzip.compress(json.dumps(content, sort_keys=True, separators=(",", ":")).encode(), mtime=0)


def _label(name: str, process: int, thread: int, text: str) -> Dict[str, Any]:
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "args": {"name": text}}


def _slice(name: str, process: int, thread: int, start: float, cycles: float, to_us: float) -> Dict[str, Any]:
    times = {"ts": round(start * to_us, 6), "dur": round(cycles * to_us, 6)}
    return {"ph": "X", "name": name, "pid": process, "tid": thread, **times}
