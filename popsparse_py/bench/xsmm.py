"""Block-sparse products by libxsmm's batch-reduce kernels, where the user has its shared library (1.16 or 1.17)."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from typing import Any, Callable, Optional

import numpy as np

from ..formats import BlockSparseMatrix

_DISPATCH = "libxsmm_smmdispatch_reducebatch_offs"
_POINTER = ctypes.c_void_p


def library_path() -> Optional[str]:
    """$LIBXSMM, or what the system's linker finds; None if it finds none."""
    return os.environ.get("LIBXSMM") or ctypes.util.find_library("xsmm")


def product(
    w: BlockSparseMatrix,
    x: np.ndarray,  # (k, n) float32, in rows
    y: np.ndarray,  # (m, n) likewise
) -> Callable[[], np.ndarray]:
    """A call that puts w x into y: one kernel call for each block row, through ctypes, about a microsecond each.

    The kernel sums over the blocks of the row, whose offsets are made beforehand; it adds to a y of zeros. OSError if
    the library is missing or has no such kernel.
    """
    kernel = _kernel(x.shape[1], w.block_size)
    b, n, pattern = w.block_size, x.shape[1], w.pattern
    values, columns = np.ascontiguousarray(w.values), np.asarray(pattern.cols, dtype=np.uint64)
    of_x = np.ascontiguousarray(columns * np.uint64(4 * b * n))
    of_w = np.arange(len(columns), dtype=np.uint64) * np.uint64(4 * b * b)
    starts = pattern.row_offsets()
    counts = np.diff(starts).astype(np.uint64)
    rows = [
        tuple(
            _POINTER(address)
            for address in (
                x.ctypes.data,
                values.ctypes.data,
                y.ctypes.data + 4 * b * n * row,
                counts.ctypes.data + 8 * row,
                of_x.ctypes.data + 8 * int(starts[row]),
                of_w.ctypes.data + 8 * int(starts[row]),
            )
        )
        for row in np.flatnonzero(counts).tolist()
    ]

    def call() -> np.ndarray:
        y[:] = 0
        for row in rows:
            kernel(*row)
        return y

    call.__dict__["kept"] = (values, counts, of_x, of_w)  # the rows hold their addresses
    return call


def _kernel(n: int, b: int) -> Any:
    """y (b, n) += sum of w (b, b) x (b, n), all in rows: for the library, whose matrices are in columns, x w."""
    path = library_path()
    if path is None:
        raise OSError("no libxsmm is found by the linker, and LIBXSMM names none")
    library = ctypes.CDLL(path)
    if not hasattr(library, _DISPATCH):
        raise OSError(f"{path} has no {_DISPATCH}: versions 1.16 and 1.17 have it")
    dispatch = getattr(library, _DISPATCH)
    dispatch.restype = _POINTER
    lds, ones = [ctypes.c_int(n), ctypes.c_int(b), ctypes.c_int(n)], [ctypes.c_float(1), ctypes.c_float(1)]
    address = dispatch(n, b, b, *map(ctypes.byref, lds), *map(ctypes.byref, ones), None, None)
    if not address:
        raise OSError(f"libxsmm makes no kernel of {b} x {b} blocks and {n} columns on this processor")
    return ctypes.CFUNCTYPE(None, *[_POINTER] * 6)(address)
