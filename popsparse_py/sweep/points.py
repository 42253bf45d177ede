"""A sweep file: grids of products, and the pictures to draw of them."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from popsparse_planner import FormatError, load_target

PUBLISHED = Path(__file__).parent / "published.toml"
_AXES = (
    "m",
    "k",
    "n",
    "block_size",
    "density",
    "mode",
    "strategy",
    "dtype",
    "partials_dtype",
    "kind",
    "seed",
    "target",
    "grad_input",
)
_DEFAULTS: Dict[str, Any] = {
    "block_size": 16,
    "mode": "static",
    "strategy": "balanced",
    "dtype": "float16",
    "partials_dtype": "",
    "kind": "uniform",
    "seed": 0,
    "target": "bow",
    "grad_input": False,
}


@dataclass(frozen=True)
class Point:
    """One product to plan. density: as a fraction in text; partials_dtype "": the strategy's default; grad_input:
    whether a dynamic plan makes room for that pass."""

    m: int
    k: int
    n: int
    block_size: int
    density: str
    mode: str
    strategy: str
    dtype: str
    partials_dtype: str
    kind: str
    seed: int
    target: str
    grad_input: bool = False

    @property
    def id(self) -> str:
        """Digest of the product and of all numbers of the target: another model makes another point."""
        numbers = json.dumps(load_target(self.target).to_dict(), sort_keys=True)
        text = json.dumps(asdict(self), sort_keys=True) + numbers
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Figure:
    """A picture. grid: whose points; kind "lines" (x: a field; best_over: fields of which the best rate counts;
    measured: figure of paper_lines.csv) or "speedup" (tables of n by m, one for each block size and density)."""

    title: str
    grid: str
    kind: str = "lines"
    x: str = "density"
    best_over: Tuple[str, ...] = ()
    measured: str = ""


@dataclass(frozen=True)
class Sweep:
    """Points of all grids, each once; grids: ids by grid name, in order."""

    name: str
    points: Mapping[str, Point]
    grids: Mapping[str, Tuple[str, ...]]
    figures: Tuple[Figure, ...]


def load_sweep(path: Path) -> Sweep:
    """The sweep in a TOML file; FormatError that names what is wrong with it, OSError where it cannot be read."""
    try:
        tables = _toml().loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path}: not a TOML file ({error})") from error
    unknown = sorted(set(tables) - {"name", "defaults", "grid", "figure"})
    if unknown or not tables.get("grid"):
        what = f"unknown key {unknown[0]!r}" if unknown else "no [[grid]]"
        raise FormatError(f"{path}: {what}; expected name, [defaults], [[grid]], [[figure]]")
    points: Dict[str, Point] = {}
    grids: Dict[str, Tuple[str, ...]] = {}
    for index, grid in enumerate(tables["grid"]):
        name = str(grid.get("name", f"grid {index + 1}"))
        made = {point.id: point for point in _points(path, name, {**_DEFAULTS, **tables.get("defaults", {}), **grid})}
        points.update(made)
        grids[name] = (*grids.get(name, ()), *made)
    figures = tuple(_figure(path, table, grids) for table in tables.get("figure", []))
    return Sweep(str(tables.get("name", path.stem)), points, grids, figures)


def _toml() -> Any:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def _points(path: Path, name: str, grid: Dict[str, Any]) -> List[Point]:
    grid.pop("name", None)
    unknown = sorted(set(grid) - set(_AXES))
    missing = [axis for axis in ("m", "n", "density") if axis not in grid]
    if unknown or missing:
        what = f"unknown axis {unknown[0]!r}" if unknown else f"no {', '.join(missing)}"
        raise FormatError(f"{path}: grid {name!r} has {what}; axes are {', '.join(_AXES)}")
    axes = {axis: value if isinstance(value, list) else [value] for axis, value in grid.items()}
    axes.setdefault("k", [None])
    found = []
    for values in itertools.product(*axes.values()):
        fields = dict(zip(axes, values))
        fields["k"] = fields["m"] if fields["k"] is None else fields["k"]
        fields["density"] = _density(path, name, fields["density"])
        if fields["mode"] == "dynamic" and fields["strategy"] == "balanced":
            fields["strategy"] = "quantile"  # the dynamic planner of this project, as balanced is the static one
        found.append(Point(**fields))
    return found


def _density(path: Path, name: str, value: Any) -> str:
    try:
        density = Fraction(value if isinstance(value, str) else str(value))
    except (ValueError, ZeroDivisionError):
        density = Fraction(0)
    if not 0 < density <= 1:
        raise FormatError(f'{path}: grid {name!r}: density must lie in (0, 1] as in "1/16" or 0.0625, got {value!r}')
    return str(density)


def _figure(path: Path, table: Dict[str, Any], grids: Mapping[str, Any]) -> Figure:
    try:
        fields = dict(table, best_over=tuple(table.get("best_over", ())))
        figure = Figure(**fields)
    except TypeError as error:
        raise FormatError(f"{path}: a [[figure]] is not complete: {error}") from None
    if figure.grid not in grids or figure.kind not in ("lines", "speedup"):
        known = ", ".join(grids)
        raise FormatError(f"{path}: figure {figure.title!r} needs a grid of {known} and kind lines or speedup")
    return figure


def density_of(point: Mapping[str, Any]) -> float:
    """The density of a point or of its result as a number."""
    return float(Fraction(point["density"]))


def text_of(value: Optional[float], form: str) -> str:
    """A number, or nothing."""
    return "" if value is None else format(value, form)
