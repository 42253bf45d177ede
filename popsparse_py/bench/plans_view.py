"""Tables of the comparison of plans."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from rich.table import Table

from ..cli.output import new_table
from .plans import Compared, geometric_mean

_MOST_ROWS = 12  # of the cells where we lose, and of the worst ones


def summary(found: Sequence[Compared], partials: str) -> List[Dict[str, Any]]:
    """One line per kind of pattern and block size, and one of all: mean, worst cell, cells slower, cells unfit."""
    keys = sorted({(one.group.kind, one.group.block_size) for one in found})
    lines = [
        _line(kind, str(b), [o for o in found if (o.group.kind, o.group.block_size) == (kind, b)], partials)
        for kind, b in keys
    ]
    return [*lines, _line("all", "all", found, partials)]


def _line(kind: str, b: str, found: Sequence[Compared], partials: str) -> Dict[str, Any]:
    rated = [(ratio, name_of(one)) for one in found for ratio in [one.ratio(partials)] if ratio is not None]
    least, where = min(rated, default=(None, None))
    return {
        "kind": kind,
        "b": b,
        "cells": len(found),
        "geometric_mean": round(geometric_mean([ratio for ratio, _ in rated]), 4) if rated else None,
        "smallest": None if least is None else round(least, 4),
        "smallest_at": where,
        "slower": sum(ratio < 1 for ratio, _ in rated),
        "not_planned": sum(one.ours[partials] is None for one in found),
        "popsparse_refuses": sum(one.popsparse is None for one in found),
    }


def name_of(one: Compared) -> str:
    """The cell in words."""
    group = one.group
    kind = "" if group.kind == "uniform" else f"{group.kind} "
    return f"{kind}m={group.m} b={group.block_size} d=1/{group.one_in} n={one.n}"


def summary_table(title: str, lines: Sequence[Dict[str, Any]]) -> Table:
    """The lines of `summary`."""
    table = new_table(title, "pattern")
    for name in ("b", "cells", "times faster (geometric mean)", "least", "slower", "not planned", "popsparse refuses"):
        table.add_column(name, justify="right")
    table.add_column("least at")
    for line in lines:
        numbers = [_times(line["geometric_mean"]), _times(line["smallest"])]
        counts = [str(line[name]) for name in ("slower", "not_planned", "popsparse_refuses")]
        table.add_row(line["kind"], line["b"], str(line["cells"]), *numbers, *counts, line["smallest_at"] or "")
    return table


def cells_table(found: Sequence[Compared], partials: str) -> Table:
    """The cells with the smallest ratios, and what their cycles are made of."""
    rated = [(ratio, one) for one in found for ratio in [one.ratio(partials)] if ratio is not None]
    worst = sorted(rated, key=lambda pair: pair[0])[:_MOST_ROWS]
    table = new_table(f"cells with the least gain, {partials} partials on ours; cycles popsparse / ours", "cell")
    parts = ("total", "compute", "exchange", "reduce", "sync", "other")
    for name in ("times faster", *parts):
        table.add_column(name, justify="right")
    for ratio, one in worst:
        ours, theirs = one.ours[partials] or {}, one.popsparse or {}
        cycles = [f"{theirs[name]:,.0f} / {ours[name]:,.0f}" for name in parts]
        table.add_row(name_of(one), _times(ratio), *cycles)
    return table


def ablation(
    steps: Sequence[Tuple[str, Tuple[str, ...]]], cycles: Sequence[Sequence[Optional[float]]]
) -> List[Dict[str, Any]]:
    """Each step against the one with no idea: geometric mean of the ratio over the cells where every step fits."""
    whole = [row for row in cycles if all(one is not None for one in row)]
    lines = []
    for index, (name, without) in enumerate(steps):
        ratios = [float(row[0] or 0) / float(row[index] or 1) for row in whole]
        times = round(geometric_mean(ratios), 4) if ratios else None
        lines.append({"step": name, "without": list(without), "cells": len(whole), "times": times})
    return lines


def ablation_table(lines: Sequence[Dict[str, Any]]) -> Table:
    """The lines of `ablation`: ideas added one after the other, then each left out alone."""
    full = next((line["times"] for line in reversed(lines) if not line["without"]), None)
    table = new_table("what each idea brings, float16 partials; the published partition as balanced runs it = 1", "")
    for name in ("times faster", "share of all ideas"):
        table.add_column(name, justify="right")
    for line in lines:
        share = "" if full is None or line["times"] is None else f"{line['times'] / full:.3f}"
        table.add_row(line["step"], _times(line["times"]), share)
    return table


def _times(ratio: Optional[float]) -> str:
    return "" if ratio is None else f"{ratio:.3f}x"
