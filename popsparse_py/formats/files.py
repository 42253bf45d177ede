"""Weights in files: npz and safetensors (ours, or dense tensors by name), npy (dense), mtx (coordinates).

Ours: a matrix named T is five tensors, T.shape int64 [2], T.block_size int64 [], T.rows and T.cols int32 [z],
T.values (z, b, b), so one file may hold several matrices beside dense tensors. Files appear whole or not at all.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from popsparse_planner.errors import FormatError, PopsparseError
from popsparse_planner.pattern import BlockPattern

from . import file_mtx, file_numpy, file_safetensors
from .arrays import to_numpy
from .blocks import Parts, to_dense
from .prune import from_dense
from .reblock import reblock

PathLike = Union[str, "os.PathLike[str]"]
DEFAULT_TENSOR = "weight"
PARTS = ("shape", "block_size", "rows", "cols", "values")
_MOST_NAMES_LISTED = 20
_DENSE_BLOCK_SIZE = 16


class Reader(NamedTuple):
    """An open file: the names of its arrays, and a function that reads one."""

    names: List[str]
    read: Callable[[str], np.ndarray]


_OPENERS: Dict[str, Callable[[Path], Any]] = {
    ".npz": file_numpy.open_npz,
    ".npy": file_numpy.open_npy,
    ".safetensors": file_safetensors.open_safetensors,
}


def load(path: PathLike, tensor: Optional[str] = None, block_size: Optional[int] = None) -> Parts:
    """Pattern and values of a matrix in a file.

    tensor: its name (npz, safetensors); needed only where the file holds several. block_size: None means the file's own
    (ours), 1 (mtx coordinates) or 16 (dense: every block with a nonzero is kept). bfloat16 is widened to float32.
    Raises FormatError (unknown suffix, corrupt file, missing name: the message lists the names), FileNotFoundError,
    ShapeError (not a matrix), DTypeError, PatternError (an entry given twice), ImportError (no safetensors).
    """
    found, name = _found(Path(path), tensor)
    if isinstance(found, tuple):
        return found if block_size is None else reblock(*found, block_size)
    return from_dense(found, _DENSE_BLOCK_SIZE if block_size is None else block_size, None, what=name)


def load_dense(path: PathLike, tensor: Optional[str] = None) -> np.ndarray:
    """The matrix of a file, dense (m, k), as it is stored: dtype and shape are not checked. Raises as `load`."""
    found, _ = _found(Path(path), tensor)
    return to_dense(*found) if isinstance(found, tuple) else found


def tensor_names(path: PathLike) -> List[str]:
    """The names that `load` takes for a file (npz, npy, safetensors), sorted; ours count once. Raises as `load`."""
    with _opened(Path(path)) as reader:
        return _known(reader.names)


def save(pattern: BlockPattern, values: Any, path: PathLike, tensor: str = DEFAULT_TENSOR) -> None:
    """Write a matrix to path: .npz and .safetensors hold its blocks (as `tensor`), .npy is dense, .mtx its coordinates.

    Raises FormatError for another suffix, OSError as the file system does, ImportError (no safetensors).
    """
    path, plain = Path(path), to_numpy(values)
    if path.suffix in (".npz", ".safetensors"):
        arrays = ours_as_arrays(pattern, plain, tensor)
        write: Callable[[Path, Mapping[str, np.ndarray]], None] = (
            file_numpy.write_npz if path.suffix == ".npz" else file_safetensors.write_safetensors
        )
        with replaced(path) as part:
            write(part, arrays)
    elif path.suffix == ".npy":
        with replaced(path) as part:
            file_numpy.write_npy(part, to_dense(pattern, plain))
    elif path.suffix == ".mtx":
        with replaced(path) as part:
            file_mtx.write(part, pattern, plain)
    else:
        raise FormatError(f"{path}: cannot write {path.suffix or 'a file without a suffix'}: use {_suffixes()}")


def ours_as_arrays(pattern: BlockPattern, values: np.ndarray, tensor: str) -> Dict[str, np.ndarray]:
    """The five named arrays of a matrix, as a file holds them."""
    parts = (
        np.array(pattern.shape, dtype=np.int64),
        np.array(pattern.block_size, dtype=np.int64),
        pattern.rows,
        pattern.cols,
        values,
    )
    return {f"{tensor}.{part}": np.ascontiguousarray(array).reshape(array.shape) for part, array in zip(PARTS, parts)}


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` at the end, or goes if anything went wrong."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        if part.exists():
            part.unlink()


def _found(path: Path, tensor: Optional[str]) -> Tuple[Union[Parts, np.ndarray], str]:
    """Pattern and values, or the dense array, that `load` is asked for, and its name."""
    if path.suffix == ".mtx":
        if tensor is not None:
            raise FormatError(f"{path} holds one matrix without a name: leave {tensor!r} out")
        return file_mtx.read(path), path.name
    with _opened(path) as reader:
        name = _chosen(path, reader.names, tensor)
        ours = name in matrix_stems(reader.names)
        return (_read_ours(path, reader, name) if ours else reader.read(name)), name


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """The file's reader, by its suffix; whatever its library raises while it is read becomes a FormatError."""
    if path.suffix not in _OPENERS:
        raise FormatError(f"{path}: cannot read {path.suffix or 'a file without a suffix'}: use {_suffixes()}")
    with _OPENERS[path.suffix](path) as (names, read):
        yield Reader(names, read)


