"""What a command writes: one JSON object, a verdict, or tables on stdout; progress on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Optional

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_WIDTH_OF_A_PIPE = 120  # columns, where there is no terminal to fit


def new_table(title: str, *columns: str) -> Table:
    """An empty table with its title at the left and columns of text."""
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width: Optional[int] = None if stream.isatty() else _WIDTH_OF_A_PIPE
    return Console(stderr=stderr, width=width, highlight=False, markup=False)


class Output:
    """The two streams of a command as its options want them: as_json and quiet of its request."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet
        self._out, self._err = _console(stderr=False), _console(stderr=True)

    @property
    def console(self) -> Console:
        """Standard output."""
        return self._out

    def note(self, text: str) -> None:
        """A line on stderr; nothing if quiet or for JSON."""
        if not (self.as_json or self.quiet):
            self._err.print(text, soft_wrap=True)

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Shows `what` with a spinner on stderr while the body runs; nothing if quiet, for JSON or off a terminal."""
        if self.as_json or self.quiet or not self._err.is_terminal:
            yield
            return
        with self._err.status(what):
            yield

    @contextmanager
    def bar(self) -> Iterator[Progress]:
        """A bar on stderr for a number of steps; hidden where `progress` is silent."""
        silent = self.as_json or self.quiet or not self._err.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._err, transient=True, disable=silent) as progress:
            yield progress

    @contextmanager
    def step_bar(self, what: str, total: int, done: int) -> Iterator[Callable[[], None]]:
        """A progress bar on stderr; the body calls what it gets after each step. Nothing if quiet."""
        hidden = self.as_json or self.quiet or not self._err.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err, disable=hidden) as progress:
            task = progress.add_task(what, total=total, completed=done)
            yield lambda: progress.advance(task)

    def show(self, verdict: str, fields: Mapping[str, Any], *views: RenderableType) -> None:
        """Prints `fields` as JSON, or the verdict alone, or the views and then the verdict, as the options want it."""
        if self.as_json:
            print(json.dumps(fields, indent=2, allow_nan=False))
        elif self.quiet:
            print(verdict)
        else:
            for view in views:
                self._out.print(view, soft_wrap=isinstance(view, Text) and not self._out.is_terminal)
            self._out.print(verdict, style="bold", soft_wrap=not self._out.is_terminal)
