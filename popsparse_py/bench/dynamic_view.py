"""`python -m popsparse_py.bench dynamic`: what dynamic plans are held to, each figure beside its bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from rich.table import Table

from ..cli.output import Output, new_table
from . import published_dynamic as published
from .published_dynamic import Quiet, Speed, Spill

_SKEWED = ("banded", "colskew", "hotcorner", "rowskew")


@dataclass(frozen=True)
class Figure:
    """One number beside its bound; within: whether it keeps it (at_least, else at most)."""

    name: str
    value: float
    bound: float
    at_least: bool
    note: str = ""

    @property
    def within(self) -> bool:
        """Whether the bound is kept."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def show(output: Output, folder: Path, patterns: int) -> None:
    """Measures everything on the published files in `folder` and prints it."""
    rows = {name: published.read_rows(folder, name) for name in (published.PLANS, published.SPILLS)}
    with output.progress("random patterns"):
        quiet = published.quiet_patterns(rows[published.SPILLS] + rows[published.PLANS], patterns)
    with output.progress("spills"):
        spilled = published.spills(rows[published.SPILLS])
    with output.progress("predicted speed"):
        fast = published.speeds(rows[published.PLANS])
        rates = {partials: published.best_rates(partials) for partials in ("float32", "float16")}
    figures = [*quiet_figures(quiet), *spill_figures(spilled), *speed_figures(fast), *rate_figures(rates)]
    over = [one.name for one in figures if not one.within]
    verdict = f"over: {'; '.join(over)}" if over else "all within their bounds"
    fields: Dict[str, Any] = {
        "schema": "popsparse.bench.dynamic/1",
        "figures": [dict(asdict(one), within=one.within) for one in figures],
        "quiet": [asdict(one) for one in quiet],
        "spills": [asdict(one) for one in spilled],
        "speeds": [asdict(one) for one in fast],
        "rates": {name: {"dynamic": pair[0], "static": pair[1]} for name, pair in rates.items()},
    }
    output.show(verdict, fields, _quiet_table(quiet), _spill_table(spilled), _speed_table(fast), _table(figures))


def quiet_figures(found: Sequence[Quiet]) -> List[Figure]:
    """Random patterns of the planned density, and the buckets that hold them."""
    least = min(found, key=lambda one: one.quiet / one.patterns)
    largest = max(found, key=lambda one: one.bucket_bytes / one.published_bytes)
    over = sum(one.bucket_bytes > 1.25 * one.published_bytes for one in found)
    return [
        Figure(
            "share of random patterns without propagation", least.quiet / least.patterns, 0.99, True, str(least.size)
        ),
        Figure(
            "bucket bytes over the published ones, uniform",
            largest.bucket_bytes / largest.published_bytes,
            1.25,
            False,
            f"{largest.size}; {over} of {len(found)} sizes over",
        ),
    ]


def spill_figures(found: Sequence[Spill]) -> List[Figure]:
    """Against the published runs: medians of the kinds that are not uniform, bytes of all runs."""
    skewed = [one for one in found if one.kind in _SKEWED]
    steps, theirs = (np.median([getattr(one, name) for one in skewed]) for name in ("steps", "published_steps"))
    moved, their_bytes = (sum(getattr(one, name) for one in found) for name in ("moved_bytes", "published_moved_bytes"))
    bucket = max(one.bucket_bytes / one.published_bytes for one in found)
    more = sum(10 * one.moved_bytes > one.published_moved_bytes for one in found)
    note = f"medians {steps:g} and {theirs:g} over {len(skewed)} runs"
    return [
        Figure("propagation steps of skewed kinds over the published ones", float(steps / theirs), 0.25, False, note),
        Figure(
            "bytes received in propagation over the published ones",
            moved / their_bytes,
            0.1,
            False,
            f"{moved:,} and {their_bytes:,}; above a tenth in {more} of {len(found)} runs",
        ),
        Figure("bucket bytes over the published ones, all runs", bucket, 2.0, False),
    ]


def speed_figures(found: Sequence[Speed]) -> List[Figure]:
    """Predicted speed over the published scheme."""
    factors = [one.published_cycles / one.cycles for one in found]
    mean = float(np.exp(np.mean(np.log(factors))))
    note = f"{min(factors):.2f} to {max(factors):.2f} over {len(found)} sizes"
    return [Figure("predicted speed over the published scheme, geometric mean", mean, 1.5, True, note)]


def rate_figures(rates: Dict[str, Tuple[Dict[int, float], Dict[int, float]]]) -> List[Figure]:
    """Best rates over n beside our static plans'."""
    found = []
    for partials, (dynamic, static) in rates.items():
        (n, best), (other, known) = (max(one.items(), key=lambda item: item[1]) for one in (dynamic, static))
        note = f"{best:.1f} TFLOP/s at n = {n}, {known:.1f} at n = {other}"
        name = f"best rate over that of our static plan, {partials} partials"
        found.append(Figure(name, best / known, 0.8, True, note))
    return found


def _table(figures: Sequence[Figure]) -> Table:
    table = new_table("Dynamic plans", "what")
    for name in ("value", "bound"):
        table.add_column(name, justify="right")
    for name in ("verdict", "note"):
        table.add_column(name)
    for one in figures:
        sign = ">=" if one.at_least else "<="
        table.add_row(one.name, f"{one.value:.3f}", f"{sign} {one.bound:g}", "PASS" if one.within else "over", one.note)
    return table


def _quiet_table(found: Sequence[Quiet]) -> Table:
    table = new_table("Uniform patterns of the planned density", "size")
    for name in ("without propagation", "of", "bucket B", "published B", "ratio"):
        table.add_column(name, justify="right")
    for one in found:
        ratio = f"{one.bucket_bytes / one.published_bytes:.2f}"
        counts = (
            f"{one.quiet:,}",
            f"{one.patterns:,} {one.drawn}",
            f"{one.bucket_bytes:,}",
            f"{one.published_bytes:,}",
        )
        table.add_row(str(one.size), *counts, ratio)
    return table


def _spill_table(found: Sequence[Spill]) -> Table:
    table = new_table("Published runs: median by kind", "kind")
    for name in ("runs", "steps", "published steps", "bytes", "published bytes", "bucket ratio"):
        table.add_column(name, justify="right")
    for kind in sorted({one.kind for one in found}):
        group = [one for one in found if one.kind == kind]
        medians = [np.median([getattr(one, name) for one in group]) for name in _MEDIANS]
        ratio = np.median([one.bucket_bytes / one.published_bytes for one in group])
        table.add_row(kind, str(len(group)), *(f"{value:,.0f}" for value in medians), f"{ratio:.2f}")
    return table


_MEDIANS = ("steps", "published_steps", "moved_bytes", "published_moved_bytes")


def _speed_table(found: Sequence[Speed]) -> Table:
    table = new_table("Predicted cycles of a forward call", "size", "partials")
    for name in ("ours", "published", "faster"):
        table.add_column(name, justify="right")
    for one in found:
        numbers = (f"{one.cycles:,.0f}", f"{one.published_cycles:,.0f}", f"{one.published_cycles / one.cycles:.2f}x")
        table.add_row(str(one.size), one.partials_dtype, *numbers)
    return table
