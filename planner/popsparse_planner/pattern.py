"""Where the nonzero blocks of a matrix lie, without their values."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Tuple, Union

import numpy as np

from .errors import FormatError, PatternError, ShapeError
from .pattern_kinds import random_cells

_FILE_FORMAT = "popsparse.pattern/1"
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
_MOST_BLOCKS_PER_SIDE = 2**31 - 1  # block coordinates are int32


@dataclass(frozen=True, eq=False)
class BlockPattern:
    """The places of the nonzero blocks of an (m, k) matrix in blocks of block_size x block_size.

    shape: (m, k) as the user gave it; the last block row and column may reach beyond it (padding is logical).
    rows, cols: int32 [nnz_blocks], block coordinates in row-major order, each pair once; read-only.
    Immutable, hashable, and equal by content. Raises ShapeError and PatternError; `from_indices` sorts.
    """

    shape: Tuple[int, int]
    block_size: int
    rows: np.ndarray
    cols: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "block_size", _checked_block_size(self.block_size))
        mb, kb = self.block_grid
        if max(mb, kb) > _MOST_BLOCKS_PER_SIDE:
            raise PatternError(f"a grid of {mb} x {kb} blocks is too large: at most {_MOST_BLOCKS_PER_SIDE} a side")
        rows, cols = _coordinates("rows", self.rows), _coordinates("cols", self.cols)
        if len(rows) != len(cols):
            raise PatternError(f"rows and cols must be equally long, got {len(rows)} and {len(cols)}")
        self._check_inside(rows, cols)
        if np.any(np.diff(rows * kb + cols) <= 0):
            raise PatternError("blocks must be unique and in row-major order: use BlockPattern.from_indices to sort")
        for name, coordinates in (("rows", rows), ("cols", cols)):
            narrow = coordinates.astype(np.int32)
            narrow.setflags(write=False)
            object.__setattr__(self, name, narrow)

    def _check_inside(self, rows: np.ndarray, cols: np.ndarray) -> None:
        mb, kb = self.block_grid
        outside = np.flatnonzero((rows < 0) | (rows >= mb) | (cols < 0) | (cols >= kb))
        if len(outside):
            entry = int(outside[0])
            row, col = int(rows[entry]), int(cols[entry])
            raise PatternError(
                f"block {entry} at (row {row}, column {col}) lies outside the {mb} x {kb} blocks "
                f"of shape {self.shape} with block_size {self.block_size}",
                entry=entry,
                row=row,
                col=col,
            )

    @classmethod
    def from_mask(cls, mask: Any, *, block_size: int, shape: Optional[Tuple[int, int]] = None) -> BlockPattern:
        """The pattern of a boolean mask (m/b, k/b) with one entry per block.

        shape: (m, k) where it is no multiple of block_size; it must need exactly the mask's blocks (else ShapeError).
        """
        cells = np.asarray(mask)
        if cells.dtype != np.bool_:
            raise PatternError(f"mask must be boolean, got {cells.dtype}: use mask != 0")
        if cells.ndim != 2:
            raise ShapeError(f"mask must have 2 dimensions (m/b, k/b), got shape {cells.shape}")
        b = _checked_block_size(block_size)
        full = _checked_shape((cells.shape[0] * b, cells.shape[1] * b) if shape is None else shape)
        if _block_grid(full, b) != cells.shape:
            raise ShapeError(f"shape {full} has {_block_grid(full, b)} blocks of {b}, the mask has {cells.shape}")
        return cls._from_cells(full, b, np.flatnonzero(cells))

    @classmethod
    def from_indices(cls, rows: Any, cols: Any, *, shape: Tuple[int, int], block_size: int) -> BlockPattern:
        """The pattern with blocks at (rows[i], cols[i]), integers in any order.

        Raises PatternError that names the first block that lies outside the shape or comes twice.
        """
        rows, cols = _coordinates("rows", rows), _coordinates("cols", cols)
        if len(rows) != len(cols):
            raise PatternError(f"rows and cols must be equally long, got {len(rows)} and {len(cols)}")
        empty = cls(shape, block_size, rows[:0], cols[:0])
        empty._check_inside(rows, cols)
        cells = rows * empty.block_grid[1] + cols
        if np.any(np.diff(cells) <= 0):
            order = np.argsort(cells, kind="stable")
            cells = cells[order]
            _refuse_duplicates(cells, order, empty.block_grid[1])
        return cls._from_cells(empty.shape, empty.block_size, cells)

    @classmethod
    def random(
        cls,
        shape: Tuple[int, int],
        *,
        density: Union[float, Fraction],
        block_size: int = 16,
        seed: int = 0,
        kind: str = "uniform",
    ) -> BlockPattern:
        """round(density * mb * kb) distinct blocks, placed as `kind` says; the same arguments give the same pattern.

        density: int, float or Fraction in (0, 1] (else PatternError). kind: uniform (without replacement);
        row_balanced (block rows differ by at most one block); row_skew (row = floor(mb * u^1.5)) and col_skew
        (column likewise); banded (column within max(1, density * kb) of the scaled diagonal); hot_corner (half of the
        draws anywhere, half in the first quarter of rows x quarter of columns); power_law (row weight (r + 1)^-0.8,
        shuffled). Rejected duplicates are drawn again.
        """
        shape, b = _checked_shape(shape), _checked_block_size(block_size)
        if not isinstance(density, (int, float, Fraction, np.integer, np.floating)) or isinstance(density, bool):
            raise PatternError(f"density must be a number in (0, 1], got {density!r}", density=density)
        if not 0 < density <= 1:
            raise PatternError(f"density must lie in (0, 1], got {density}", density=density)
        mb, kb = _block_grid(shape, b)
        exact = density if isinstance(density, Fraction) else float(density)
        cells = random_cells(kind, (mb, kb), round(exact * (mb * kb)), float(density), seed)
        return cls._from_cells(shape, b, cells)

    @classmethod
    def _from_cells(cls, shape: Tuple[int, int], block_size: int, cells: np.ndarray) -> BlockPattern:
        """The pattern of distinct cells row * kb + col, int64, rising."""
        kb = _block_grid(shape, block_size)[1]
        rows = cells // kb
        return cls(shape, block_size, rows, cells - rows * kb)

    @classmethod
    def load(cls, path: Union[str, os.PathLike[str]]) -> BlockPattern:
        """The pattern that `save` wrote; FormatError if the file holds none."""
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                if str(file["format"]) != _FILE_FORMAT:
                    raise FormatError(f"{path}: expected format {_FILE_FORMAT}, got {file['format']}")
                shape, block_size = tuple(file["shape"].tolist()), int(file["block_size"])
                return cls(shape, block_size, file["rows"], file["cols"])
        except FormatError:
            raise
        except _UNREADABLE as error:
            raise FormatError(f"{path} is not a readable pattern file (.npz of BlockPattern.save): {error}") from error

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes the pattern as an .npz file; the file appears whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                np.savez_compressed(
                    file,
                    format=np.array(_FILE_FORMAT),
                    shape=np.array(self.shape, dtype=np.int64),
                    block_size=np.array(self.block_size, dtype=np.int64),
                    rows=self.rows,
                    cols=self.cols,
                )
            os.replace(part, target)
        finally:
            if part.exists():
                part.unlink()

    @property
    def block_grid(self) -> Tuple[int, int]:
        """(mb, kb): block rows and block columns, the last ones padded where m or k is no multiple of block_size."""
        return _block_grid(self.shape, self.block_size)

    @property
    def nnz_blocks(self) -> int:
        """Number of stored blocks."""
        return len(self.rows)

    @property
    def nnz(self) -> int:
        """Number of stored elements, logical padding included."""
        return self.nnz_blocks * self.block_size**2

    @property
    def density(self) -> float:
        """Stored blocks / all blocks."""
        mb, kb = self.block_grid
        return self.nnz_blocks / (mb * kb)

    def row_offsets(self) -> np.ndarray:
        """int64 [mb + 1]: blocks row_offsets[r] to row_offsets[r + 1] lie in block row r (block CSR)."""
        return np.searchsorted(self.rows, np.arange(self.block_grid[0] + 1)).astype(np.int64)

    def to_mask(self) -> np.ndarray:
        """Boolean (mb, kb), True where a block is stored."""
        mask = np.zeros(self.block_grid, dtype=bool)
        mask[self.rows, self.cols] = True
        return mask

    def transpose(self) -> BlockPattern:
        """The pattern of the transposed matrix, shape (k, m)."""
        mb = self.block_grid[0]
        cells = np.sort(self.cols.astype(np.int64) * mb + self.rows)
        return self._from_cells((self.shape[1], self.shape[0]), self.block_size, cells)

    def digest(self) -> str:
        """SHA-256 (hex) of shape, block size and coordinates; the same in every process and on every machine."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        numbers = np.array([*self.shape, self.block_size], dtype="<i8")
        sha = hashlib.sha256(_FILE_FORMAT.encode())
        for part in (numbers, self.rows.astype("<i4"), self.cols.astype("<i4")):
            sha.update(part.tobytes())
        return sha.hexdigest()

    def __or__(self, other: BlockPattern) -> BlockPattern:
        """Blocks of either pattern; ShapeError, PatternError where shapes or block sizes differ."""
        return self._combined(other, lambda a, b: np.unique(np.concatenate([a, b])))

    def __and__(self, other: BlockPattern) -> BlockPattern:
        """Blocks of both patterns; raises as `|`."""
        return self._combined(other, lambda a, b: np.intersect1d(a, b, assume_unique=True))

    def __sub__(self, other: BlockPattern) -> BlockPattern:
        """Blocks of this pattern that the other lacks; raises as `|`."""
        return self._combined(other, lambda a, b: np.setdiff1d(a, b, assume_unique=True))

    def _combined(self, other: BlockPattern, combine: Any) -> BlockPattern:
        if not isinstance(other, BlockPattern):
            return NotImplemented
        if self.shape != other.shape:
            raise ShapeError(f"patterns of shapes {self.shape} and {other.shape} cannot be combined")
        if self.block_size != other.block_size:
            raise PatternError(f"patterns of block sizes {self.block_size} and {other.block_size} cannot be combined")
        return self._from_cells(self.shape, self.block_size, combine(self._cells(), other._cells()))

    def _cells(self) -> np.ndarray:
        return np.asarray(self.rows.astype(np.int64) * self.block_grid[1] + self.cols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BlockPattern):
            return NotImplemented
        same_frame = (self.shape, self.block_size) == (other.shape, other.block_size)
        return same_frame and bool(np.array_equal(self.rows, other.rows) and np.array_equal(self.cols, other.cols))

    def __hash__(self) -> int:
        return hash(self._digest)

    def __reduce__(self) -> Any:
        return (BlockPattern, (self.shape, self.block_size, self.rows, self.cols))

    def __repr__(self) -> str:
        return (
            f"BlockPattern(shape={self.shape}, block_size={self.block_size}, "
            f"nnz_blocks={self.nnz_blocks}, density={self.density:.6g})"
        )


