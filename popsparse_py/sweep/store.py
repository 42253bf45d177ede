"""Results as JSON lines, one a point, that survive a process killed at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type

from popsparse_planner import FormatError, PlanError

try:
    import fcntl
except ImportError:  # no file locks on this system
    fcntl = None  # type: ignore[assignment]

HEADER = {"schema": "popsparse.sweep/1"}


class Store:
    """A JSONL file that is being filled; use it as a context manager.

    lines: results by id, those of an earlier run included. A last line that was cut short is dropped: its point counts
    as not done. Raises PlanError if the file exists and `resume` is False or another process fills it, FormatError if
    it is no result of a sweep.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        if path.exists() and not resume:
            raise PlanError(f"{path} exists: --resume goes on with it, or remove it first")
        self.path = path
        self._file = open(path, "a+b")  # noqa: SIM115, closed in __exit__
        try:
            self._lock()
            self.lines = self._read()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PlanError(f"{self.path} is being filled by another process: wait for it") from None

    def _read(self) -> Dict[str, Mapping[str, Any]]:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        lines = [_line(self.path, number, line) for number, line in enumerate(whole.splitlines(), 1)]
        if not lines:
            self._append(HEADER)
        elif lines[0] != HEADER:
            raise FormatError(f"{self.path} does not start with {json.dumps(HEADER)}: not the results of a sweep")
        return {str(line["id"]): line for line in lines[1:]}

    def add(self, line: Mapping[str, Any]) -> None:
        """Writes one result through to the disk; a point that is there already is refused with PlanError."""
        if line["id"] in self.lines:
            raise PlanError(f"{self.path} holds point {line['id']} already")
        self._append(line)
        self.lines[str(line["id"])] = line

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(line, sort_keys=True, allow_nan=False) + "\n").encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._file.close()


def _line(path: Path, number: int, line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise FormatError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(found, dict) or (number > 1 and "id" not in found):
        raise FormatError(f"{path}, line {number}: not the result of a point")
    return found
