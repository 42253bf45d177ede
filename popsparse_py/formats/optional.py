"""Libraries that only some conversions need, imported when one of these is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def need(module: str, purpose: str) -> Any:
    """The module of that name; ImportError that says what for and how to get it if it is missing."""
    package = module.split(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{purpose} needs {package} ({error}): pip install {package}") from error
