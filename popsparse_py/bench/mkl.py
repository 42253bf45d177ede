"""MKL's sparse products, called in the library that `pip install mkl` brings (sparse-dot-mkl calls the same one)."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

_ROW_MAJOR, _NO_TRANSPOSE, _GENERAL, _CALLS = 101, 10, 20, 1000  # of mkl_spblas.h; calls that optimise may reckon with


class _Description(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("mode", ctypes.c_int), ("diagonal", ctypes.c_int))


def library_path() -> Optional[Path]:
    """Where libmkl_rt lies: $MKL_RT, or the folder into which pip puts it; None if it is not there."""
    named = os.environ.get("MKL_RT")
    folder = Path(sys.prefix) / "lib"
    found = [Path(named)] if named else sorted(folder.glob("libmkl_rt.so*"))
    return found[-1] if found and found[-1].exists() else None


def load(threads: int) -> Any:
    """The library, for so many threads; OSError if it is missing or broken."""
    path = library_path()
    if path is None:
        raise OSError(f"no libmkl_rt in {Path(sys.prefix) / 'lib'}: pip install mkl")
    mkl = ctypes.CDLL(str(path))
    mkl.MKL_Set_Num_Threads(ctypes.c_int(threads))
    return mkl


class Matrix:
    """A csr or bsr matrix of scipy (float32, int32 indices) as MKL holds it; its arrays are kept alive."""

    def __init__(self, mkl: Any, matrix: Any, *, hint_columns: int = 0) -> None:
        self._mkl, self._kept, self._handle = mkl, matrix, ctypes.c_void_p()
        m, k = matrix.shape
        starts = _pointer(matrix.indptr)
        ends = ctypes.c_void_p(matrix.indptr.ctypes.data + matrix.indptr.itemsize)
        places = (starts, ends, _pointer(matrix.indices), _pointer(matrix.data))
        if matrix.format == "bsr":
            b = matrix.blocksize[0]
            status = mkl.mkl_sparse_s_create_bsr(ctypes.byref(self._handle), 0, _ROW_MAJOR, m // b, k // b, b, *places)
        else:
            status = mkl.mkl_sparse_s_create_csr(ctypes.byref(self._handle), 0, m, k, *places)
        _check(status, "create")
        if hint_columns:
            description = _Description(_GENERAL, 0, 0)
            mkl.mkl_sparse_set_mm_hint(self._handle, _NO_TRANSPOSE, description, _ROW_MAJOR, hint_columns, _CALLS)
            _check(mkl.mkl_sparse_optimize(self._handle), "optimize")

    def product(self, x: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
        """A call that writes the product with x (k, n) to y (m, n), both float32 in rows, and returns y."""
        n, description = x.shape[1], _Description(_GENERAL, 0, 0)
        one, nothing = ctypes.c_float(1), ctypes.c_float(0)

        def call() -> np.ndarray:
            status = self._mkl.mkl_sparse_s_mm(
                _NO_TRANSPOSE, one, self._handle, description, _ROW_MAJOR, _pointer(x), n, n, nothing, _pointer(y), n
            )
            _check(status, "mm")
            return y

        return call

    def __del__(self) -> None:
        if self._handle:
            self._mkl.mkl_sparse_destroy(self._handle)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _check(status: int, what: str) -> None:
    if status:
        raise OSError(f"mkl_sparse_{what} returned status {status}")
