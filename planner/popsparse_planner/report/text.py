"""A report for a terminal: tables drawn by rich, or as plain text where rich is not installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, List, Mapping

from .views import View, headline, views

_CANDIDATES_SHOWN = 8


def plain_text(fields: Mapping[str, Any]) -> str:
    """The report as lines of text, the verdict first."""
    lines = [headline(fields), *(f"  {sentence}" for sentence in fields["verdict"]["sentences"])]
    for view in map(_short, views(fields)):
        lines += ["", view.title, *_plain_table(view)]
        if view.note:
            lines.append(f"  {view.note}")
    return "\n".join(lines)


def print_report(fields: Mapping[str, Any], console: Any = None) -> None:
    """Prints the report: by rich, to `console` if given; as plain text where rich is not installed."""
    if console is None and find_spec("rich") is None:
        print(plain_text(fields))
        return
    out = console or import_module("rich.console").Console(highlight=False, markup=False)
    for renderable in renderables(fields):
        out.print(renderable)


def renderables(fields: Mapping[str, Any]) -> List[Any]:
    """What rich prints, in order; rich must be installed."""
    text, table, box = (import_module(f"rich.{name}") for name in ("text", "table", "box"))
    good = fields["verdict"]["fits"] and fields["verdict"]["faster_than_dense"] in ("yes", None)
    made: List[Any] = [text.Text(headline(fields))]
    for index, sentence in enumerate(fields["verdict"]["sentences"]):
        style = ("bold green" if good else "bold yellow") if index < 2 else ""
        made.append(text.Text(f"  {sentence}", style=style))
    for view in map(_short, views(fields)):
        drawn = table.Table(
            title=view.title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
        )
        for title, is_number in view.columns:
            drawn.add_column(title, justify="right" if is_number else "left")
        for row in view.rows:
            drawn.add_row(*row)
        made += [drawn, text.Text(f"  {view.note}\n")] if view.note else [drawn]
    return made


def _short(view: View) -> View:
    """The view, its list of candidates cut to what a terminal shows."""
    if view.name != "candidates" or len(view.rows) <= _CANDIDATES_SHOWN:
        return view
    more = f"and {len(view.rows) - _CANDIDATES_SHOWN:,} more"
    return view._replace(rows=(*view.rows[:_CANDIDATES_SHOWN], (more, *[""] * (len(view.columns) - 1))))


def _plain_table(view: View) -> List[str]:
    rows = [tuple(title for title, _ in view.columns), *view.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(view.columns))]
    return [
        "  " + "  ".join(_cell(row[i], widths[i], view.columns[i][1]) for i in range(len(row))).rstrip() for row in rows
    ]


def _cell(text: str, width: int, is_number: bool) -> str:
    return text.rjust(width) if is_number else text.ljust(width)
