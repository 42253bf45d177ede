"""`popsparse validate`: the model beside published measurements, and the fit of its coefficients."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Dict, List, Union

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from popsparse_planner import PlanError, Target, dynamic_fit, static_fit
from popsparse_planner.dynamic_fit import DynamicFit, fit_dynamic
from popsparse_planner.measured import load_dynamic_points, load_static_points
from popsparse_planner.static_fit import StaticFit, fit_static
from popsparse_planner.validation import BOUNDS, Errors, Validation, covering_errors, validate

from ..plans import chip
from .output import Output, new_table
from .requests import ValidateRequest
from .scatter import scatter_svg

_TITLES = {
    "static_cycles": "static FP16, cycles",
    "static_speedup": "static FP16, speed-up over dense",
    "dynamic_rates": "dynamic FP16, best TFLOP/s",
    "dense_float16": "dense FP16, cycles",
    "dense_float32": "dense FP32, cycles",
}
_FORMS = {"static_speedup": (1.0, ",.2f"), "dynamic_rates": (1e12, ",.2f")}  # (unit, format); else cycles
_FITS = {  # key of the JSON, and what the rms error of points held out may be
    "static": ("fit", static_fit.LARGEST_HELD_OUT_RMS),
    "dynamic": ("dynamic_fit", dynamic_fit.LARGEST_HELD_OUT_RMS),
}
Fit = Union[StaticFit, DynamicFit]


def execute(request: ValidateRequest) -> int:
    """Compares and prints; 1 if a bound is broken or a fit does not hold on points held out."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    target = chip(request.target)
    with output.progress("predicting the measured products"):
        found = validate(target, folder=request.data)
    broken = found.broken_bounds()
    fits: Dict[str, Fit] = {}
    if request.fit:
        with output.progress("fitting"):
            fits = _fits(request, target, found, broken)
    if request.plot is not None:
        request.plot.write_text(scatter_svg(found), encoding="utf-8")
    fields: Dict[str, Any] = {"schema": "popsparse.cli.validate/1", "ok": not broken, "broken": broken}
    fields.update(found.to_dict(), covering_errors=covering_errors(found))
    for mode, fitted in fits.items():
        fields[_FITS[mode][0]] = dict(asdict(fitted), largest_held_out_rms=_FITS[mode][1])
    output.show(verdict(found, broken), fields, *_views(found), *(_fit_table(*one) for one in fits.items()))
    return 1 if broken else 0


def _fits(request: ValidateRequest, target: Target, found: Validation, broken: List[str]) -> Dict[str, Fit]:
    """The fits that hold, by mode; what does not hold is added to `broken`. No dynamic one without its series."""
    made: Dict[str, Callable[[], Fit]] = {
        "static": lambda: fit_static(target, points=load_static_points(request.data)),
        "dynamic": lambda: fit_dynamic(target, points=load_dynamic_points(request.data)),
    }
    fits: Dict[str, Fit] = {}
    for mode, make in made.items():
        if mode == "dynamic" and "dynamic_rates" not in found.series:
            continue
        try:
            fits[mode] = make()
        except PlanError as error:
            broken.append(f"{mode}: {error}")
    return fits


def verdict(found: Validation, broken: List[str]) -> str:
    """What does not hold, or the errors of each series, one line."""
    if broken:
        return "; ".join(broken)
    parts = [f"{_TITLES[name]} {errors.rms:.1%} rms" for name, errors in found.series.items()]
    return f"within the bounds: {', '.join(parts)}"


def _views(found: Validation) -> List[RenderableType]:
    return [
        Text(f"predicted against measured on {found.target}; errors are relative, of predicted / measured - 1"),
        _series_table(found),
        *(_group_table(found, name) for name in found.series),
        _worst_table(found),
    ]


def _series_table(found: Validation) -> Table:
    table = new_table("By series", "series", *_COLUMNS, "bounds (rms, median, worst)")
    for name, errors in found.series.items():
        bounds = ", ".join("-" if bound is None else f"{bound:.0%}" for bound in BOUNDS[name])
        table.add_row(_TITLES[name], *_cells(errors), bounds)
    return table


_COLUMNS = ("points", "rms", "median", "worst", "mean")


def _cells(errors: Errors) -> List[str]:
    sizes = [f"{value:.1%}" for value in (errors.rms, errors.median, errors.worst)]
    return [str(errors.points), *sizes, f"{errors.mean:+.1%}"]


def _group_table(found: Validation, series: str) -> Table:
    table = new_table(_TITLES[series], "by", "value", *_COLUMNS)
    for name, groups in found.by[series].items():
        for value, errors in groups.items():
            table.add_row(name, value, *_cells(errors))
    return table


def _worst_table(found: Validation) -> Table:
    table = new_table("Worst cells", "series", "product", "measured", "predicted", "error")
    for series in found.series:
        for one in found.worst(series):
            unit, digits = _FORMS.get(series, (1.0, ",.0f"))
            numbers = (*(format(value / unit, digits) for value in (one.measured, one.predicted)), f"{one.error:+.1%}")
            table.add_row(_TITLES[series], one.name, *numbers)
    return table


def _fit_table(mode: str, fitted: Fit) -> Table:
    title = f"Fit, {mode}: {fitted.rms:.1%} rms on the points fitted, {fitted.held_out_rms:.1%} on points held out"
    table = new_table(title, "coefficient", "value")
    for name, value in fitted.coefficients.items():
        table.add_row(name, f"{value:.4g}")
    return table
