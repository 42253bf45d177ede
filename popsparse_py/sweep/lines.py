"""A picture of lines on logarithmic axes: predictions joined, measurements as hollow marks."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from math import log
from typing import Any, Collection, Dict, List, Mapping, Sequence, Tuple

from popsparse_planner.measured import DATA_FOLDER

from .points import Figure, density_of

_WIDTH, _HEIGHT = 800, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 520, 20, 380
# Okabe and Ito's colours, apart for all kinds of colour vision, and a mark of its own for each.
_COLOURS = {"": "#555555", "1": "#0072b2", "4": "#d55e00", "8": "#009e73", "16": "#cc79a7"}
_METHODS = {"dense": "dense", "static_sparse": "static", "dynamic_sparse": "dynamic"}
_DASHES = {"popsparse": "", "balanced": "7 4", "quantile": "7 4"}


@dataclass(frozen=True)
class Series:
    """Points (x, TFLOP/s) of one name; block_size "" for dense or where x is the block size."""

    name: str
    mode: str
    block_size: str
    strategy: str
    points: Tuple[Tuple[float, float], ...]
    is_measured: bool = False


def predicted_series(figure: Figure, lines: Sequence[Mapping[str, Any]]) -> List[Series]:
    """The best predicted rate over `best_over` of each x, by mode, strategy and block size."""
    found: Dict[Tuple[str, str, str], Dict[float, float]] = {}
    for line in lines:
        if not line["fits"]:
            continue
        dense, x = line["mode"] == "dense", _x_of(figure, line)
        b = "" if dense or figure.x == "block_size" else str(line["block_size"])
        strategy = "" if dense else line["strategy"]
        rates = found.setdefault((line["mode"], strategy, b), {})
        rate = line["profiled_tflops"]
        rates[x] = max(rates.get(x, 0.0), rate) if figure.best_over else rate
    return [
        Series(_name(mode, strategy, b, "predicted"), mode, b, strategy, tuple(sorted(rates.items())))
        for (mode, strategy, b), rates in sorted(found.items())
    ]


def measured_series(figure: Figure, modes: Collection[str]) -> List[Series]:
    """The measured FP16 rates on a Bow of a published figure, of products of these modes."""
    found: Dict[Tuple[str, str], List[Tuple[float, float]]] = {}
    with (DATA_FOLDER / "paper_lines.csv").open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            wanted = row["figure"] == figure.measured and row["device"] == "IPU" and row["type"] == "FP16"
            if wanted and _METHODS.get(row["method"]) in modes:
                method = _METHODS[row["method"]]
                b = "" if method == "dense" or figure.x == "block_size" else row["b"]
                found.setdefault((method, b), []).append((float(row["x_value"]), float(row["flops"]) / 1e12))
    return [
        Series(_name(method, "", b, "measured"), method, b, "", tuple(sorted(points)), True)
        for (method, b), points in sorted(found.items())
    ]


def _name(mode: str, strategy: str, b: str, kind: str) -> str:
    words = [mode, strategy, f"b = {b}" if b else ""]
    return f"{' '.join(word for word in words if word)}, {kind}"


def _x_of(figure: Figure, line: Mapping[str, Any]) -> float:
    return density_of(line) if figure.x == "density" else float(line[figure.x])


def lines_svg(figure: Figure, lines: Sequence[Mapping[str, Any]]) -> str:
    """The picture as SVG text; each mark carries its numbers as a tooltip and as data-x and data-y."""
    modes = {line["mode"] for line in lines}
    series = predicted_series(figure, lines) + (measured_series(figure, modes) if figure.measured else [])
    values = [point for one in series for point in one.points]
    if not values:
        return "<p>No point of this picture is planned yet.</p>"
    xs, ys = sorted({x for x, _ in values}), [y for _, y in values]
    x_of = _scale(xs[0], xs[-1], _LEFT + 14, _RIGHT - 14)
    y_of = _scale(min(ys) / 1.3, max(ys) * 1.3, _BOTTOM, _TOP)
    label = f"{figure.title}: " + "; ".join(one.name for one in series)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}" font-size="12">',
        *_axes(figure, xs, ys, x_of, y_of),
    ]
    for index, one in enumerate(series):
        parts += _drawn(one, index, x_of, y_of)
    return "\n".join([*parts, "</svg>"])


def _scale(low: float, high: float, start: float, stop: float) -> Any:
    span = log(high / low) or 1.0
    return lambda value: start + log(value / low) / span * (stop - start)


def _axes(figure: Figure, xs: Sequence[float], ys: Sequence[float], x_of: Any, y_of: Any) -> List[str]:
    frame = f'x="{_LEFT}" y="{_TOP}" width="{_RIGHT - _LEFT}" height="{_BOTTOM - _TOP}"'
    parts = [f'<rect {frame} fill="none" stroke="#d0d7de"/>']
    for x in xs:
        text = str(Fraction(x).limit_denominator(4096)) if figure.x == "density" else f"{x:g}"
        parts.append(f'<text x="{x_of(x):.1f}" y="{_BOTTOM + 17}" text-anchor="middle">{text}</text>')
    for y in (step * 10.0**power for power in range(-4, 5) for step in (1, 2, 5)):
        if min(ys) / 1.3 <= y <= max(ys) * 1.3:
            parts.append(f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y_of(y):.1f}" y2="{y_of(y):.1f}" stroke="#e6e9ed"/>')
            parts.append(f'<text x="{_LEFT - 5}" y="{y_of(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    name = {"m": "feature size m = k", "block_size": "block size"}.get(figure.x, figure.x)
    middle = (_LEFT + _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_BOTTOM + 38}" text-anchor="middle" font-size="13">{name}</text>')
    return [*parts, f'<text x="4" y="{_TOP - 6}" font-size="13">TFLOP/s</text>']


def _drawn(one: Series, index: int, x_of: Any, y_of: Any) -> List[str]:
    colour = _COLOURS.get(one.block_size, "#555555")
    if not one.block_size and one.mode != "dense":
        colour = {"balanced": "#d55e00", "quantile": "#d55e00"}.get(one.strategy, "#0072b2")
    places = [(x_of(x), y_of(y)) for x, y in one.points]
    parts, y = [], _TOP + 10 + 19 * index
    if not one.is_measured:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{_DASHES.get(one.strategy, "2 3")}"'
        parts.append(f'<polyline points="{path}" {style}/>')
        parts.append(f'<line x1="{_RIGHT + 10}" x2="{_RIGHT + 34}" y1="{y}" y2="{y}" {style}/>')
    for (px, py), (x, rate) in zip(places, one.points):
        title = f"<title>{escape(one.name)}: {rate:.2f} TFLOP/s at {x:g}</title>"
        data = f'data-series="{escape(one.name)}" data-x="{x:g}" data-y="{rate:.6g}"'
        parts.append(f"<g {data}>{_mark(px, py, colour, one.is_measured)}{title}</g>")
    parts.append(_mark(_RIGHT + 22, y, colour, one.is_measured))
    return [*parts, f'<text x="{_RIGHT + 40}" y="{y + 4}">{escape(one.name)}</text>']


def _mark(x: float, y: float, colour: str, is_measured: bool) -> str:
    """A hollow square for what was measured, a dot for what is predicted."""
    if is_measured:
        box = f'x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12"'
        return f'<rect {box} fill="none" stroke="{colour}" stroke-width="2.5"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
