"""torch tensors (dense, bsr, bsc, csr, csc, coo, 4-D block COO) to and from a pattern and its values."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from popsparse_planner.errors import FormatError, ShapeError
from popsparse_planner.pattern import BlockPattern

from . import block_coo
from .arrays import index_for, is_tensor, to_numpy, unchecked
from .blocks import Parts, check_whole_blocks, entries, to_dense
from .checks import checked_dtype, checked_finite
from .optional import need
from .prune import from_dense
from .reblock import own_block_size, reblock, regroup

LAYOUTS = ("bsr", "csr", "coo", "block_coo", "dense")
_DENSE_BLOCK_SIZE = 16


def from_torch(t: Any, block_size: Optional[int] = None) -> Parts:
    """Pattern and values (a tensor on the device of t) of a torch tensor t (m, k) of any layout, or 4-D block COO.

    block_size: None means the blocks of bsr, bsc and block COO, 1 for csr, csc and coo, 16 for a dense t, of which
    every block with a nonzero is kept. In a sparse t every stored entry, zero or not, keeps its block.
    Raises FormatError (not a tensor; unknown layout; NaN), ShapeError, DTypeError, PatternError (an entry given twice).
    """
    if not is_tensor(t):
        raise FormatError(f"expected a torch tensor, got {type(t).__name__}: use from_dense or from_scipy")
    layout = str(t.layout).replace("torch.", "")
    if layout == "strided":
        return from_dense(t, _DENSE_BLOCK_SIZE if block_size is None else block_size, None, what="t")
    if layout == "sparse_coo" and t.dense_dim() == 2:
        parts = block_coo.from_block_coo(t)
        return parts if block_size is None else reblock(*parts, block_size)
    if t.dim() != 2 or 0 in t.shape:
        raise ShapeError(f"t must be a matrix of at least 1 x 1, got shape {tuple(t.shape)}", shape=tuple(t.shape))
    if layout == "sparse_coo":
        indices = to_numpy(t._indices())  # also of a tensor that is not coalesced: duplicates are found below
        rows, cols, values = indices[0], indices[1], t._values()
    elif layout in ("sparse_csr", "sparse_bsr", "sparse_csc", "sparse_bsc"):
        rows, cols, values = _compressed(t, by_column=layout.endswith("c"))
    else:
        raise FormatError(f"layout {t.layout} is not supported: use dense, sparse_bsr, sparse_csr or sparse_coo")
    values = values if values.dim() == 3 else values.reshape(-1, 1, 1)
    checked_dtype(values, "t")
    checked_finite(values, "t")
    block_size = own_block_size(values) if block_size is None else block_size
    return regroup(rows, cols, values, (int(t.shape[0]), int(t.shape[1])), block_size)


def _compressed(t: Any, by_column: bool) -> Tuple[np.ndarray, np.ndarray, Any]:
    """rows, cols int64 and values of a tensor in a compressed layout (csr, bsr: by row; csc, bsc: by column)."""
    offsets = to_numpy(t.ccol_indices() if by_column else t.crow_indices()).astype(np.int64)
    minor = to_numpy(t.row_indices() if by_column else t.col_indices()).astype(np.int64)
    major = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return (minor, major, t.values()) if by_column else (major, minor, t.values())


def to_torch(pattern: BlockPattern, values: Any, layout: Any = "bsr") -> Any:
    """A torch tensor (m, k) in layout "bsr", "csr", "coo", "dense" (or torch's own, torch.sparse_bsr ...), "block_coo".

    Values that are a tensor stay on their device and keep their gradient; a NumPy array is copied. Every stored entry
    inside the shape stays stored. Raises FormatError for another layout, ShapeError if bsr is asked for and the block
    size does not divide the shape, ImportError without torch.
    """
    torch = need("torch", "to_torch")
    name = str(layout).replace("torch.", "").replace("sparse_", "").replace("strided", "dense")
    if name not in LAYOUTS:
        raise FormatError(f"layout {layout!r} is unknown: expected one of {', '.join(LAYOUTS)}", layout=str(layout))
    values = values if is_tensor(values) else torch.tensor(values)
    if name == "dense":
        return to_dense(pattern, values)
    if name == "block_coo":
        return block_coo.to_block_coo(pattern, values)
    if name == "bsr":
        check_whole_blocks(pattern, "torch's bsr")
        offsets, cols = index_for(values, pattern.row_offsets()), index_for(values, pattern.cols)
        return torch.sparse_bsr_tensor(offsets, cols, values, size=pattern.shape, **unchecked(torch))
    rows, columns, ones = entries(pattern, values)
    if name == "coo":
        places = index_for(values, np.stack([rows, columns]))
        return torch.sparse_coo_tensor(places, ones, size=pattern.shape, **unchecked(torch)).coalesce()
    offsets = np.searchsorted(rows, np.arange(pattern.shape[0] + 1))
    return torch.sparse_csr_tensor(
        index_for(values, offsets), index_for(values, columns), ones, size=pattern.shape, **unchecked(torch)
    )
