"""Buckets in a program: a share of each on every tile of its cell, and the whole of it where a product needs it."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from popsparse_planner.bucket_layout import BucketLayout
from popsparse_planner.dynamic.frame import Frame

from .buffers import Buffers, VariableBook
from .program import CopySet, FieldSlices, Variable

VALUES, LISTS = "bucket_values", "bucket_lists"


def shared_variable(book: VariableBook, name: str, dtype: str, role: str, share: int, places: int) -> Buffers:
    """A variable with `share` elements (whole 8 bytes) on each of `places` tiles, in tile order."""
    begins = np.arange(places, dtype=np.int64) * share
    book.variables[name] = Variable(name, dtype, share * places, role, begins, np.arange(places, dtype=np.int32))
    return Buffers(name, begins)


def in_tile_order(cells: np.ndarray, parts: int) -> np.ndarray:
    """Contents of a shared variable, flat, from one row per cell: [cells, parts * share]."""
    shares = cells.reshape(len(cells), parts, -1)
    return np.ascontiguousarray(shares.transpose(1, 0, 2)).reshape(-1) if parts > 1 else shares.reshape(-1)


def in_cell_order(contents: np.ndarray, parts: int, cells: int) -> np.ndarray:
    """[cells, parts * share]: the inverse of in_tile_order."""
    shares = contents.reshape(parts, cells, -1)
    return np.ascontiguousarray(shares.transpose(1, 0, 2)).reshape(cells, -1)


def gather_shares(frame: Frame, source: str, share: int, destination: Buffers, shift: int = 0) -> CopySet:
    """Every tile of a cell receives the shares of all tiles of the cell `shift` before it, one after the other."""
    part, cell, other = np.meshgrid(np.arange(frame.qn), np.arange(frame.num_cells), np.arange(frame.qn), indexing="ij")
    sender = other * frame.num_cells + (cell - shift) % frame.num_cells
    receiver = part * frame.num_cells + cell
    begin = destination.begin[receiver] + other * share
    return CopySet(source, destination.name, sender.ravel() * share, begin.ravel(), np.full(begin.size, share))


class Buckets:
    """The variables of the buckets of one program."""

    def __init__(self, frame: Frame, layout: BucketLayout, book: VariableBook, *, with_values: bool = True) -> None:
        self.frame, self.layout = frame, layout
        places = frame.num_tiles
        sizes: List[Tuple[str, str, str, int]] = [(LISTS, "uint16", "meta", layout.list_share)]
        if with_values:
            sizes.append((VALUES, layout.dtype, "values", layout.value_share))
        self.shares = {name: shared_variable(book, name, dtype, role, n, places) for name, dtype, role, n in sizes}
        self.whole = dict(self.shares)
        self._sizes = {name: share for name, _, _, share in sizes}
        if frame.qn > 1:
            tiles = np.arange(places, dtype=np.int64)
            for name, dtype, _, share in sizes:
                length = np.full(places, share * frame.qn, dtype=np.int64)
                self.whole[name] = book.buffers(f"whole_{name}", dtype, "temp", length, tiles)

    def gather(self) -> List[CopySet]:
        """The copies that bring every bucket together on each of its tiles; none where one tile holds it."""
        if self.frame.qn == 1:
            return []
        return [gather_shares(self.frame, name, share, self.whole[name]) for name, share in self._sizes.items()]

    def slices(self, name: str) -> FieldSlices:
        """The whole bucket's values or list as an edge of one vertex per place."""
        length = np.full(self.frame.num_tiles, self._sizes[name] * self.frame.qn, dtype=np.int64)
        return FieldSlices(self.whole[name].name, self.whole[name].begin, length)
