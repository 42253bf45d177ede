"""Which torch the operators and layers work with."""

from __future__ import annotations

import re

from ..formats.optional import need

OLDEST = (2, 4)  # torch.library.custom_op came with it


def require_torch() -> None:
    """ImportError, saying what to do, unless a torch is installed that has what the operators need."""
    check_version(need("torch", "popsparse_py.nn").__version__)


def check_version(version: str) -> None:
    """ImportError if `version` is older than OLDEST."""
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if found < OLDEST:
        raise ImportError(
            f"popsparse_py.nn needs torch >= {OLDEST[0]}.{OLDEST[1]}, found {version}: upgrade torch, or use spmm, "
            "linear and sddmm, which take tensors of older versions (without gradients)"
        )
