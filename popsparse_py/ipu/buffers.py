"""Variables as a lowering makes them: one buffer per place, tensors over all tiles, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np

from popsparse_planner.layout import ALIGN_BYTES, LinearLayout

from .program import ITEM_BYTES, Variable
from .ranges import expand, offsets_of


@dataclass(frozen=True)
class Buffers:
    """A variable with one interval per owner that needs one; begin: int64 [owners], its first element."""

    name: str
    begin: np.ndarray


class VariableBook:
    """The variables of a program while it is made.

    A temporary or constant that is asked for again with the same sizes (and contents) is the same variable: serial
    passes use the same memory. Another size is another variable, named with a number.
    """

    def __init__(self) -> None:
        self.variables: Dict[str, Variable] = {}
        self.constants: Dict[str, np.ndarray] = {}
        self._known: Dict[Tuple[str, bytes, bytes], Buffers] = {}

    def tensor(self, name: str, dtype: str, role: str, home: LinearLayout) -> None:
        """A tensor in its linear home; nothing if it has no elements."""
        if home.num_elements:
            begins = np.arange(home.tiles_used, dtype=np.int64) * home.per_tile
            tiles = np.arange(home.tiles_used, dtype=np.int32)
            self.variables[name] = Variable(name, dtype, home.num_elements, role, begins, tiles)

    def buffers(self, name: str, dtype: str, role: str, sizes: np.ndarray, tiles: np.ndarray) -> Buffers:
        """One buffer of sizes[i] elements on tiles[i] for each owner i; none where the size is 0."""
        key = (name, sizes.tobytes(), tiles.tobytes())
        if key not in self._known:
            self._known[key] = self._add(name, dtype, role, sizes, tiles)
        return self._known[key]

    def lists(self, name: str, lengths: np.ndarray, tiles: np.ndarray, data: np.ndarray) -> Buffers:
        """Constant uint16 lists of lengths[i] entries on tiles[i]; data: one after the other, without gaps."""
        key = (name, lengths.tobytes() + tiles.tobytes(), data.tobytes())
        if key not in self._known:
            made = self._add(name, "uint16", "constant", lengths, tiles)
            contents = np.zeros(self.variables[made.name].length, dtype=np.uint16)
            contents[expand(made.begin, lengths)] = data
            contents.setflags(write=False)
            self.constants[made.name] = contents
            self._known[key] = made
        return self._known[key]

    def aligned_lists(self, name: str, begins: np.ndarray, tiles: np.ndarray, data: np.ndarray) -> str:
        """Name of a constant whose contents lie ready: list i from begins[i] (a multiple of 8 bytes) on tiles[i]."""
        fresh = self._fresh(name)
        self.variables[fresh] = Variable(fresh, "uint16", len(data), "constant", begins, tiles)
        data.setflags(write=False)
        self.constants[fresh] = data
        return fresh

    def _fresh(self, name: str) -> str:
        taken = sum(known == name or known.startswith(f"{name}.") for known in self.variables)
        return f"{name}.{taken}" if taken else name

    def _add(self, name: str, dtype: str, role: str, sizes: np.ndarray, tiles: np.ndarray) -> Buffers:
        grain = ALIGN_BYTES // ITEM_BYTES[dtype]
        offsets = offsets_of(-(-sizes // grain) * grain)
        used = np.flatnonzero(sizes)
        fresh = self._fresh(name)
        if len(used):
            self.variables[fresh] = Variable(fresh, dtype, int(offsets[-1]), role, offsets[:-1][used], tiles[used])
        return Buffers(fresh, offsets[:-1])


def joined(parts: List[np.ndarray], dtype: Optional[type] = np.int64) -> np.ndarray:
    """All parts one after the other; empty if there are none."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)
