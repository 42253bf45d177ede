"""`python -m popsparse_py.bench layers`: the measurements of bench.layers as tables and a verdict."""

from __future__ import annotations

from importlib import import_module
from typing import Any, List

from rich.table import Table

from ..cli.output import Output, new_table

SCHEMA = "popsparse.bench.layers/1"
BOUND = 3.0  # times nn.Linear that a call of a small sparse layer may take


def execute(side: int, *, as_json: bool) -> None:
    """Times calls and new patterns and prints them; a slow machine is no error."""
    layers = import_module("popsparse_py.bench.layers")  # imports torch
    output = Output(as_json=as_json, quiet=False)
    with output.progress("timing calls"):
        calls = layers.calls(side)
    with output.progress("timing new patterns"):
        patterns = layers.new_patterns()
    fields = {
        "schema": SCHEMA,
        "verdict": verdict(calls),
        "side": side,
        "density": layers.DENSITY,
        "block_size": layers.BLOCK_SIZE,
        "calls": [call._asdict() for call in calls],
        "new_patterns": [pattern._asdict() for pattern in patterns],
    }
    output.show(fields["verdict"], fields, calls_table(calls, side), patterns_table(patterns))


def verdict(calls: List[Any]) -> str:
    """The slowest ratio in one sentence."""
    worst = max(calls, key=lambda call: max(call.static_seconds, call.dynamic_seconds) / call.dense_seconds)
    ratio = max(worst.static_seconds, worst.dynamic_seconds) / worst.dense_seconds
    held = f"{'within' if ratio <= BOUND else 'over'} the bound of {BOUND:g}x"
    return f"at most {ratio:.2f}x the time of nn.Linear ({worst.what}, batch {worst.batch}), {held}"


def calls_table(calls: List[Any], side: int) -> Table:
    """Microseconds and ratios."""
    view = new_table(
        f"one call of a {side} x {side} layer, d = 1/16, b = 16, one thread: microseconds (times nn.Linear)"
    )
    for name in ("call", "batch", "nn.Linear", "static", "dynamic"):
        view.add_column(name, justify="left" if name == "call" else "right")
    for call in calls:
        sparse = (call.static_seconds, call.dynamic_seconds)
        cells = [f"{seconds * 1e6:.1f} ({seconds / call.dense_seconds:.2f})" for seconds in sparse]
        view.add_row(call.what, str(call.batch), f"{call.dense_seconds * 1e6:.1f}", *cells)
    return view


def patterns_table(patterns: List[Any]) -> Table:
    """Microseconds, and nanoseconds per block."""
    view = new_table("a new pattern of a dynamic layer with Adam's state, d = 1/16, b = 16, one thread")
    for name in ("side", "blocks", "set_pattern us", "first product us", "ns a block"):
        view.add_column(name, justify="right")
    for one in patterns:
        both = one.set_seconds + one.product_seconds
        times = [f"{one.set_seconds * 1e6:.0f}", f"{one.product_seconds * 1e6:.0f}", f"{both * 1e9 / one.blocks:.0f}"]
        view.add_row(str(one.side), str(one.blocks), *times)
    return view
