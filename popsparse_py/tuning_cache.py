"""Schedules that were measured to be fastest, in a file that several processes share and that may break at any time."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

from .formats.files import replaced

SCHEMA = "popsparse.tuning/1"


class TuningCacheWarning(UserWarning):
    """The file of a TuningCache cannot be used."""


class TuningCache:
    """Entries by key, JSON objects, in one file: written whole to a new file that then takes its place.

    A file that cannot be read, is of another schema, or whose checksum is wrong counts as empty, with a
    TuningCacheWarning, and is replaced by the next `put`. A folder that cannot be written costs a warning, no error.
    """

    def __init__(self, path: Optional[os.PathLike] = None) -> None:
        self.path = default_path() if path is None else Path(path)
        self._mutex = threading.Lock()

    def get(self, key: str) -> Optional[Dict[str, Any]]:
        """The entry of `key`, None if there is none."""
        return self._read().get(key)

    def put(self, key: str, entry: Dict[str, Any]) -> None:
        """Adds or replaces an entry; those that other processes put at the same time stay."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._mutex, _locked(self.path.with_name(self.path.name + ".lock")):
                self._write({**self._read(), key: entry})
        except OSError as error:
            warnings.warn(f"{self.path} cannot be written: {error}", TuningCacheWarning, stacklevel=2)

    def _read(self) -> Dict[str, Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            return self._unusable(str(error))
        try:
            content = json.loads(text)
            schema, checksum, entries = (content[name] for name in ("schema", "checksum", "entries"))
        except (ValueError, KeyError, TypeError):
            return self._unusable("it is no such file, or only a part of one")
        if schema != SCHEMA:
            return self._unusable(f"its schema is {schema!r}, expected {SCHEMA!r}")
        if not isinstance(entries, dict) or checksum != _checksum(entries):
            return self._unusable("its checksum does not fit its entries")
        return entries

    def _unusable(self, reason: str) -> Dict[str, Any]:
        message = f"{self.path} is not used: {reason}; it will be made anew"
        warnings.warn(message, TuningCacheWarning, stacklevel=4)
        return {}

    def _write(self, entries: Dict[str, Any]) -> None:
        text = json.dumps({"schema": SCHEMA, "checksum": _checksum(entries), "entries": entries}, indent=1)
        with replaced(self.path) as part:
            part.write_text(text, encoding="utf-8")


def default_path() -> Path:
    """Where a user's caches lie by the XDG base directory specification."""
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "popsparse_py" / "cpu_tuning.json"


def _checksum(entries: Dict[str, Any]) -> str:
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among processes where the system has flock; elsewhere the last of two writers wins."""
    try:
        fcntl = import_module("fcntl")
    except ImportError:
        yield
        return
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
