"""A Program built on the embedded model of the chip."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from ..ipu.control import CONTROLS, Repeat, all_steps
from ..ipu.program import Exchange, Program


class Built(NamedTuple):
    """A compiled core model, the id of each variable by name, and the number of each step by id()."""

    model: Any
    variables: Dict[str, int]
    steps: Dict[int, int]

    def executions(self) -> Dict[int, int]:
        """How often each step ran in the last run, by id() of the step."""
        counts: np.ndarray = self.model.executions()
        return {step: int(counts[number]) for step, number in self.steps.items()}


def build_model(program: Program, tile_bytes: int, threads: int) -> Built:
    """The program built and checked, its constants written."""
    core = import_module("popsparse_py._core")
    model = core.Model(program.num_tiles, tile_bytes, threads=threads)
    ids: Dict[str, int] = {}
    for name, v in program.variables.items():
        live = "temp" if v.temporary else "always"
        ids[name] = model.add_variable(name, v.dtype, v.length, v.begins, v.tiles, live)
    steps: Dict[int, int] = {}
    for step in all_steps(program.steps):
        steps[id(step)] = _add_step(model, step, ids, steps)
    model.reserve(program.reserved_bytes)
    model.compile()
    for name, contents in program.constants.items():
        model.write(ids[name], contents)
    return Built(model, ids, steps)


def _add_step(model: Any, step: Any, ids: Dict[str, int], steps: Dict[int, int]) -> int:
    if isinstance(step, CONTROLS):
        bodies = [[steps[id(inner)] for inner in body] for body in step.bodies]
        kind = type(step).__name__.lower()
        variable = 0 if isinstance(step, Repeat) else ids[step.variable]
        number: int = model.add_control(
            step.name, kind, variable, step.count if isinstance(step, Repeat) else 0, bodies
        )
        return number
    if isinstance(step, Exchange):
        copies = [
            (ids[c.source], ids[c.destination], c.source_begin, c.destination_begin, c.length) for c in step.copies
        ]
        return int(model.add_exchange(step.name, copies))
    return int(model.add_compute(step.name, [_vertices(one, ids) for one in step.vertices]))


def _vertices(one: Any, ids: Dict[str, int]) -> Tuple[Any, ...]:
    fields = [(name, ids[slices.variable], slices.begin, slices.length) for name, slices in one.fields.items()]
    return one.vertex, one.tile, fields, list(one.scalars.items())
