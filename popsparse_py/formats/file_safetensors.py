"""safetensors files, by the library of that name (imported on use)."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np

from popsparse_planner.errors import DTypeError, FormatError

from .optional import need

COUNT_BYTES = 8  # a file begins with the bytes of its JSON header, little-endian
_NUMPY_TYPES = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")


@contextmanager
def open_safetensors(path: Path) -> Iterator[Tuple[List[str], Any]]:
    """Names of the tensors in a file and a function that reads one; FormatError if it is none, or damaged."""
    library = need("safetensors", "reading safetensors files")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        file = library.safe_open(str(path), framework="numpy")
    except library.SafetensorError as error:
        raise FormatError(f"{path} is not a readable safetensors file: {error}") from error
    with file:
        yield list(file.keys()), lambda name: _read(path, file, name)


def _read(path: Path, file: Any, name: str) -> np.ndarray:
    """One tensor; bfloat16, which NumPy lacks, widened to float32 without loss."""
    kind = file.get_slice(name).get_dtype()
    if kind == "BF16":
        return _read_bfloat16(path, name)
    if kind not in _NUMPY_TYPES:
        raise DTypeError(f"{path}: {name} has dtype {kind}: expected F16, BF16, F32 or F64", dtype=kind)
    return np.asarray(file.get_tensor(name))


def _read_bfloat16(path: Path, name: str) -> np.ndarray:
    """A bfloat16 tensor as float32. The library has checked the header."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(COUNT_BYTES), "little")
        entry: Dict[str, Any] = json.loads(file.read(length))[name]
        begin, end = entry["data_offsets"]
        file.seek(COUNT_BYTES + length + begin)
        upper = np.frombuffer(file.read(end - begin), dtype="<u2")
    return widened(upper).reshape(entry["shape"])


def widened(bits: np.ndarray) -> np.ndarray:
    """bfloat16, given as its bits in uint16, as float32: its bits are the upper half of one."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays. The bytes go through `open`, as the library's own writer ignores the umask (0600)."""
    library = need("safetensors.numpy", "writing safetensors files")
    whole = library.save(dict(arrays), metadata={"format": "np", "popsparse_py": "block_sparse/1"})
    with open(path, "wb") as file:
        file.write(whole)
