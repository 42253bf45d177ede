"""npz and npy files."""

from __future__ import annotations

import errno
import struct
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Tuple

import numpy as np

from popsparse_planner.errors import FormatError, PopsparseError

_UNREADABLE = (  # what NumPy, zipfile and the header's parser were seen to raise on damaged files
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def open_npz(path: Path) -> Iterator[Tuple[List[str], Any]]:
    """Names of the arrays in an npz file and a function that reads one; FormatError if it is none, or damaged."""
    with _readable(path, "npz"):
        with open(path, "rb") as file, zipfile.ZipFile(file):
            pass  # np.load takes any file whose first bytes it knows for another format
        with np.load(path, allow_pickle=False) as archive:
            yield list(archive.files), archive.__getitem__


@contextmanager
def open_npy(path: Path) -> Iterator[Tuple[List[str], Any]]:
    """The one array of an npy file, under the file's stem; FormatError if it is none, or damaged."""
    with _readable(path, "npy"):
        mapped = np.lib.format.open_memmap(path, mode="r")  # its length is checked before anything is allocated
        yield [path.stem], lambda _: np.array(mapped)


@contextmanager
def _readable(path: Path, suffix: str) -> Iterator[None]:
    try:
        yield
    except PopsparseError:
        raise
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a damaged offset, sought before the beginning
            raise
        raise FormatError(f"{path} is not a readable {suffix} file: {error}") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays, uncompressed."""
    with open(path, "wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write one array."""
    with open(path, "wb") as file:
        np.save(file, array)
