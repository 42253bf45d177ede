"""A scatter plot of predicted against measured cycles as a self-contained SVG, written without a plotting library."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import List, Tuple
from xml.sax.saxutils import escape

from popsparse_planner.validation import Comparison, Validation

_SIZE, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 70, 60, 44, 20
# Colours that stay apart for all kinds of colour vision (Okabe and Ito), and a shape for print in one colour.
_MARKS = {
    "static b=1": ("#0072b2", "circle"),
    "static b=4": ("#e69f00", "square"),
    "static b=8": ("#009e73", "diamond"),
    "static b=16": ("#d55e00", "triangle"),
    "dense FP16": ("#cc79a7", "cross"),
    "dense FP32": ("#555555", "plus"),
}


def scatter_svg(found: Validation) -> str:
    """The picture: both axes logarithmic, the line of equality, and lines at +-25%; each mark has a tooltip."""
    points = [one for one in found.comparisons if one.series not in ("static_speedup", "dynamic_rates")]
    low, high = _decades(points)
    errors = found.series.get("static_cycles")
    title = f"Predicted against measured cycles on {found.target}"
    subtitle = "" if errors is None else f"static FP16: {errors.rms:.1%} rms over {errors.points} points"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}. {escape(subtitle)}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="37" fill="#444">{escape(subtitle)}</text>',
        *_grid(low, high),
        *(_line(low, high, factor) for factor in (1.0, 1.25, 0.75)),
        *(_mark(one, low, high) for one in points),
        *_legend(sorted({_kind(one) for one in points}, key=list(_MARKS).index)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _kind(one: Comparison) -> str:
    if one.b:
        return f"static b={one.b}"
    return "dense FP16" if one.series == "dense_float16" else "dense FP32"


def _decades(points: List[Comparison]) -> Tuple[int, int]:
    values = [value for one in points for value in (one.measured, one.predicted)] or [1.0, 10.0]
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _place(value: float, low: int, high: int) -> float:
    return min(max((log10(value) - low) / (high - low), 0.0), 1.0)


def _x(value: float, low: int, high: int) -> float:
    return _LEFT + _place(value, low, high) * (_SIZE - _LEFT - _RIGHT)


def _y(value: float, low: int, high: int) -> float:
    return _SIZE - _BOTTOM - _place(value, low, high) * (_SIZE - _BOTTOM - _TOP)


def _grid(low: int, high: int) -> List[str]:
    parts = []
    for decade in range(low, high + 1):
        x, y = _x(10.0**decade, low, high), _y(10.0**decade, low, high)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_SIZE - _BOTTOM}M{_LEFT} {y:.1f}H{_SIZE - _RIGHT}" stroke="#ddd"/>')
        label = f'10<tspan dy="-5" font-size="9">{decade}</tspan>'
        parts.append(f'<text x="{x:.1f}" y="{_SIZE - _BOTTOM + 18}" text-anchor="middle">{label}</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (_SIZE + _LEFT - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_SIZE - 16}" text-anchor="middle">measured cycles</text>')
    parts.append(
        f'<text transform="translate(22 {_SIZE / 2}) rotate(-90)" text-anchor="middle">predicted cycles</text>'
    )
    return parts


def _line(low: int, high: int, factor: float) -> str:
    """predicted = factor * measured, as far as it lies in the picture."""
    first, last = 10.0**low * max(1.0, 1 / factor), 10.0**high * min(1.0, 1 / factor)
    ends = [(_x(v, low, high), _y(v * factor, low, high)) for v in (first, last)]
    dash = "" if factor == 1.0 else ' stroke-dasharray="5 4"'
    return f'<path d="M{ends[0][0]:.1f} {ends[0][1]:.1f}L{ends[1][0]:.1f} {ends[1][1]:.1f}" stroke="#888"{dash}/>'


def _mark(one: Comparison, low: int, high: int) -> str:
    tip = f"{_kind(one)} {one.name}: measured {one.measured:,.0f}, predicted {one.predicted:,.0f}, {one.error:+.1%}"
    shape = _shape(_kind(one), _x(one.measured, low, high), _y(one.predicted, low, high))
    return f"<g>{shape}<title>{escape(tip)}</title></g>"


def _shape(kind: str, x: float, y: float) -> str:
    colour, form = _MARKS[kind]
    if form == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="none" stroke="{colour}"/>'
    outline = {
        "square": "m-3 -3h6v6h-6z",
        "diamond": "m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z",
        "triangle": "m0 -4l4 7h-8z",
        "cross": "m-3 -3l6 6m-6 0l6 -6",
        "plus": "m-4 0h8m-4 -4v8",
    }[form]
    return f'<path d="M{x:.1f} {y:.1f}{outline}" fill="none" stroke="{colour}"/>'


def _legend(kinds: List[str]) -> List[str]:
    parts = []
    for row, kind in enumerate(kinds):
        y = _TOP + 18 + 18 * row
        parts += [_shape(kind, _LEFT + 16, y), f'<text x="{_LEFT + 28}" y="{y + 4}">{escape(kind)}</text>']
    parts.append(f'<text x="{_LEFT + 10}" y="{_TOP + 24 + 18 * len(kinds)}" fill="#666">dashed: 25% off</text>')
    return parts
