"""Ours and the libraries that a user could pick instead, each in its best form, as calls on the same operands."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any, Callable, Dict, Sequence, Tuple

import numpy as np

from .. import host
from ..backends.cpu import CpuBackend
from ..backends.host_arrays import empty_like
from ..formats.arrays import is_tensor
from . import mkl, xsmm
from .operands import Operands, operands

Call = Callable[[], Any]
OURS, PLAIN, DENSE = "popsparse", "popsparse forward float32", "dense"


class UnsuitableError(Exception):
    """A library has no such product; its message says what is missing."""


def ours(data: Operands, threads: int) -> Call:
    """The product with everything made beforehand that a second call would find."""
    backend, product = CpuBackend(threads), data.shape.product
    if product == "sampled":
        values = empty_like(data.w.values.shape, data.shape.dtype, data.right)[0]
        return lambda: host.sampled(backend, data.w.pattern, data.left, data.right, values)
    transposed, by_rows, out = product == "transposed", product == "linear", data.result()
    suits_rows = by_rows or data.shape.n == 1
    kernel = host.kernel_of(backend, data.w, data.shape.n, None, transposed=transposed, by_rows=suits_rows)
    multiply = kernel.multiply_rows if by_rows else kernel.multiply
    return lambda: multiply(data.right, out=out)


def _torch_dense(data: Operands, threads: int) -> Dict[str, Call]:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    right, product = _tensor(torch, data.right), data.shape.product
    w = torch.from_numpy(data.dense).to(right.dtype)
    if product == "sampled":
        left, all_of_it = _tensor(torch, data.left), torch.empty(w.shape, dtype=right.dtype)
        return {DENSE: lambda: torch.mm(left, right.T, out=all_of_it)}
    y = _tensor(torch, data.result())
    operands = (right, w.T) if product == "linear" else (w, right)
    return {DENSE: lambda: torch.mm(*operands, out=y)}


def _torch_sparse(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        torch, product = import_module("torch"), data.shape.product
        _need(data.shape.dtype == "float32", f"torch.{layout} on a CPU multiplies float32")
        _need(product != "sampled" or layout == "csr", "torch samples at the elements of a CSR matrix only")
        torch.set_num_threads(threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the layout is in beta
            w, x = _as_int32(torch, data.a.to_torch(layout)), torch.from_numpy(data.right)
        if product == "sampled":
            left, sampled = torch.from_numpy(data.left), torch.sparse.sampled_addmm
            return {f"torch.{layout}": lambda: sampled(w, left, x.T, beta=0.0)}
        if product == "linear":
            return {f"torch.{layout}": lambda: torch.nn.functional.linear(x, w)}
        return {f"torch.{layout}": lambda: w @ x}

    return make


def _as_int32(torch: Any, w: Any) -> Any:
    """MKL, which torch calls where it can, takes 32-bit indices."""
    crow, col = w.crow_indices().int(), w.col_indices().int()
    make = torch.sparse_bsr_tensor if w.layout == torch.sparse_bsr else torch.sparse_csr_tensor
    return make(crow, col, w.values(), w.shape)


def _tensor(torch: Any, array: Any) -> Any:
    return array if is_tensor(array) else torch.from_numpy(array)


def _scipy(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        _need_columns(data, "scipy")
        w = data.a.to_scipy(layout)
        return {f"scipy.{layout}": lambda: w @ data.right}

    return make


def _mkl(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        _need_columns(data, "MKL")
        library, w = mkl.load(threads), data.a.to_scipy(layout)
        w.indices, w.indptr = w.indices.astype(np.int32), w.indptr.astype(np.int32)
        forms = {f"mkl.{layout}": 0, f"mkl.{layout}+hint": data.right.shape[1]}
        return {
            name: mkl.Matrix(library, w, hint_columns=columns).product(data.right, data.result())
            for name, columns in forms.items()
        }

    return make


def _sparselab(data: Operands, threads: int) -> Dict[str, Call]:
    _need_columns(data, "SparseLab")
    sparselab, torch = import_module("sparselab"), import_module("torch")
    w, x = sparselab.PaddedCSR.from_dense(torch.from_numpy(data.dense)), torch.from_numpy(data.right)
    return {"sparselab": lambda: sparselab.spmm(w, x)}


def _xsmm(data: Operands, threads: int) -> Dict[str, Call]:
    _need_columns(data, "libxsmm")
    _need(threads == 1, "libxsmm is called on one thread")
    return {"libxsmm": xsmm.product(data.a, data.right, data.result())}


def _need_columns(data: Operands, library: str) -> None:
    shape = data.shape
    suits = shape.dtype == "float32" and shape.product in ("forward", "transposed")
    _need(suits, f"{library} is called for W X and W^T dY of float32, not for {shape.product} of {shape.dtype}")


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise UnsuitableError(reason)


PEERS: Dict[str, Callable[[Operands, int], Dict[str, Call]]] = {
    DENSE: _torch_dense,
    "torch.csr": _torch_sparse("csr"),
    "torch.bsr": _torch_sparse("bsr"),
    "scipy.csr": _scipy("csr"),
    "scipy.bsr": _scipy("bsr"),
    "mkl.csr": _mkl("csr"),
    "mkl.bsr": _mkl("bsr"),
    "sparselab": _sparselab,
    "libxsmm": _xsmm,
}
_BLOCKS_ONLY = ("torch.bsr", "scipy.bsr", "mkl.bsr", "libxsmm")  # no form of their own for single elements


def calls(data: Operands, names: Sequence[str], threads: int) -> Tuple[Dict[str, Call], Dict[str, str]]:
    """(calls of ours and of each peer that is installed, why each other one is not there).

    Beside another product than the forward one of float32 that one of ours is called too, to compare the rates.
    """
    found, absent = {OURS: ours(data, threads)}, {}
    if not data.shape.is_plain:
        found[PLAIN] = ours(operands(data.shape.plain()), threads)
    for name in names:
        if data.w.block_size == 1 and name in _BLOCKS_ONLY:
            continue
        try:
            found.update(PEERS[name](data, threads))
        except UnsuitableError:
            continue
        except (ImportError, OSError) as error:
            absent[name] = f"{type(error).__name__}: {error}"
    return found, absent
