"""A short hand for programs of a few vertices, so that a test states only what matters to it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import pytest


class Machine:
    """A model under construction: variables by name, one vertex or one list of copies at a time."""

    def __init__(self, tiles: int = 2, tile_bytes: int = 65536, threads: int = 1) -> None:
        core = pytest.importorskip("popsparse_py._core", reason="the native core is not built")
        self.model = core.Model(tiles, tile_bytes, threads=threads)
        self.ids: Dict[str, int] = {}

    def variable(
        self,
        name: str,
        length: int,
        dtype: str = "float16",
        begins: Sequence[int] = (0,),
        tiles: Sequence[int] = (0,),
        live: str = "always",
        data: Optional[Iterable[float]] = None,
    ) -> None:
        """Adds a variable; `data` are its contents, else it stays unwritten."""
        places = (np.array(begins, np.int64), np.array(tiles, np.int32))
        self.ids[name] = self.model.add_variable(name, dtype, length, *places, live)
        if data is not None:
            self.write(name, np.array(list(data), dtype))

    def exchange(self, name: str, *copies: Tuple[str, str, Sequence[int], Sequence[int], Sequence[int]]) -> int:
        """Adds copies: (source, destination, source begins, destination begins, lengths)."""
        return self.model.add_exchange(
            name, [(self.ids[c[0]], self.ids[c[1]], *(np.array(x, np.int64) for x in c[2:])) for c in copies]
        )

    def compute(self, name: str, *vertices: Any) -> int:
        """Adds vertices as vertex() makes them."""
        return self.model.add_compute(name, list(vertices))

    def vertex(self, name: str, tiles: Sequence[int], **fields: Any) -> Any:
        """Instances on `tiles`; a field is (variable, begins, lengths) or a list of scalars."""
        slices: List[Any] = []
        scalars: List[Any] = []
        for field, value in fields.items():
            if isinstance(value, tuple):
                variable, begin, length = value
                slices.append((field, self.ids[variable], np.array(begin, np.int64), np.array(length, np.int64)))
            else:
                scalars.append((field, np.array(value, np.int64)))
        return (f"popsparse_py::{name}", np.array(tiles, np.int32), slices, scalars)

    def step(self, name: str, tile: int = 0, **fields: Any) -> int:
        """Adds a compute step of one vertex; a field is (variable, begin, length) or a scalar."""
        columns = {
            field: (value[0], [value[1]], [value[2]]) if isinstance(value, tuple) else [value]
            for field, value in fields.items()
        }
        return self.compute(name.split("::")[-1], self.vertex(name, [tile], **columns))

    def write(self, name: str, contents: np.ndarray) -> None:
        self.model.write(self.ids[name], contents)

    def read(self, name: str) -> np.ndarray:
        return self.model.read(self.ids[name])

    def compile(self) -> Machine:
        self.model.compile()
        return self

    def run(self) -> Machine:
        self.model.compile()
        self.model.run()
        return self


@pytest.fixture
def machine() -> Callable[..., Machine]:
    return Machine
