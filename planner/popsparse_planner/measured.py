"""Published measurements of Graphcore's sparse library on Bow, as points to compare predictions with."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, TypeVar, Union

from .errors import FormatError

DATA_FOLDER = Path(__file__).parent / "data"
DYNAMIC_FILE = "paper_lines.csv"
_OTHER_DENSITY = 1 / 16  # of the figures whose axis is not the density
_Point = TypeVar("_Point")


class StaticPoint(NamedTuple):
    """One measured static product of float16, uniform pattern, m = k: its cycles (no sync), or how many times faster
    than dense it was; None where that was not measured."""

    b: int
    density: float
    m: int
    n: int
    cycles: Optional[float]
    speedup: Optional[float]

    @property
    def name(self) -> str:
        """How a report calls it."""
        return f"b={self.b} d=1/{round(1 / self.density)} m={self.m} n={self.n}"


def load_static_points(folder: Union[str, Path, None] = None) -> Tuple[StaticPoint, ...]:
    """The points of paper_static_cycles.csv and paper_static_speedup.csv in `folder` (default: the shipped ones).

    Left out: cells without a result, and those at the end of the colour scale, of which only a bound is known.
    Raises FormatError for a file without its columns. Source and columns: data/README.md.
    """
    place = DATA_FOLDER if folder is None else Path(folder)
    cycles = dict(_rows(place / "paper_static_cycles.csv", _cycles))
    speedups = dict(_rows(place / "paper_static_speedup.csv", _speedup))
    keys = sorted({**cycles, **speedups})
    return tuple(StaticPoint(*key, cycles.get(key), speedups.get(key)) for key in keys)


class DynamicPoint(NamedTuple):
    """One measured rate of dynamic products of float16, uniform pattern, m = k: FLOP/s of nonzeros at the best n."""

    b: int
    density: float
    m: int
    flops: float

    @property
    def name(self) -> str:
        """How a report calls it."""
        return f"b={self.b} d=1/{round(1 / self.density)} m={self.m}"


def load_dynamic_points(folder: Union[str, Path, None] = None) -> Tuple[DynamicPoint, ...]:
    """The dynamic points of paper_lines.csv in `folder` (default: the shipped one), each product once.

    A product that several figures show counts with the mean of what was read. Raises FormatError for a file without its
    columns. Source and columns: data/README.md.
    """
    place = DATA_FOLDER if folder is None else Path(folder)
    read: Dict[Tuple[int, float, int], List[float]] = {}
    for key, flops in _rows(place / DYNAMIC_FILE, _dynamic):
        read.setdefault(key, []).append(flops)
    return tuple(DynamicPoint(*key, sum(rates) / len(rates)) for key, rates in sorted(read.items()))


def _dynamic(row: Dict[str, str]) -> Optional[Tuple[Tuple[int, float, int], float]]:
    if row["method"] != "dynamic_sparse" or row["type"] != "FP16":
        return None
    axis, value = row["x_name"], float(row["x_value"])
    b = int(value) if axis == "block_size" else int(row["b"])
    return (b, value if axis == "density" else _OTHER_DENSITY, int(row["m"])), float(row["flops"])


_Key = Tuple[int, float, int, int]


def _key(row: Dict[str, str]) -> _Key:
    return int(row["b"]), float(row["density"]), int(row["m"]), int(row["n"])


def _cycles(row: Dict[str, str]) -> Optional[Tuple[_Key, float]]:
    known = not math.isinf(float(row["static_flops_hi"]))
    return (_key(row), float(row["static_cycles_bow_1.85GHz"])) if known else None


def _speedup(row: Dict[str, str]) -> Optional[Tuple[_Key, float]]:
    known = row["status"] == "ok" and not math.isinf(float(row["speedup_hi"]))
    return (_key(row), float(row["speedup"])) if known else None


def _rows(file: Path, read: Callable[[Dict[str, str]], Optional[_Point]]) -> List[_Point]:
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            return [point for point in map(read, csv.DictReader(lines)) if point is not None]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"cannot read measurements from {file}: {error!r}") from error
