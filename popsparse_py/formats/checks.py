"""Checks of what callers hand in; every message says what was expected, what came and what to try."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Union

import numpy as np

from popsparse_planner.errors import DTypeError, FormatError, PatternError, ShapeError
from popsparse_planner.pattern import BlockPattern

from .arrays import dtype_name, is_tensor, to_numpy

VALUE_DTYPES = ("float16", "float32", "float64")
TENSOR_DTYPES = (*VALUE_DTYPES, "bfloat16")  # NumPy has no bfloat16


def checked_dtype(array: Any, what: str) -> Any:
    """`array` in native byte order; DTypeError unless it holds float16, float32, float64 or (tensors) bfloat16."""
    name = dtype_name(array)
    if name not in (TENSOR_DTYPES if is_tensor(array) else VALUE_DTYPES):
        example = f"{what}.float()" if is_tensor(array) else f'{what}.astype("float32")'
        raise DTypeError(
            f"{what} has dtype {name}: expected float16, float32 or float64. Convert it first: {example}", dtype=name
        )
    if not is_tensor(array) and not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


def checked_finite(array: Any, what: str) -> None:
    """FormatError that counts the NaN and infinite entries of `array` and gives the position of the first."""
    plain = to_numpy(array)
    bad = ~np.isfinite(plain)
    count = int(np.count_nonzero(bad))
    if count:
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        verb = "value that is" if count == 1 else "values that are"
        raise FormatError(
            f"{what} holds {count} {verb} NaN or infinite, the first at {first} ({plain[first]}): replace or mask them",
            count=count,
            first=first,
        )


def checked_matrix(w: Any, what: str = "w") -> Any:
    """`w` as a dense matrix (m, k) of a supported dtype with finite values: NumPy array or strided torch tensor.

    ShapeError unless it has two dimensions, both at least 1; DTypeError, FormatError as the checks above.
    """
    if is_tensor(w):
        if str(w.layout) != "torch.strided":
            raise FormatError(f"{what} has layout {w.layout}, not a dense one: use BlockSparseMatrix.from_torch")
    else:
        if hasattr(w, "tocsr"):
            raise FormatError(f"{what} is a scipy sparse matrix, not a dense one: use BlockSparseMatrix.from_scipy")
        w = np.asarray(w)
    if len(w.shape) != 2 or 0 in w.shape:
        raise ShapeError(f"{what} must be a matrix of at least 1 x 1, got shape {tuple(w.shape)}", shape=tuple(w.shape))
    w = checked_dtype(w, what)
    checked_finite(w, what)
    return w


def checked_block_size(block_size: Any) -> int:
    """`block_size` as an int; PatternError unless it is a whole number of at least 1."""
    try:
        whole = int(block_size)
        good = whole == block_size and whole >= 1 and not isinstance(block_size, bool)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise PatternError(f"block size must be a whole number of at least 1, got {block_size!r}", value=block_size)
    return whole


def checked_density(density: Any) -> Union[float, Fraction]:
    """`density`, a fraction as it is, else as a float; PatternError unless it is a number in (0, 1]."""
    number = isinstance(density, (int, float, Fraction, np.integer, np.floating)) and not isinstance(density, bool)
    if not number or not 0 < density <= 1:
        raise PatternError(f"density must be a number in (0, 1], got {density!r}", density=density)
    return density if isinstance(density, Fraction) else float(density)


def check_not_empty(pattern: BlockPattern, density: Any, where: str = "") -> None:
    """PatternError if so few blocks were asked for that none is left; where: "" or the beginning of the message."""
    if not pattern.nnz_blocks:
        (mb, kb), b = pattern.block_grid, pattern.block_size
        raise PatternError(
            f"{where}density {float(density):.4g} of {mb} x {kb} blocks of {b} is no block: use density >= "
            f"{1 / (mb * kb):.4g} or smaller blocks"
        )