def _block_grid(shape: Tuple[int, int], block_size: int) -> Tuple[int, int]:
    return (-(-shape[0] // block_size), -(-shape[1] // block_size))


def _whole(value: Any) -> Optional[int]:
    """`value` as an int of at least 1, else None."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        return None
    return int(value)


def _checked_shape(shape: Any) -> Tuple[int, int]:
    sides = [_whole(side) for side in shape] if isinstance(shape, (tuple, list)) else []
    if len(sides) != 2 or sides[0] is None or sides[1] is None:
        raise ShapeError(f"shape must be (m, k), two whole numbers of at least 1, got {shape!r}", shape=shape)
    return (sides[0], sides[1])


def _checked_block_size(block_size: Any) -> int:
    side = _whole(block_size)
    if side is None:
        raise PatternError(f"block_size must be a whole number of at least 1, got {block_size!r}", value=block_size)
    return side


def _coordinates(name: str, values: Any) -> np.ndarray:
    """`values` as int64 [any length]; PatternError if they are no integers or not one-dimensional."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise PatternError(f"{name} must have one dimension, got shape {array.shape}")
    if len(array) and not np.issubdtype(array.dtype, np.integer):
        raise PatternError(f"{name} must be integers, got {array.dtype}")
    return array.astype(np.int64)


def _refuse_duplicates(cells: np.ndarray, order: np.ndarray, kb: int) -> None:
    """PatternError for the first entry that repeats an earlier one; cells: sorted stably, order: their old places."""
    repeats = np.flatnonzero(np.diff(cells) == 0)
    if len(repeats):
        at = repeats[np.argmin(order[repeats + 1])]
        row, col = divmod(int(cells[at]), kb)
        first, again = int(order[at]), int(order[at + 1])
        raise PatternError(
            f"block {again} repeats block {first} at (row {row}, column {col}): each block may be given once",
            row=row,
            col=col,
        )
