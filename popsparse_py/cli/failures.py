"""Which errors a user is told in one line, and with what exit code."""

import sys
from typing import Optional

from .requests import UsageError

INTERRUPTED = 130  # 128 + SIGINT, as shells do


def exit_code(error: Exception) -> Optional[int]:
    """2 if what was asked for is wrong, 1 if it could not be done, None if the error is a fault of the program."""
    own = sys.modules.get("popsparse_planner.errors")  # no error of the project can have been raised without it
    if own is not None and isinstance(error, own.TargetUnavailableError):
        return 2
    if isinstance(error, (UsageError, OSError)):
        return 2
    if isinstance(error, (ImportError, MemoryError)):
        return 1
    if own is None or not isinstance(error, own.PopsparseError):
        return None
    return 1 if isinstance(error, RuntimeError) else 2


def one_line(error: Exception) -> str:
    """The error's message without line breaks; its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
