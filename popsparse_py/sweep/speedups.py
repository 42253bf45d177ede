"""The published grid of speed-ups over dense: a table of n by m for each block size and density."""

from __future__ import annotations

from fractions import Fraction
from html import escape
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from popsparse_planner.measured import load_static_points

from .points import density_of

_Key = Tuple[int, str, int, int]


def measured_speedups() -> Dict[_Key, float]:
    """Measured speed-up by block size, density as a fraction, m and n."""
    known = {}
    for point in load_static_points():
        if point.speedup is not None:
            density = str(Fraction(point.density).limit_denominator(1024))
            known[(point.b, density, point.m, point.n)] = point.speedup
    return known


def speedup_tables(lines: Sequence[Mapping[str, Any]]) -> str:
    """HTML tables; a cell reads predicted / measured, its colour is the prediction's (blue faster, orange slower)."""
    measured = measured_speedups()
    cells = {(one["block_size"], one["density"], one["m"], one["n"]): one for one in lines}
    shown: List[str] = []
    for b in sorted({key[0] for key in cells}):
        for density in sorted({key[1] for key in cells if key[0] == b}, key=lambda d: -density_of({"density": d})):
            shown.append(_table(b, density, cells, measured))
    return f'<div class="tables">{"".join(shown)}</div>'


def _table(b: int, density: str, cells: Mapping[_Key, Mapping[str, Any]], measured: Mapping[_Key, float]) -> str:
    sides = sorted({key[2] for key in cells if key[:2] == (b, density)})
    widths = sorted({key[3] for key in cells if key[:2] == (b, density)})
    head = "".join(f'<th scope="col" class="number">m = {m}</th>' for m in sides)
    rows = []
    for n in widths:
        row = [_cell(cells.get((b, density, m, n)), measured.get((b, density, m, n))) for m in sides]
        rows.append(f'<tr><th scope="row" class="number">n = {n}</th>{"".join(row)}</tr>')
    title = f"b = {b}, density {density}: predicted / measured"
    return f"<table><caption>{escape(title)}</caption><thead><tr><td></td>{head}</tr></thead>{''.join(rows)}</table>"


def _cell(line: Optional[Mapping[str, Any]], measured: Optional[float]) -> str:
    if line is None:
        return "<td></td>"
    second = "" if measured is None else f" / <b>{measured:.2f}</b>"
    speedup = line.get("speedup_vs_dense")
    if not line["fits"] or speedup is None:
        return f'<td class="number">no plan{second}</td>'
    data = f'data-predicted="{speedup:.6g}"' + ("" if measured is None else f' data-measured="{measured:.6g}"')
    return f'<td class="number" style="background:{_colour(speedup)}" {data}>{speedup:.2f}{second}</td>'


def _colour(speedup: float) -> str:
    """Light enough for black text: towards blue above 1, towards orange below."""
    share = min(abs(speedup - 1) / 2 if speedup > 1 else (1 / max(speedup, 1e-3) - 1) / 4, 1.0)
    strong = (86, 180, 233) if speedup > 1 else (230, 159, 0)
    mixed = [round(255 + share * 0.85 * (part - 255)) for part in strong]
    return f"rgb({mixed[0]},{mixed[1]},{mixed[2]})"
