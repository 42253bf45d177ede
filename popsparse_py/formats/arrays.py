"""One spelling for the few operations that NumPy arrays and torch tensors name differently.

Nothing here imports torch: an object can only be a tensor if its caller has imported torch already.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, Sequence, Tuple

import numpy as np


def is_tensor(array: Any) -> bool:
    """Whether `array` is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def dtype_name(array: Any) -> str:
    """The element type of `array` as NumPy spells it: "float16", "float32", "bfloat16", ..."""
    return str(array.dtype).replace("torch.", "") if is_tensor(array) else array.dtype.name


def to_numpy(array: Any) -> np.ndarray:
    """`array` as a NumPy array: a tensor is detached and brought to the host, its memory shared where it is there.

    bfloat16, which NumPy lacks, is widened to float32 without loss.
    """
    if not is_tensor(array):
        return array
    tensor = array.detach().cpu()
    return (tensor.float() if dtype_name(tensor) == "bfloat16" else tensor).numpy()


def permute(array: Any, axes: Sequence[int]) -> Any:
    """`array` with its axes in the order `axes`, not copied."""
    return array.permute(*axes) if is_tensor(array) else array.transpose(axes)


def zeros(shape: Sequence[int], like: Any) -> Any:
    """Zeros of `shape` with the library, element type and device of `like`."""
    return like.new_zeros(tuple(shape)) if is_tensor(like) else np.zeros(tuple(shape), dtype=like.dtype)


def index_for(array: Any, index: np.ndarray) -> Any:
    """`index` (integers or booleans) in the form that indexes `array` where it lives."""
    if not is_tensor(array):
        return index
    torch = sys.modules["torch"]
    plain = index if index.dtype == bool else index.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(plain)).to(array.device)


def take(array: Any, *indices: np.ndarray) -> Any:
    """array[indices[0], indices[1], ...], copied."""
    return array[tuple(index_for(array, index) for index in indices)]


def put(array: Any, indices: Tuple[np.ndarray, ...], values: Any) -> None:
    """Write `values` to array[indices[0], indices[1], ...], in place."""
    array[tuple(index_for(array, index) for index in indices)] = values


def unchecked(torch: Any) -> Dict[str, bool]:
    """Keyword arguments for torch's sparse constructors: our patterns are checked, so torch need not, nor warn.

    The keyword came with torch 2.0, together with the context manager that is looked for here.
    """
    return {"check_invariants": False} if hasattr(torch.sparse, "check_sparse_tensor_invariants") else {}
