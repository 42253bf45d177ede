"""Products timed on a GPU, for a terminal."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from rich.table import Table

from ..cli.output import new_table

Row = Dict[str, Any]
OURS, DENSE = "popsparse", "dense"
_COLUMNS = ("m", "k", "n", "b", "d", "dtype", "ours", "planned", "dense", "best sparse peer")


def rival_of(row: Row) -> Tuple[str, float]:
    """The fastest sparse library of a row and its seconds; ("", infinity) where there is none."""
    rivals = {name: seconds for name, seconds in row["seconds"].items() if name not in (OURS, DENSE)}
    name = min(rivals, key=lambda one: rivals[one], default="")
    return name, rivals.get(name, float("inf"))


def verdict(rows: List[Row]) -> str:
    """How often ours is the fastest of all, and what failed or is absent everywhere."""
    timed = [row for row in rows if "failed" not in row]
    won = sum(row["seconds"][OURS] <= min(row["seconds"].values()) for row in timed)
    absent = set.intersection(*(set(row["absent"]) for row in timed)) if timed else set()
    text = f"fastest of all on {won} of {len(rows)} shapes"
    text += f"; {len(rows) - len(timed)} failed" if len(timed) < len(rows) else ""
    return text + (f"; absent: {', '.join(sorted(absent))}" if absent else "")


def table(rows: List[Row]) -> Table:
    """A line for each row: microseconds, medians."""
    view = new_table("products on the GPU; microseconds, medians")
    for name in _COLUMNS:
        view.add_column(name, justify="right")
    for row in rows:
        cells = [str(row[name]) for name in ("m", "k", "n", "block_size", "density", "dtype")]
        if "failed" in row:
            view.add_row(*cells, row["failed"])
            continue
        seconds, (rival, least) = row["seconds"], rival_of(row)
        times = [_us(seconds[OURS]), _us(row["plan"]["planned_seconds"]), _us(seconds.get(DENSE))]
        view.add_row(*cells, *times, f"{rival} {_us(least)}" if rival else "")
    return view


def _us(seconds: Any) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.1f}"
