"""The machine that figures were measured on, in words; its name is none of them."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Dict, Tuple

from ..backends.cpu import available_cores, processor_name

LIBRARIES = ("popsparse_py", "numpy", "torch", "scipy", "mkl", "sparselab")


def describe() -> Dict[str, object]:
    """Processor, cores that may be used, instruction tiers, system, versions of Python and the libraries."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor_name(),
        "cores": available_cores(),
        "tiers": list(import_module("popsparse_py._core").cpu_tiers()),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def load_averages() -> Tuple[float, ...]:
    """Running processes, averages of 1, 5 and 15 minutes; empty where the system does not tell."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return ()
