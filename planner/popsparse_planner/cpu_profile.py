"""A processor core in numbers, each with its unit and source: what the plans for target "cpu" are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Dict, Mapping, Tuple, Union

from .errors import TargetError
from .target import STATUSES, Fact, toml_parser

_FILE = Path(__file__).parent / "hosts" / "cpu.toml"
_TIERS = ("avx512", "avx2", "neon", "baseline")
_UNITS = {
    "l1_bytes": "bytes",
    "l2_bytes": "bytes",
    "l1_bytes_per_second": "bytes/second",
    "l2_bytes_per_second": "bytes/second",
    "l3_bytes_per_second": "bytes/second",
    "copy_bytes_per_second": "bytes/second",
    "call_seconds": "seconds",
    **{f"flops_per_second.{tier}": "flops/second" for tier in _TIERS},
}


@dataclass(frozen=True)
class CpuProfile:
    """One core. facts: by the names of hosts/cpu.toml; all are numbers above 0, TargetError otherwise."""

    name: str
    facts: Mapping[str, Fact]

    units: ClassVar[Mapping[str, str]] = _UNITS

    def __post_init__(self) -> None:
        for key, unit in self.units.items():
            fact = self.facts.get(key)
            if fact is None:
                raise TargetError(f"machine profile {self.name!r} lacks {key}", key=key)
            number = isinstance(fact.value, (int, float)) and not isinstance(fact.value, bool)
            if not number or not 0 < fact.value < float("inf"):
                raise TargetError(f"machine profile {self.name!r}: {key} must be above 0, got {fact.value!r}", key=key)
            if fact.unit != unit or fact.status not in STATUSES or not fact.source:
                raise TargetError(
                    f"machine profile {self.name!r}: {key} must be in {unit}, with a source and a status of "
                    f"{', '.join(STATUSES)}; got {fact}",
                    key=key,
                )
        unknown = sorted(set(self.facts) - set(self.units))
        if unknown:
            raise TargetError(f"machine profile {self.name!r}: unknown key {unknown[0]!r}", key=unknown[0])
        object.__setattr__(self, "facts", MappingProxyType(dict(sorted(self.facts.items()))))

    def __getitem__(self, key: str) -> float:
        return float(self.facts[key].value)

    def replace(self, source: str, **values: Union[int, float]) -> CpuProfile:
        """This profile with other numbers, measured; source says how. A dot in a key is written as two underscores."""
        facts = dict(self.facts)
        for key, value in ((key.replace("__", "."), value) for key, value in values.items()):
            if key not in facts:
                raise TargetError(f"machine profile {self.name!r} has no number {key!r}", key=key)
            facts[key] = Fact(value, facts[key].unit, source, "measured")
        return type(self)(self.name, facts)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.facts.items())))

    def __reduce__(self) -> Any:
        return (type(self), (self.name, dict(self.facts)))


def load_cpu_profile() -> CpuProfile:
    """The profile that ships with the planner."""
    return CpuProfile(*read_profile(_FILE))


def read_profile(path: Path) -> Tuple[str, Dict[str, Fact]]:
    """Name and facts of a profile's file; a table of tables gives facts with a dot in their names."""
    tables = toml_parser().loads(path.read_text(encoding="utf-8"))
    name = tables.pop("name")
    facts: Dict[str, Fact] = {}
    for key, table in tables.items():
        inner = {key: table} if "value" in table else {f"{key}.{part}": one for part, one in table.items()}
        facts.update((full, Fact(**one)) for full, one in inner.items())
    return name, facts