def _suffixes() -> str:
    return ", ".join([*_OPENERS, ".mtx"])


def matrix_stems(names: List[str]) -> List[str]:
    """The names T of which all five parts are there."""
    present = set(names)
    stems = [name[: -len(".values")] for name in names if name.endswith(".values")]
    return [stem for stem in stems if all(f"{stem}.{part}" in present for part in PARTS)]


def _known(names: List[str]) -> List[str]:
    """Sorted names of what can be loaded: matrices of ours once, and every other array."""
    ours = matrix_stems(names)
    hidden = {f"{stem}.{part}" for stem in ours for part in PARTS}
    return sorted([name for name in names if name not in hidden] + ours)


def _chosen(path: Path, names: List[str], tensor: Optional[str]) -> str:
    """The name to read: `tensor`, or the only one there is; FormatError that lists the names otherwise."""
    known = _known(names)
    if tensor is None and len(known) == 1:
        return known[0]
    if tensor in names or tensor in known:
        return str(tensor)
    near = [] if tensor is None else get_close_matches(tensor, known, 3)
    listed = ", ".join(known[:_MOST_NAMES_LISTED]) or "none"
    more = f" and {len(known) - _MOST_NAMES_LISTED} more" if len(known) > _MOST_NAMES_LISTED else ""
    asked = f"{path} holds {len(known)} tensors, name one" if tensor is None else f"{path} has no tensor {tensor!r}"
    hint = f". Did you mean {' or '.join(near)}?" if near else ""
    raise FormatError(f"{asked}: {listed}{more}{hint}", names=tuple(known))


def _read_ours(path: Path, reader: Reader, name: str) -> Tuple[BlockPattern, np.ndarray]:
    """The matrix of that name; FormatError if its parts do not fit each other."""
    shape, block_size, rows, cols, values = (reader.read(f"{name}.{part}") for part in PARTS)
    try:
        sides, b = tuple(int(side) for side in shape), int(block_size)
        pattern = BlockPattern(sides, b, rows, cols)  # type: ignore[arg-type]
    except (PopsparseError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: {name} is not a valid block-sparse matrix: {error}") from error
    expected = (pattern.nnz_blocks, b, b)
    if values.shape != expected:
        raise FormatError(f"{path}: {name}.values has shape {values.shape}, its pattern needs {expected}")
    return pattern, values
