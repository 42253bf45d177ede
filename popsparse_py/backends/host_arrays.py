"""NumPy arrays and torch tensors as the native kernels take them, without a copy, and aligned memory for results."""

from __future__ import annotations

import sys
from typing import Any, Tuple

import numpy as np

from popsparse_planner.errors import DTypeError, ShapeError

from ..formats.arrays import dtype_name, is_tensor

LINE_BYTES = 64
HOST_DTYPES = ("float32", "float16", "bfloat16")
_PLAIN = (np.dtype("float32"), np.dtype("float16"))


def host_view(array: Any, what: str) -> np.ndarray:
    """The memory of `array` as float32, float16, or uint16 that holds the bits of bfloat16; any strides.

    Copied only where elements do not lie at multiples of their size, are of the other byte order, or are on an
    accelerator. DTypeError for another element type.
    """
    if type(array) is np.ndarray and array.dtype in _PLAIN and array.flags.carray:
        return array  # by far the most frequent, and small products are over in 10 microseconds
    if is_tensor(array):
        torch = sys.modules["torch"]
        tensor = array.detach() if array.requires_grad else array
        if not tensor.is_cpu:
            tensor = tensor.cpu()
        if tensor.dtype is torch.float32 and not tensor.is_neg():
            return np.asarray(tensor.numpy())
        if tensor.dtype is torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(np.uint16)
        plain = tensor.resolve_neg().numpy()
        if plain.dtype in _PLAIN:
            return plain
        name = dtype_name(tensor)
    else:
        plain = np.asarray(array)
        name = plain.dtype.name
    if name not in ("float32", "float16"):
        raise DTypeError(
            f"{what} has dtype {name}: the cpu multiplies float32, float16 and (torch) bfloat16; convert it first",
            dtype=name,
        )
    if not plain.dtype.isnative or not plain.flags.aligned or any(s % plain.itemsize for s in plain.strides):
        return np.array(plain, dtype=name, order="C")
    return plain


def empty_like(shape: Tuple[int, ...], dtype: str, like: Any) -> Tuple[Any, np.ndarray]:
    """(result, its memory as host_view gives it): not initialised, on a cache line, a tensor if `like` is one.

    dtype: one of HOST_DTYPES; bfloat16 for tensors only, DTypeError otherwise.
    """
    if is_tensor(like):
        torch = sys.modules["torch"]
        tensor = torch.empty(shape, dtype=getattr(torch, dtype))
        return tensor, tensor.numpy() if dtype != "bfloat16" else host_view(tensor, "y")
    if dtype == "bfloat16":
        raise DTypeError("NumPy has no bfloat16: hand in torch tensors, or ask for out_dtype='float32'", dtype=dtype)
    element = np.dtype(dtype)
    size = element.itemsize
    for extent in shape:
        size *= extent
    memory = np.empty(size + LINE_BYTES, dtype=np.uint8)
    result: np.ndarray = np.ndarray(shape, element, memory, -memory.__array_interface__["data"][0] % LINE_BYTES)
    return result, result


def checked_bias(bias: Any, m: int) -> np.ndarray:
    """bias as contiguous float32 (m); ShapeError, DTypeError."""
    view = host_view(bias, "bias")
    if view.shape != (m,):
        raise ShapeError(f"bias has shape {view.shape}: expected ({m},)")
    if view.dtype == np.uint16:
        view = (view.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(view, dtype=np.float32)
