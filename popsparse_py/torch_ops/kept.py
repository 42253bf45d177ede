"""What products keep for the index tensors of a pattern: its native form, and matrices packed for the kernels."""

from __future__ import annotations

import weakref
from ctypes import string_at
from importlib import import_module
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from popsparse_planner.cpu_plan import CpuPlan
from popsparse_planner.errors import PatternError
from popsparse_planner.pattern import BlockPattern

from ..backends.cpu import CpuBackend, native_pattern

MATRICES_KEPT = 4  # of one pattern: W and its transpose for two classes of n
_SAMPLED = 64  # bytes
_NARROWEST = 16  # columns; products with fewer share a plan
_NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}

Key = Tuple[bool, int, str, int]  # transposed, class of n, dtype, threads


class Packed(NamedTuple):
    """A matrix in the order of the kernels, and the values in it where these are known to stay."""

    matrix: Any  # CpuMatrix
    plan: CpuPlan
    values: Any = None  # weak reference
    stamp: Any = None
    first: Tuple[int, int] = (0, 0)  # address and bytes of the first of them
    seen: bytes = b""  # what lay there


class KeptPattern:
    """A pattern read from index tensors, and the matrices packed for it.

    A matrix that is written at each call belongs to one call at a time; one whose values stay is shared, never written.
    """

    def __init__(self, pattern: BlockPattern) -> None:
        self.pattern = pattern
        self.native = native_pattern(pattern)
        self.others: Dict[Any, Any] = {}  # what kernels of other devices keep
        self._idle: Dict[Key, Packed] = {}
        self._shared: Dict[Key, Packed] = {}

    @property
    def packed_bytes(self) -> int:
        """Bytes of all packed matrices."""
        return sum(p.matrix.packed_bytes for kept in (self._idle, self._shared) for p in kept.values())

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

        Values that require no gradient are taken to be constant: packed once, and again when torch's version counter,
        or their first numbers, tell of a change. Values in training are packed at every call, as optimizers may
        write past that counter.
        """
        n = x.shape[0]
        dtype = _NAMES[values.dtype]
        key = (transposed, max(_NARROWEST, 1 << (n - 1).bit_length()), dtype, threads)
        if values.requires_grad or values.is_inference():
            self._forget(values)
            packed = self._idle.pop(key, None) or self._made(key)
            _load(packed, values, dtype, threads)
            _run(packed, x, bias, y, threads)
            _keep(self._idle, key, packed)
        else:
            _run(self._constant(key, values, threads), x, bias, y, threads)

    def _constant(self, key: Key, values: Tensor, threads: int) -> Packed:
        stamp = (values.data_ptr(), values._version)
        packed = self._shared.get(key)
        if packed is None or packed.stamp != stamp or packed.values() is not values or not _seems_same(packed):
            first = (stamp[0], min(_SAMPLED, values.nbytes if values.is_contiguous() else values.element_size()))
            seen = string_at(*first) if values.numel() else b""
            packed = self._made(key)._replace(values=weakref.ref(values), stamp=stamp, first=first, seen=seen)
            _load(packed, values, key[2], threads)
            _keep(self._shared, key, packed)
        return packed

    def _forget(self, values: Tensor) -> None:
        """Values in training may be frozen again, changed by then without a trace."""
        if self._shared:
            others = [(key, packed) for key, packed in list(self._shared.items()) if packed.values() is not values]
            self._shared = dict(others)

    def _made(self, key: Key) -> Packed:
        transposed, n, dtype, threads = key
        plan = CpuBackend(threads).plan(self.pattern, n, dtype, transposed=transposed, by_rows=True)
        core = import_module("popsparse_py._core")
        return Packed(core.CpuMatrix(self.native, transposed, plan.schedule.astuple(), plan.tier), plan)


def _seems_same(packed: Packed) -> bool:
    """Whether the first values are still what was packed: writing through `.data` leaves no other trace."""
    return not packed.seen or string_at(*packed.first) == packed.seen


def _load(packed: Packed, values: Tensor, dtype: str, threads: int) -> None:
    plain = values.is_contiguous() and not values.is_neg()
    blocks = values if plain else values.resolve_neg().contiguous()
    packed.matrix.set_values_at(blocks.data_ptr(), dtype, threads)


def _run(packed: Packed, x: Tensor, bias: Optional[Tensor], y: Tensor, threads: int) -> None:
    """y = x W^T + bias; y is contiguous, the shapes fit, n is at least 1."""
    if x.is_neg():  # a view that torch would negate when it reads it
        x = x.resolve_neg()
    # The memory that an address is of has to stay: floats is in use until the call is over.
    floats = bias if bias is None or _is_plain_float(bias) else bias.detach().resolve_neg().float().contiguous()
    shifts = 0 if floats is None else floats.data_ptr()
    n, strides, dtype = x.shape[0], x.stride(), _NAMES[x.dtype]
    used = 1 if threads == 1 else packed.plan.threads(threads, n)
    packed.matrix.multiply_samples(x.data_ptr(), *strides, y.data_ptr(), n, shifts, dtype, used)


def _is_plain_float(bias: Tensor) -> bool:
    return bias.dtype is torch.float32 and bias.is_contiguous() and not bias.is_neg()


def _keep(kept: Dict[Key, Packed], key: Key, packed: Packed) -> None:
    kept[key] = packed
    while len(kept) > MATRICES_KEPT:
        kept.pop(next(iter(kept)), None)


class _Entry(NamedTuple):
    """col is the tensor that owns the entry: it goes when the tensor goes."""

    col: Any  # weak reference
    stamp: Any
    frame: Tuple[Tuple[int, int], int]  # shape, b
    kept: KeptPattern


_entries: Dict[int, _Entry] = {}  # by id(col); a tensor's == is elementwise, so it cannot be a weak key itself


def kept_pattern(
    row: Tensor, col: Tensor, nnz: Optional[Tensor], shape: Tuple[int, int], b: int
) -> KeptPattern:  # row, col: (slots) int32, nnz: () int32
    """What is kept for these index tensors, made in time proportional to their blocks when they changed.

    Raises PatternError if they are not the coordinates of distinct blocks of `shape`, by row, then column.
    """
    stamp = stamp_of(row, col, nnz)
    entry = _entries.get(id(col))
    if entry is not None:
        if entry.col() is not col:
            entry = None  # of a tensor that is gone
        elif entry.stamp == stamp is not None and entry.frame == (shape, b):
            return entry.kept
    rows, cols = _coordinates(row, col, nnz)
    kept = None if entry is None else entry.kept
    if kept is None or not _is_same(kept.pattern, shape, b, rows, cols):
        kept = KeptPattern(BlockPattern(shape, b, rows.copy(), cols.copy()))
    key = id(col)
    _entries[key] = _Entry(weakref.ref(col, lambda _: _entries.pop(key, None)), stamp, (shape, b), kept)
    return kept


def stamp_of(row: Tensor, col: Tensor, nnz: Optional[Tensor]) -> Any:
    """What changes when one of the tensors is written or gets other memory; None where torch does not count that."""
    try:
        places = (row.data_ptr(), row._version, col.data_ptr(), col._version)
        return places if nnz is None else (*places, nnz.data_ptr(), nnz._version)
    except RuntimeError:  # inference tensors have no version
        return None


def _coordinates(row: Tensor, col: Tensor, nnz: Optional[Tensor]) -> Tuple[np.ndarray, np.ndarray]:
    rows, cols = row.cpu().numpy(), col.cpu().numpy()
    count = len(cols) if nnz is None else int(nnz)
    if rows.ndim != 1 or rows.shape != cols.shape or not 0 <= count <= len(cols):
        raise PatternError(
            f"expected row and col of one length and nnz up to it, got {rows.shape}, {cols.shape}, {count}"
        )
    return rows[:count], cols[:count]


def _is_same(pattern: BlockPattern, shape: Tuple[int, int], b: int, rows: np.ndarray, cols: np.ndarray) -> bool:
    same_frame = (pattern.shape, pattern.block_size) == (shape, b)
    return same_frame and np.array_equal(pattern.rows, rows) and np.array_equal(pattern.cols, cols)
