"""A report as one page: its tables written out, its figures drawn in the browser from the report's own JSON.

Plain SVG and canvas with a few hundred lines of script: no plotting library, so a page is small, prints, and loads
nothing; its content policy forbids any request.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any, List, Mapping, Optional

from .gpu import GPU_SCHEMA
from .views import View, headline, views

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("common.js", "tiles.js", "mask.js", "timeline.js", "charts.js", "main.js", "sort.js")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_ORDER = (
    ("bounds", "What takes the time", ()),
    ("kernel", "Kernel", ()),
    ("partition", "Partition", ("mask",)),
    ("tiles", "Tile balance", ("tiles",)),
    ("memory", "Memory", ("memory",)),
    ("supersteps", "Timeline", ("timeline",)),
    ("cycles", "Cycles", ("cycles",)),
    ("flops", "Operations", ("roofline",)),
    ("dynamic", "Buckets", ()),
    ("propagation", "Propagation", ()),
    ("kinds", "Patterns", ()),
    ("crossover", "Crossover", ("crossover",)),
    ("candidates", "Alternatives", ()),
    ("validation", "How sure", ()),
)
_SIDE_BY_SIDE = ("partition", "flops")  # a square figure beside a narrow table
_CAPTIONS = {
    "mask": "W's blocks, coloured by the tile that multiplies them (first part of n).",
    "tiles": "One square a tile, by number from left to right; grey: nothing. Point at one for its numbers.",
    "memory": "Fullest tile at its fullest moment; the dashed line is what a tile has.",
    "timeline": "One call. Wheel or buttons zoom, dragging moves. Control: all launch, control and layout work.",
    "cycles": "Slowest tile of each step, summed by part.",
    "roofline": "Roofs: the chip's matrix units and its exchange (solid), these codelets spread evenly (dashed).",
    "crossover": "Above the dashed line sparse is predicted to be faster.",
}


def page(fields: Mapping[str, Any]) -> str:
    """The HTML text of a whole page."""
    shown = {view.name: view for view in views(fields)}
    sections = [_section(fields, name, title, figures, shown.get(name)) for name, title, figures in _ORDER]
    numbers = escape(fields["provenance"]["numbers"])
    links = [f'<a href="#{name}">{escape(title)}</a>' for (name, title, _), body in zip(_ORDER, sections) if body]
    data = json.dumps(fields, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(_title(fields))}</title>",
        f"<style>\n{page_file('style.css')}</style>\n</head>\n<body>",
        f"<header>\n<h1>{escape(headline(fields))}</h1>",
        _verdict(fields),
        f'<nav aria-label="Sections">{" ".join(links)}</nav>\n</header>\n<main>',
        *(body for body in sections if body),
        f"</main>\n<footer><p>{numbers}. {_digests(fields)}</p></footer>",
        f'<script type="application/json" id="report">{data}</script>',
        "<script>\n" + "\n".join(page_file(name) for name in _SCRIPTS) + "</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def frame(fields: Mapping[str, Any]) -> str:
    """The page inside an iframe that may run its own script and nothing else."""
    title, content = escape(_title(fields), quote=True), escape(page(fields), quote=True)
    style = "width:100%;height:900px;border:1px solid #d0d7de"
    return f'<iframe title="{title}" sandbox="allow-scripts" style="{style}" srcdoc="{content}"></iframe>'


def page_file(name: str) -> str:
    """The text of a style or script that pages hold."""
    return (_PAGE / name).read_text(encoding="utf-8")


def _title(fields: Mapping[str, Any]) -> str:
    p = fields["problem"]
    return f"popsparse report: {p['mode']} {p['m']} x {p['k']} x {p['n']}"


def _digests(fields: Mapping[str, Any]) -> str:
    names = {"pattern_sha256": "pattern", "target_sha256": "target"}
    found = [f"{word} {fields['provenance'][key][:12]}" for key, word in names.items() if fields["provenance"][key]]
    sums = f"; SHA-256: {', '.join(found)}" if found else ""
    return escape(f"{fields['schema']}{sums}")


def _verdict(fields: Mapping[str, Any]) -> str:
    verdict = fields["verdict"]
    kinds = {"yes": "good", "no": "bad", "unsure": "unsure", None: "good"}
    kind = kinds[verdict["faster_than_dense"]] if verdict["fits"] else "bad"
    lines = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in verdict["sentences"])
    return f'<div class="verdict {kind}" role="region" aria-label="Verdict">\n{lines}\n</div>'


def _section(fields: Mapping[str, Any], name: str, title: str, figures: Any, view: Optional[View]) -> str:
    drawn = [_figure(figure) for figure in figures if _has(fields, figure)]
    if view is None and not drawn:
        return ""
    body = drawn + ([] if view is None else _table(view, title))
    if name in _SIDE_BY_SIDE and drawn and view is not None:
        body = ['<div class="pair">', *drawn, "<div>", *_table(view, title), "</div>", "</div>"]
    return "\n".join(
        [f'<section id="{name}" aria-label="{escape(title)}">', f"<h2>{escape(title)}</h2>", *body, "</section>"]
    )


def _has(fields: Mapping[str, Any], figure: str) -> bool:
    """Whether the report holds what a figure draws."""
    cross = fields["crossover"]
    if figure == "crossover":
        return bool(cross and any(cell["fits"] for cell in cross["cells"]))
    if fields["schema"] == GPU_SCHEMA:
        return False
    known = {
        "mask": fields["partition"]["mask"],
        "tiles": fields["cycles"]["cost"],
        "memory": fields["memory"]["capacity_bytes"],
        "timeline": fields["supersteps"],
        "cycles": fields["cycles"]["cost"],
        "roofline": fields["flops"]["roofline"]["intensity_flops_per_byte"],
    }
    return bool(known[figure])


def _figure(name: str) -> str:
    inner = ""
    if name in ("tiles", "mask", "timeline"):
        inner += '<div class="controls" role="group" aria-label="What the figure shows"></div>'
    if name == "mask":
        inner += f'<canvas role="img" aria-label="{escape(_CAPTIONS[name])}"></canvas>'
    caption = f"<figcaption>{escape(_CAPTIONS[name])}</figcaption>"
    if name in ("tiles", "mask"):
        caption += '<div class="scale"></div>'
    if name in ("tiles", "mask", "timeline"):
        caption += '<div class="readout" aria-live="polite"></div>'
    return f'<figure data-figure="{name}">{inner}{caption}</figure>'


def _table(view: View, heading: str) -> List[str]:
    caption = "" if view.title == heading else f"\n<caption>{escape(view.title)}</caption>"
    long = len(view.rows) > 20
    heads = "".join(f'<th scope="col"{_number(is_number)}>{escape(text)}</th>' for text, is_number in view.columns)
    rows = [
        "<tr>" + "".join(f"<td{_number(c[1])}>{escape(text)}</td>" for text, c in zip(row, view.columns)) + "</tr>"
        for row in view.rows
    ]
    kind = ' class="sortable"' if view.name == "candidates" else ""
    lines = [
        f'<div class="scroll{" long" if long else ""}" tabindex="0" role="region" aria-label="{escape(view.title)}">',
        f"<table{kind}>{caption}\n<thead><tr>{heads}</tr></thead>\n<tbody>",
        *rows,
        "</tbody>\n</table>\n</div>",
    ]
    if view.note:
        lines.append(f'<p class="note">{escape(view.note)}</p>')
    return lines


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
