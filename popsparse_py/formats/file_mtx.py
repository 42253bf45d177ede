"""Matrix Market files (https://math.nist.gov/MatrixMarket/formats.html), read and written with NumPy alone.

scipy's reader is not used: scipy 1.17 ends the process on a truncated coordinate file.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Tuple, Union

import numpy as np

from popsparse_planner.errors import DTypeError, FormatError, PopsparseError
from popsparse_planner.pattern import BlockPattern

from .blocks import Parts, entries, in_order
from .checks import checked_finite

_FIELDS = ("real", "double", "integer", "pattern")
_SYMMETRIES = ("general", "symmetric", "skew-symmetric")


class _Header(NamedTuple):
    """First line of a file, checked, and the whole numbers of its size line."""

    layout: str  # "coordinate" or "array"
    field: str
    symmetry: str
    sizes: Tuple[int, ...]  # m, k and, of a coordinate file, the number of entries


def read(path: Path) -> Union[Parts, np.ndarray]:
    """Pattern (block size 1) and float64 values of a coordinate file, or the dense float64 (m, k) of an array file.

    The entries of a pattern file are ones. Raises FormatError if it is no such file, or damaged; DTypeError for complex
    numbers; PatternError for an entry given twice.
    """
    try:
        return _parsed(path, path.read_bytes())
    except PopsparseError:
        raise
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} is not a readable mtx file: {error}") from error


def _parsed(path: Path, content: bytes) -> Union[Parts, np.ndarray]:
    first, _, rest = content.partition(b"\n")
    lines = rest.split(b"\n")
    skip = 0
    while skip < len(lines) and (lines[skip].startswith(b"%") or not lines[skip].strip()):
        skip += 1
    sizes = lines[skip].decode("ascii") if skip < len(lines) else ""
    header = _header(path, first.decode("ascii", "replace"), sizes)
    numbers = np.array(b"\n".join(lines[skip + 1 :]).split(), dtype="S").astype(np.float64)
    checked_finite(numbers, str(path))
    return _coordinates(path, header, numbers) if header.layout == "coordinate" else _array(path, header, numbers)


def _header(path: Path, first: str, sizes: str) -> _Header:
    words = first.lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"] or words[2] not in ("coordinate", "array"):
        raise FormatError(f"{path} is not a readable mtx file: it begins with {first[:60]!r}")
    layout, field, symmetry = words[2:]
    if field == "complex":
        raise DTypeError(f"{path} holds complex numbers: expected {', '.join(_FIELDS)}")
    if field not in _FIELDS or symmetry not in _SYMMETRIES:
        raise FormatError(f"{path} is not a readable mtx file: unknown kind {field} {symmetry}")
    counts = tuple(int(word) for word in sizes.split())
    if len(counts) != (3 if layout == "coordinate" else 2) or min(counts[:2]) < 1 or min(counts) < 0:
        raise FormatError(f"{path} is not a readable mtx file: its sizes are {sizes[:60]!r}")
    if symmetry != "general" and counts[0] != counts[1]:
        raise FormatError(f"{path} is not a readable mtx file: {symmetry}, but {counts[0]} x {counts[1]}")
    return _Header(layout, field, symmetry, counts)


def _expect(path: Path, numbers: np.ndarray, count: int) -> None:
    if len(numbers) != count:
        raise FormatError(f"{path} is not a readable mtx file: expected {count} numbers, got {len(numbers)}")


def _coordinates(path: Path, header: _Header, numbers: np.ndarray) -> Parts:
    """Pattern and values of `row column [value]` triples that count from 1."""
    m, k, count = header.sizes
    width = 2 if header.field == "pattern" else 3
    _expect(path, numbers, width * count)
    table = numbers.reshape(count, width)
    places = table[:, :2].astype(np.int64) - 1
    outside = np.flatnonzero(((places + 1 != table[:, :2]) | (places < 0) | (places >= [m, k])).any(axis=1))
    if len(outside):
        entry = int(outside[0])
        row, col = table[entry, :2]
        raise FormatError(f"{path} is not a readable mtx file: entry {entry} at ({row:g}, {col:g}) is not in {m} x {k}")
    values = table[:, 2] if width == 3 else np.ones(count)
    if header.symmetry != "general":
        other = places[:, 0] != places[:, 1]
        sign = -1.0 if header.symmetry == "skew-symmetric" else 1.0
        places = np.concatenate([places, places[other][:, ::-1]])
        values = np.concatenate([values, sign * values[other]])
    return in_order(places[:, 0], places[:, 1], values.reshape(-1, 1, 1), (m, k), 1)


def _array(path: Path, header: _Header, numbers: np.ndarray) -> np.ndarray:
    """The dense matrix of numbers that run down the columns, of the lower triangle alone if it is symmetric."""
    m, k = header.sizes
    if header.symmetry == "general":
        _expect(path, numbers, m * k)
        return numbers.reshape(k, m).T
    skew = header.symmetry == "skew-symmetric"
    _expect(path, numbers, m * (m - 1) // 2 if skew else m * (m + 1) // 2)
    cols, rows = np.triu_indices(m, int(skew))
    w = np.zeros((m, m))
    w[cols, rows] = -numbers if skew else numbers
    w[rows, cols] = numbers
    return w


def write(path: Path, pattern: BlockPattern, values: np.ndarray) -> None:
    """Write the stored entries as real coordinates, in decimals that read back to the same numbers."""
    rows, cols, ones = entries(pattern, values)
    m, k = pattern.shape
    lines: List[str] = ["%%MatrixMarket matrix coordinate real general", f"{m} {k} {len(ones)}"]
    numbers = ones.astype(np.float64).tolist()
    lines += [f"{row} {col} {value!r}" for row, col, value in zip((rows + 1).tolist(), (cols + 1).tolist(), numbers)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
