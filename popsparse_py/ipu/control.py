"""Steps that choose at run time which other steps are made; only what Poplar has.

A body is a tuple of steps; the same step may stand in several bodies, and is then one step of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Tuple

Body = Tuple[Any, ...]  # of program.Step


@dataclass(frozen=True, eq=False)
class Repeat:
    """The body `count` times."""

    name: str
    count: int
    body: Body

    @property
    def bodies(self) -> Tuple[Body, ...]:
        """Its one body."""
        return (self.body,)


@dataclass(frozen=True, eq=False)
class While:
    """The body as long as the first element of `variable` is not 0; it is tested before each round."""

    name: str
    variable: str
    body: Body

    @property
    def bodies(self) -> Tuple[Body, ...]:
        """Its one body."""
        return (self.body,)


@dataclass(frozen=True, eq=False)
class If:
    """One body where the first element of `variable` is not 0, another where it is."""

    name: str
    variable: str
    then: Body
    otherwise: Body = ()

    @property
    def bodies(self) -> Tuple[Body, ...]:
        """Both bodies."""
        return (self.then, self.otherwise)


@dataclass(frozen=True, eq=False)
class Switch:
    """The case whose number is the first element of `variable`."""

    name: str
    variable: str
    cases: Tuple[Body, ...]

    @property
    def bodies(self) -> Tuple[Body, ...]:
        """All cases."""
        return self.cases


CONTROLS = (Repeat, While, If, Switch)


def all_steps(steps: Body) -> Iterator[Any]:
    """Every step and control once, a control after the steps of its bodies."""
    seen = set()

    def walk(body: Body) -> Iterator[Any]:
        for step in body:
            if id(step) in seen:
                continue
            seen.add(id(step))
            if isinstance(step, CONTROLS):
                for inner in step.bodies:
                    yield from walk(inner)
            yield step

    return walk(steps)
