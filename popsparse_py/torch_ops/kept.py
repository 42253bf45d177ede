"""What products keep for the index tensors of a pattern: its native form, and matrices packed for the kernels."""

from __future__ import annotations

import weakref
from importlib import import_module
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np
from torch import Tensor

from popsparse_planner.cpu_plan import CpuPlan
from popsparse_planner.errors import PatternError
from popsparse_planner.pattern import BlockPattern

from ..backends.cpu import CpuBackend, checked_bias, native_pattern
from ..backends.host_arrays import host_view

MATRICES_KEPT = 4  # of one pattern: W and its transpose for two classes of n
_NARROWEST = 16  # columns; products with fewer share a plan

Key = Tuple[bool, int, str, int]  # transposed, class of n, dtype, threads


class Packed(NamedTuple):
    """A matrix in the order of the kernels, and the values in it where these are known to stay."""

    matrix: Any  # CpuMatrix
    plan: CpuPlan
    values: Any = None  # weak reference
    stamp: Any = None


class KeptPattern:
    """A pattern read from index tensors, and the matrices packed for it.

    A matrix that is written at each call belongs to one call at a time; one whose values stay is shared, never written.
    """

    def __init__(self, pattern: BlockPattern) -> None:
        self.pattern = pattern
        self.native = native_pattern(pattern)
        self._idle: Dict[Key, Packed] = {}
        self._shared: Dict[Key, Packed] = {}

    def multiply(
        self,
        x: Tensor,  # (n, k), transposed: (n, m)
        values: Tensor,  # (slots, b, b)
        bias: Optional[Tensor],
        y: Tensor,  # (n, m), transposed: (n, k); written
        transposed: bool,
        threads: int,
    ) -> None:
        """y = x W^T + bias, or transposed x W + bias.

        Values that require no gradient are taken to be constant: packed once, and again when torch's version counter
        tells of a change. Values in training are packed at every call, as optimizers may write past that counter.
        """
        n = x.shape[0]
        key = (transposed, max(_NARROWEST, 1 << (n - 1).bit_length()), str(values.dtype)[6:], threads)
        if values.requires_grad or values.is_inference():
            packed = self._idle.pop(key, None) or self._made(key)
            self._load(packed, values, threads)
            _run(packed, x, bias, y, threads)
            _keep(self._idle, key, packed)
        else:
            _run(self._constant(key, values, threads), x, bias, y, threads)

    def _constant(self, key: Key, values: Tensor, threads: int) -> Packed:
        stamp = (values.data_ptr(), values._version)
        packed = self._shared.get(key)
        if packed is None or packed.stamp != stamp or packed.values() is not values:
            packed = self._made(key)._replace(values=weakref.ref(values), stamp=stamp)
            self._load(packed, values, threads)
            _keep(self._shared, key, packed)
        return packed

    def _made(self, key: Key) -> Packed:
        transposed, n, dtype, threads = key
        plan = CpuBackend(threads).plan(self.pattern, n, dtype, transposed=transposed, by_rows=True)
        core = import_module("popsparse_py._core")
        return Packed(core.CpuMatrix(self.native, transposed, plan.schedule.astuple(), plan.tier), plan)

    def _load(self, packed: Packed, values: Tensor, threads: int) -> None:
        blocks = host_view(values, "values")[: self.pattern.nnz_blocks]
        packed.matrix.set_values(blocks if blocks.flags.c_contiguous else np.ascontiguousarray(blocks), threads)


def _run(packed: Packed, x: Tensor, bias: Optional[Tensor], y: Tensor, threads: int) -> None:
    shifts = None if bias is None else checked_bias(bias, y.shape[1])
    used = packed.plan.threads(threads, x.shape[0])
    packed.matrix.multiply(host_view(x, "x").T, host_view(y, "y").T, shifts, "none", used)


def _keep(kept: Dict[Key, Packed], key: Key, packed: Packed) -> None:
    kept[key] = packed
    while len(kept) > MATRICES_KEPT:
        kept.pop(next(iter(kept)), None)


class _Entry(NamedTuple):
    """col is the tensor that owns the entry: it goes when the tensor goes."""

    col: Any  # weak reference
    stamp: Any
    kept: KeptPattern


_entries: Dict[int, _Entry] = {}  # by id(col); a tensor's == is elementwise, so it cannot be a weak key itself


def kept_pattern(
    row: Tensor, col: Tensor, nnz: Optional[Tensor], shape: Tuple[int, int], b: int
) -> KeptPattern:  # row, col: (slots) int32, nnz: () int32
    """What is kept for these index tensors, made in time proportional to their blocks when they changed.

    Raises PatternError if they are not the coordinates of distinct blocks of `shape`, by row, then column.
    """
    stamp = (shape, b, _stamp(row), _stamp(col), None if nnz is None else _stamp(nnz))
    entry = _entries.get(id(col))
    if entry is not None and entry.col() is not col:
        entry = None  # of a tensor that is gone
    if entry is not None and entry.stamp == stamp and None not in stamp[2:4]:
        return entry.kept
    rows, cols = _coordinates(row, col, nnz)
    kept = None if entry is None else entry.kept
    if kept is None or not _is_same(kept.pattern, shape, b, rows, cols):
        kept = KeptPattern(BlockPattern(shape, b, rows.copy(), cols.copy()))
    key = id(col)
    _entries[key] = _Entry(weakref.ref(col, lambda _: _entries.pop(key, None)), stamp, kept)
    return kept


def _stamp(tensor: Tensor) -> Any:
    """What changes when a tensor is written; None where torch does not count."""
    return None if tensor.is_inference() else (tensor.data_ptr(), tensor._version)


def _coordinates(row: Tensor, col: Tensor, nnz: Optional[Tensor]) -> Tuple[np.ndarray, np.ndarray]:
    rows, cols = row.numpy(), col.numpy()
    count = len(cols) if nnz is None else int(nnz)
    if rows.ndim != 1 or rows.shape != cols.shape or not 0 <= count <= len(cols):
        raise PatternError(
            f"expected row and col of one length and nnz up to it, got {rows.shape}, {cols.shape}, {count}"
        )
    return rows[:count], cols[:count]


def _is_same(pattern: BlockPattern, shape: Tuple[int, int], b: int, rows: np.ndarray, cols: np.ndarray) -> bool:
    same_frame = (pattern.shape, pattern.block_size) == (shape, b)
    return same_frame and np.array_equal(pattern.rows, rows) and np.array_equal(pattern.cols, cols)
