"""The libraries that a user could pick instead, each in its best form, as calls on the same operands."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from popsparse_planner.pattern import BlockPattern

from .. import host
from ..backends.cpu import CpuBackend
from ..backends.host_arrays import empty_like
from ..formats import BlockSparseMatrix
from . import mkl

Call = Callable[[], Any]


@dataclass(frozen=True)
class Shape:
    """Y (m, n) = W X, W (m, k) in uniform random blocks, float32."""

    m: int
    k: int
    n: int
    block_size: int
    density: Fraction

    @property
    def flops(self) -> int:
        """2 * nonzeros * n."""
        return (
            2
            * round(self.density * (self.m // self.block_size) * (self.k // self.block_size))
            * (self.block_size**2 * self.n)
        )


@dataclass(frozen=True)
class Operands:
    """w in the forms that libraries take; x (k, n) and y (m, n) on cache lines."""

    w: BlockSparseMatrix
    x: np.ndarray
    dense: np.ndarray  # (m, k)

    def y(self) -> np.ndarray:
        """A place for a result, its memory touched."""
        result = empty_like((self.dense.shape[0], self.x.shape[1]), "float32", self.x)[1]
        result[:] = 0
        return result


def operands(shape: Shape, seed: int = 0) -> Operands:
    """Random operands of a shape."""
    rng = np.random.default_rng(seed)
    pattern = BlockPattern.random((shape.m, shape.k), density=shape.density, block_size=shape.block_size, seed=seed)
    values = rng.standard_normal((pattern.nnz_blocks, shape.block_size, shape.block_size), dtype=np.float32)
    w = BlockSparseMatrix(pattern, values)
    x = empty_like((shape.k, shape.n), "float32", values)[1]
    x[:] = rng.standard_normal(x.shape, dtype=np.float32)
    dense = empty_like((shape.m, shape.k), "float32", values)[1]
    dense[:] = w.to_dense()
    return Operands(w, x, dense)


def _ours(data: Operands, threads: int) -> Dict[str, Call]:
    backend, y = CpuBackend(threads), data.y()
    return {"popsparse": lambda: host.multiply(backend, data.w, data.x, None, None, y)}


def _torch_dense(data: Operands, threads: int) -> Dict[str, Call]:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    w, x, y = (torch.from_numpy(array) for array in (data.dense, data.x, data.y()))
    return {"dense": lambda: torch.mm(w, x, out=y)}


def _torch_sparse(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        torch = import_module("torch")
        torch.set_num_threads(threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the layout is in beta
            w, x = _as_int32(torch, data.w.to_torch(layout)), torch.from_numpy(data.x)
        return {f"torch.{layout}": lambda: w @ x}

    return make


def _as_int32(torch: Any, w: Any) -> Any:
    """MKL, which torch calls where it can, takes 32-bit indices."""
    crow, col = w.crow_indices().int(), w.col_indices().int()
    make = torch.sparse_bsr_tensor if w.layout == torch.sparse_bsr else torch.sparse_csr_tensor
    return make(crow, col, w.values(), w.shape)


def _scipy(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        w = data.w.to_scipy(layout)
        return {f"scipy.{layout}": lambda: w @ data.x}

    return make


def _mkl(layout: str) -> Callable[[Operands, int], Dict[str, Call]]:
    def make(data: Operands, threads: int) -> Dict[str, Call]:
        library, w = mkl.load(threads), data.w.to_scipy(layout)
        w.indices, w.indptr = w.indices.astype(np.int32), w.indptr.astype(np.int32)
        forms = {f"mkl.{layout}": 0, f"mkl.{layout}+hint": data.x.shape[1]}
        return {
            name: mkl.Matrix(library, w, hint_columns=columns).product(data.x, data.y())
            for name, columns in forms.items()
        }

    return make


def _sparselab(data: Operands, threads: int) -> Dict[str, Call]:
    sparselab, torch = import_module("sparselab"), import_module("torch")
    w, x = sparselab.PaddedCSR.from_dense(torch.from_numpy(data.dense)), torch.from_numpy(data.x)
    return {"sparselab": lambda: sparselab.spmm(w, x)}


PEERS: Dict[str, Callable[[Operands, int], Dict[str, Call]]] = {
    "dense": _torch_dense,
    "torch.csr": _torch_sparse("csr"),
    "torch.bsr": _torch_sparse("bsr"),
    "scipy.csr": _scipy("csr"),
    "scipy.bsr": _scipy("bsr"),
    "mkl.csr": _mkl("csr"),
    "mkl.bsr": _mkl("bsr"),
    "sparselab": _sparselab,
}
_BLOCKS_ONLY = ("torch.bsr", "scipy.bsr", "mkl.bsr")  # no form of their own for single elements


def calls(data: Operands, names: List[str], threads: int) -> Tuple[Dict[str, Call], Dict[str, str]]:
    """(calls of ours and of each peer that is installed, why each other one is not there)."""
    found, absent = _ours(data, threads), {}
    for name in names:
        if data.w.block_size == 1 and name in _BLOCKS_ONLY:
            continue
        try:
            found.update(PEERS[name](data, threads))
        except (ImportError, OSError) as error:
            absent[name] = f"{type(error).__name__}: {error}"
    return found, absent
