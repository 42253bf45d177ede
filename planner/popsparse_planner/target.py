"""The machine that is planned for, as numbers that each name their unit, source and status."""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterator, Mapping, Tuple, Union

from .errors import TargetError

STATUSES = ("measured", "published", "fitted", "assumed")
TARGETS_FOLDER = Path(__file__).parent / "targets"

_COUNTS = {
    "tiles": "tiles",
    "workers": "workers",
    "tile_bytes": "bytes",
    "tiles_per_exchange_bus": "tiles",
    "vector_bytes": "bytes",
    "u16_max": "number",
}
_RATES = {
    "clock_hz": "hertz",
    "exchange_bytes_per_cycle": "bytes/cycle",
    "coefficient_load_bytes_per_cycle": "bytes/cycle",
    "amp_macs_per_cycle.float16": "macs/cycle",
    "amp_macs_per_cycle.float32": "macs/cycle",
}
_UNITS = {**_COUNTS, **_RATES}
_MODEL_KEY = re.compile(r"model\.[a-z][a-z0-9_]*")  # coefficients of the cost model: any name, any unit
_COUNTED = "block bucket byte call column element fragment group mac message pass row step tile vertex word worker"
_UNIT_WORDS = frozenset(f"{_COUNTED} cycle hertz number ratio".split())


@dataclass(frozen=True)
class Fact:
    """A number with its unit ("bytes", "cycles/fragment"), where it comes from, and one of STATUSES."""

    value: Union[int, float]
    unit: str
    source: str
    status: str


@dataclass(frozen=True)
class Target:
    """A machine; every number comes from `facts`, whose keys are the property names below.

    facts: "tiles", ..., "amp_macs_per_cycle.float16", and "model.<name>" for the coefficients of the cost model.
    Immutable, hashable, equal by content. Raises TargetError that names the number that is missing, unknown or wrong.
    """

    name: str
    facts: Mapping[str, Fact]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TargetError(f"a target's name must be a text, got {self.name!r}")
        facts = dict(sorted(self.facts.items()))
        missing = [key for key in _UNITS if key not in facts]
        if missing:
            raise TargetError(f"target {self.name!r} lacks {', '.join(missing)}", missing=tuple(missing))
        for key, fact in facts.items():
            _check_fact(self.name, key, fact)
        object.__setattr__(self, "facts", MappingProxyType(facts))

    @property
    def tiles(self) -> int:
        """Tiles of the chip."""
        return int(self.facts["tiles"].value)

    @property
    def workers(self) -> int:
        """Worker threads of a tile."""
        return int(self.facts["workers"].value)

    @property
    def tile_bytes(self) -> int:
        """Memory of a tile in bytes."""
        return int(self.facts["tile_bytes"].value)

    @property
    def clock_hz(self) -> float:
        """Tile clock in hertz."""
        return float(self.facts["clock_hz"].value)

    @property
    def exchange_bytes_per_cycle(self) -> float:
        """Bytes that a tile can receive in a cycle, and send in the same cycle."""
        return float(self.facts["exchange_bytes_per_cycle"].value)

    @property
    def tiles_per_exchange_bus(self) -> int:
        """Neighbouring tiles that share an exchange bus."""
        return int(self.facts["tiles_per_exchange_bus"].value)

    @property
    def vector_bytes(self) -> int:
        """Bytes of a tile's data path."""
        return int(self.facts["vector_bytes"].value)

    @property
    def coefficient_load_bytes_per_cycle(self) -> float:
        """Bytes of block values that the supervisor loads into the matrix unit in a cycle."""
        return float(self.facts["coefficient_load_bytes_per_cycle"].value)

    @property
    def u16_max(self) -> int:
        """Largest number in a 16-bit field of a vertex."""
        return int(self.facts["u16_max"].value)

    @cached_property
    def amp_macs_per_cycle(self) -> Mapping[str, float]:
        """Multiply-adds of a tile's matrix unit in a cycle: {"float16": ..., "float32": ...}."""
        return self._group("amp_macs_per_cycle")

    @cached_property
    def model(self) -> Mapping[str, float]:
        """Coefficients of the cost model by name."""
        return self._group("model")

    def _group(self, table: str) -> Mapping[str, float]:
        keys = [key for key in self.facts if key.startswith(f"{table}.")]
        return MappingProxyType({key[len(table) + 1 :]: float(self.facts[key].value) for key in keys})

    def replace(self, **changes: Any) -> Target:
        """This target with other numbers: replace(tiles=4, model={"sync_cycles": 0}); unnamed ones stay.

        A value may be a Fact, which brings its own unit, source and status, and then may be a new coefficient; a plain
        number keeps the unit and counts as assumed. TargetError for an unknown name or a bad value.
        """
        facts, name = dict(self.facts), changes.pop("name", self.name)
        for key, value in _flattened(changes):
            if isinstance(value, Fact):
                facts[key] = value
                continue
            if key not in facts:
                raise TargetError(f"target {self.name!r} has no number {key!r}: expected {', '.join(facts)}", key=key)
            facts[key] = Fact(value, facts[key].unit, f"set by the caller in place of {self.name}'s number", "assumed")
        return Target(name, facts)

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe content: {"name": ..., "facts": {key: {value, unit, source, status}}}, keys sorted."""
        return {"name": self.name, "facts": {key: asdict(fact) for key, fact in self.facts.items()}}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Target:
        """The target that `to_dict` wrote; TargetError if something is missing, unknown or wrong."""
        if set(fields) != {"name", "facts"}:
            raise TargetError(f"a stored target has the keys name and facts, got {', '.join(sorted(fields))}")
        return cls(fields["name"], {key: _fact(fields["name"], key, fact) for key, fact in fields["facts"].items()})

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, tuple(self.facts.items())))

    def __reduce__(self) -> Any:
        return (Target, (self.name, dict(self.facts)))

    def __repr__(self) -> str:
        return f"Target({self.name!r}, tiles={self.tiles}, clock_hz={self.clock_hz:g})"


def target_names() -> Tuple[str, ...]:
    """Names of the targets that ship with the planner."""
    return tuple(sorted(path.stem for path in TARGETS_FOLDER.glob("*.toml")))


def load_target(name_or_path: Union[str, os.PathLike[str], Target] = "bow") -> Target:
    """The target called `name_or_path` ("bow", "mk2"), or read from a TOML file; a Target comes back as it is.

    A file holds `name`, optionally `base` (a shipped target whose numbers it changes), and one table of value, unit,
    source and status per number: [tiles], [amp_macs_per_cycle.float16], [model.sync_cycles]. Raises TargetError.
    """
    if isinstance(name_or_path, Target):
        return name_or_path
    path = Path(name_or_path)
    if str(path) in target_names():
        return _read(TARGETS_FOLDER / f"{path}.toml")
    if path.suffix != ".toml" and not path.is_file():
        known = ", ".join(target_names())
        raise TargetError(f"target {str(path)!r} is unknown: expected one of {known}, or the path of a TOML file")
    return _read(path)


def _read(path: Path) -> Target:
    parser = toml_parser()
    try:
        tables = parser.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetError(f"cannot read target file {path}: {error}") from error
    name, base = tables.pop("name", path.stem), tables.pop("base", None)
    if base is not None and (base == name or base not in target_names()):
        raise TargetError(f"target file {path}: base must be another of {', '.join(target_names())}, got {base!r}")
    facts: Dict[str, Fact] = {} if base is None else dict(load_target(base).facts)
    facts.update((key, _fact(name, key, table)) for key, table in _flattened(tables))
    return Target(name, facts)


def toml_parser() -> Any:
    """The standard library's tomllib, or tomli where Python has none yet."""
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TargetError(f"reading a target needs the package {name}: python -m pip install {name}") from error


