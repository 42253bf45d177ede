"""`popsparse validate`: the model beside published measurements, and the fit of its coefficients."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, List, Optional

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from popsparse_planner import PlanError
from popsparse_planner.measured import load_static_points
from popsparse_planner.static_fit import LARGEST_HELD_OUT_RMS, StaticFit, fit_static
from popsparse_planner.validation import BOUNDS, Errors, Validation, covering_errors, validate

from ..plans import chip
from .output import Output, new_table
from .requests import ValidateRequest
from .scatter import scatter_svg

_TITLES = {
    "static_cycles": "static FP16, cycles",
    "static_speedup": "static FP16, speed-up over dense",
    "dense_float16": "dense FP16, cycles",
    "dense_float32": "dense FP32, cycles",
}


def execute(request: ValidateRequest) -> int:
    """Compares and prints; 1 if a bound is broken or a fit does not hold on points held out."""
    output = Output(as_json=request.as_json, quiet=request.quiet)
    target = chip(request.target)
    with output.progress("predicting the measured products"):
        found = validate(target, folder=request.data)
    broken = found.broken_bounds()
    fitted: Optional[StaticFit] = None
    if request.fit:
        try:
            with output.progress("fitting"):
                fitted = fit_static(target, points=load_static_points(request.data))
        except PlanError as error:
            broken.append(str(error))
    if request.plot is not None:
        request.plot.write_text(scatter_svg(found), encoding="utf-8")
    fields: Dict[str, Any] = {"schema": "popsparse.cli.validate/1", "ok": not broken, "broken": broken}
    fields.update(found.to_dict(), covering_errors=covering_errors(found))
    if fitted is not None:
        fields["fit"] = dict(asdict(fitted), largest_held_out_rms=LARGEST_HELD_OUT_RMS)
    output.show(verdict(found, broken), fields, *_views(found, fitted))
    return 1 if broken else 0


def verdict(found: Validation, broken: List[str]) -> str:
    """What does not hold, or the errors of each series, one line."""
    if broken:
        return "; ".join(broken)
    parts = [f"{_TITLES[name]} {errors.rms:.1%} rms" for name, errors in found.series.items()]
    return f"within the bounds: {', '.join(parts)}"


def _views(found: Validation, fitted: Optional[StaticFit]) -> List[RenderableType]:
    views: List[RenderableType] = [
        Text(f"predicted against measured on {found.target}; errors are relative, of predicted / measured - 1"),
        _series_table(found),
        *(_group_table(found, name) for name in found.series),
        _worst_table(found),
    ]
    if fitted is not None:
        views.append(_fit_table(fitted))
    return views


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
            digits = ",.2f" if series == "static_speedup" else ",.0f"
            numbers = (format(one.measured, digits), format(one.predicted, digits), f"{one.error:+.1%}")
            table.add_row(_TITLES[series], one.name, *numbers)
    return table


def _fit_table(fitted: StaticFit) -> Table:
    title = f"Fit: {fitted.rms:.1%} rms on the points fitted, {fitted.held_out_rms:.1%} on points held out"
    table = new_table(title, "coefficient", "value")
    for name, value in fitted.coefficients.items():
        table.add_row(name, f"{value:.4g}")
    return table
