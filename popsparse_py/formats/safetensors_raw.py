"""safetensors files as bytes: tensors of any element type, one at a time in memory, nothing converted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from popsparse_planner.errors import FormatError

from .file_safetensors import COUNT_BYTES, open_safetensors, widened

_METADATA = "__metadata__"
_NUMPY_OF = {  # BF16, which NumPy lacks, as its bits
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
}
_NAME_OF = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32"}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a file holds it: its type by safetensors' name, its shape, its size, and how to get its bytes."""

    dtype: str
    shape: Tuple[int, ...]
    num_bytes: int
    read: Callable[[], bytes]

    def to_array(self) -> np.ndarray:
        """The tensor as a NumPy array, BF16 as uint16; FormatError for a type that is neither."""
        if self.dtype not in _NUMPY_OF:
            raise FormatError(f"type {self.dtype} cannot be read as an array: expected one of {', '.join(_NUMPY_OF)}")
        return np.frombuffer(self.read(), dtype=_NUMPY_OF[self.dtype]).reshape(self.shape)

    def numbers(self) -> np.ndarray:
        """As to_array, BF16 widened to float32 without loss."""
        return widened(self.to_array()) if self.dtype == "BF16" else self.to_array()

    @classmethod
    def of(cls, array: np.ndarray, dtype: str = "") -> StoredTensor:
        """`array` as a file holds it; dtype: "BF16" for bits of it in uint16, else that of the array."""
        plain = np.ascontiguousarray(array).reshape(array.shape)
        return cls(dtype or _NAME_OF[plain.dtype.name], plain.shape, plain.nbytes, plain.tobytes)


def read_raw(path: Path) -> Tuple[Dict[str, StoredTensor], Dict[str, str]]:
    """Tensors of a file by name, not read yet, and the file's metadata; FormatError if it is damaged."""
    with open_safetensors(path):  # the library checks header and offsets
        pass
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(COUNT_BYTES), "little")
        header: Dict[str, Any] = json.loads(file.read(length))
    metadata = header.pop(_METADATA, {})
    return {name: _stored(path, COUNT_BYTES + length, entry) for name, entry in header.items()}, metadata


def _stored(path: Path, base: int, entry: Mapping[str, Any]) -> StoredTensor:
    begin, end = entry["data_offsets"]

    def read() -> bytes:
        with open(path, "rb") as file:
            file.seek(base + begin)
            return file.read(end - begin)

    return StoredTensor(entry["dtype"], tuple(entry["shape"]), end - begin, read)


def write_raw(path: Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> None:
    """Write tensors in the order that keeps each at a multiple of its element's size: wide types first."""
    order = sorted(tensors, key=lambda name: (-_item_bytes(tensors[name]), name))
    header: Dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    position = 0
    for name in order:
        stored, begin = tensors[name], position
        position += stored.num_bytes
        header[name] = {"dtype": stored.dtype, "shape": list(stored.shape), "data_offsets": [begin, position]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % COUNT_BYTES)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(COUNT_BYTES, "little") + text)
        for name in order:
            file.write(tensors[name].read())


def _item_bytes(stored: StoredTensor) -> int:
    count = 1
    for side in stored.shape:
        count *= side
    return max(1, stored.num_bytes // count) if count else 1


def matrix_names(tensors: Mapping[str, StoredTensor]) -> List[str]:
    """Names, sorted, of the dense matrices of a floating-point type that can be pruned."""
    floating = ("F64", "F32", "F16", "BF16")
    return sorted(name for name, one in tensors.items() if one.dtype in floating and len(one.shape) == 2)
