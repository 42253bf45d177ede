"""The page of a sweep: its pictures, then every point in a table that can be sorted."""

from __future__ import annotations

from html import escape
from typing import Any, List, Mapping

from popsparse_planner.report.html import POLICY, page_file

from .lines import lines_svg
from .points import Figure, Sweep, text_of
from .speedups import speedup_tables

_STYLE = """
.tables { display: flex; flex-wrap: wrap; gap: 6px 24px; overflow-x: auto; }
.tables table { font-size: .8rem; }
.tables th, .tables td { padding: 2px 5px; }
figure { overflow-x: auto; }
figure > svg { max-width: 900px; min-width: 640px; }
"""
_COLUMNS = (
    ("m", "m", "d"),
    ("k", "k", "d"),
    ("n", "n", "d"),
    ("b", "block_size", "d"),
    ("cycles", "total_cycles", ",.0f"),
    ("TFLOP/s", "profiled_tflops", ".2f"),
    ("over dense", "speedup_vs_dense", ".2f"),
    ("bytes", "peak_bytes", ",.0f"),
)
_DYNAMIC_COLUMNS = (  # shown where there are dynamic plans
    ("steps", "steps", ",d"),
    ("spilled", "spilled_blocks", ",d"),
    ("overfull cells", "overfull_cells", ",d"),
    ("P(propagation) model", "model_probability", ".2%"),
    ("drawn", "simulated_probability", ".2%"),
)
_WORDS = (("density", "density"), ("mode", "mode"), ("strategy", "strategy"), ("dtype", "dtype"), ("kind", "kind"))


def index_page(sweep: Sweep, lines: Mapping[str, Mapping[str, Any]]) -> str:
    """HTML text that needs no network. lines: results by id; points without one are counted as missing."""
    done = [lines[identity] for identity in sweep.points if identity in lines]
    unfit = sum(not line["fits"] for line in done)
    summary = f"{len(done):,} of {len(sweep.points):,} points planned; {unfit:,} do not fit."
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">',
        f"<title>{escape(sweep.name)}</title>\n<style>{page_file('style.css')}{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(sweep.name)}</h1>\n<p>{escape(summary)} Rates and speed-ups are of nonzeros, without sync as "
        "published ones are; lines are predicted, squares measured. Nothing here was measured by this project.</p>",
        *(_section(sweep, figure, lines) for figure in sweep.figures),
        f"<h2>Points</h2>\n{_table(done)}",
        f"<script>{page_file('sort.js')}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _section(sweep: Sweep, figure: Figure, lines: Mapping[str, Mapping[str, Any]]) -> str:
    found = [lines[identity] for identity in sweep.grids[figure.grid] if identity in lines]
    body = speedup_tables(found) if figure.kind == "speedup" else f"<figure>{lines_svg(figure, found)}</figure>"
    return f"<section><h2>{escape(figure.title)}</h2>{body}</section>"


def _table(done: List[Mapping[str, Any]]) -> str:
    columns = _COLUMNS + (_DYNAMIC_COLUMNS if any(line["mode"] == "dynamic" for line in done) else ())
    heads = [f'<th scope="col" class="number">{name}</th>' for name, _, _ in columns]
    heads += [f'<th scope="col">{name}</th>' for name, _ in _WORDS] + ['<th scope="col">note</th>']
    rows = []
    for line in done:
        cells = [f'<td class="number">{text_of(line.get(key), form)}</td>' for _, key, form in columns]
        cells += [f"<td>{escape(str(line[key]))}</td>" for _, key in _WORDS]
        rows.append(f"<tr>{''.join(cells)}<td>{escape(line['error'])}</td></tr>")
    table = f'<table class="sortable"><thead><tr>{"".join(heads)}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="scroll long" tabindex="0" role="region" aria-label="All points">{table}</div>'