def _flattened(tables: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """(key, value) of each number; the tables model and amp_macs_per_cycle hold several."""
    for key, value in tables.items():
        if key in ("model", "amp_macs_per_cycle"):
            if not isinstance(value, Mapping):
                raise TargetError(f"{key} must be a table of numbers by name, got {value!r}", key=key)
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _fact(target: str, key: str, table: Any) -> Fact:
    names = ("value", "unit", "source", "status")
    given = set(table) if isinstance(table, Mapping) else set()
    if given != set(names):
        odd = sorted(given - set(names))
        problem = f"unknown key {odd[0]!r}" if odd else f"no {', '.join(n for n in names if n not in given)}"
        raise TargetError(f"target {target!r}: [{key}] has {problem}; expected {', '.join(names)}", key=key)
    return Fact(**table)


def _check_fact(target: str, key: str, fact: Fact) -> None:
    """TargetError unless the key is known and value, unit, source and status are right for it."""
    where = f"target {target!r}: {key}"
    if key not in _UNITS and not _MODEL_KEY.fullmatch(key):
        known = ", ".join([*_UNITS, "model.<name>"])
        raise TargetError(f"target {target!r}: unknown key {key!r}; expected one of {known}", key=key)
    if isinstance(fact.value, bool) or not isinstance(fact.value, (int, float)) or not abs(fact.value) < float("inf"):
        raise TargetError(f"{where} must be a finite number, got {fact.value!r}", key=key)
    if key in _COUNTS and (not isinstance(fact.value, int) or fact.value < 1):
        raise TargetError(f"{where} must be a whole number of at least 1, got {fact.value!r}", key=key)
    if key in _RATES and fact.value <= 0:
        raise TargetError(f"{where} must be greater than 0, got {fact.value!r}", key=key)
    if key in _UNITS and fact.unit != _UNITS[key]:
        raise TargetError(f"{where} must be in {_UNITS[key]}, got unit {fact.unit!r}", key=key)
    if not isinstance(fact.unit, str) or not all(_is_unit_word(word) for word in fact.unit.split("/")):
        known = ", ".join(sorted(_UNIT_WORDS))
        raise TargetError(f"{where} has unknown unit {fact.unit!r}: expected words joined by / from {known}", key=key)
    if fact.status not in STATUSES:
        raise TargetError(f"{where} has status {fact.status!r}: expected one of {', '.join(STATUSES)}", key=key)
    if not isinstance(fact.source, str) or not fact.source.strip():
        raise TargetError(f"{where} names no source", key=key)


def _is_unit_word(word: str) -> bool:
    return word in _UNIT_WORDS or (word.endswith("s") and word[:-1] in _UNIT_WORDS)
