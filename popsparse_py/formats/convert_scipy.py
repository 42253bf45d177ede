"""scipy.sparse matrices and arrays (bsr, csr, csc, coo) to and from a pattern and its values."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from popsparse_planner.errors import FormatError, ShapeError
from popsparse_planner.pattern import BlockPattern

from .arrays import to_numpy
from .blocks import Parts, check_whole_blocks, entries
from .checks import checked_dtype, checked_finite
from .optional import need
from .reblock import own_block_size, regroup

LAYOUTS = ("bsr", "csr", "coo")


def from_scipy(a: Any, block_size: Optional[int] = None) -> Parts:
    """Pattern and values of a scipy sparse `a` (m, k) in format bsr, csr, csc or coo.

    block_size: None means the blocks of a bsr with square ones, and 1 for the others. An entry that is stored, zero or
    not, keeps its block. Raises FormatError (no such object; blocks not square), ShapeError, DTypeError, PatternError
    (an entry given twice: sum_duplicates() adds them up).
    """
    kind = getattr(a, "format", None)
    if kind not in ("bsr", "csr", "csc", "coo"):
        what = f"format {kind}" if isinstance(kind, str) else type(a).__name__
        raise FormatError(f"expected a scipy sparse matrix in format bsr, csr, csc or coo, got {what}: try a.tocsr()")
    if len(a.shape) != 2 or 0 in a.shape:
        raise ShapeError(f"a must be a matrix of at least 1 x 1, got shape {tuple(a.shape)}", shape=tuple(a.shape))
    values = checked_dtype(a.data, "a")
    if kind == "coo":
        rows, cols = a.row.astype(np.int64), a.col.astype(np.int64)
    else:
        major = np.repeat(np.arange(len(a.indptr) - 1), np.diff(a.indptr))
        minor = a.indices.astype(np.int64)
        rows, cols = (minor, major) if kind == "csc" else (major, minor)
    if kind != "bsr":
        values = values.reshape(-1, 1, 1)
    block_size = own_block_size(values) if block_size is None else block_size
    checked_finite(values, "a")
    return regroup(rows, cols, values, (int(a.shape[0]), int(a.shape[1])), block_size)


def to_scipy(pattern: BlockPattern, values: Any, layout: str) -> Any:
    """A scipy sparse array (m, k) in format "bsr", "csr" or "coo" with every stored entry inside the shape, zeros too.

    scipy has no float16: such values are widened to float32, exactly. Raises FormatError for another layout, ShapeError
    if bsr is asked for and the block size does not divide the shape, ImportError without scipy.
    """
    if layout not in LAYOUTS:
        raise FormatError(f"layout {layout!r} is unknown: expected one of {', '.join(LAYOUTS)}", layout=layout)
    sparse = need("scipy.sparse", "to_scipy")
    plain = to_numpy(values)
    wide = plain.astype(np.float32) if plain.dtype == np.float16 else plain
    if layout == "bsr":
        check_whole_blocks(pattern, "scipy's bsr")
        parts = (wide.copy(), pattern.cols, pattern.row_offsets().astype(np.int32))
        return sparse.bsr_array(parts, shape=pattern.shape, blocksize=(pattern.block_size,) * 2)
    rows, cols, ones = entries(pattern, wide)
    coo = sparse.coo_array((ones, (rows, cols)), shape=pattern.shape)
    return coo if layout == "coo" else coo.tocsr()
