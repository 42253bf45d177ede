"""`python -m popsparse_py.bench plans`: balanced against popsparse over the published grid, and the ablation."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from rich.table import Table

from ..cli.output import Output
from . import plans, plans_view
from .plans import Compared, Group

SCHEMA = "popsparse.bench.plans/1"


def execute(*, quick: bool, jobs: int, as_json: bool) -> Dict[str, Any]:
    """Plans every cell twice over, prints the tables and a verdict with the cells where ours is slower.

    The fields that --json prints.
    """
    output = Output(as_json=as_json, quiet=False)
    steps = plans.ablation_steps()
    grid = plans.quick_grid() if quick else plans.whole_grid()
    uneven = [plans.uneven_grid()[2]] if quick else plans.uneven_grid()
    sample = grid[-1:] if quick else plans.ablation_grid()
    found = _every(output, "planning the grid", plans.compare, grid, plans.PARTIALS, jobs)
    other = _every(output, "planning uneven patterns", plans.compare, uneven, plans.PARTIALS, jobs)
    cycles = _every(output, "planning without ideas", plans.ablate, sample, steps, jobs)
    fields: Dict[str, Any] = {"schema": SCHEMA, "quick": quick, "cells": [one.to_dict() for one in found + other]}
    views: List[Table] = []
    for title, cells in (("uniform", found), ("uneven", other)):
        for partials in plans.PARTIALS:
            lines = plans_view.summary(cells, partials)
            fields[f"{title}_{partials}"] = lines
            views.append(plans_view.summary_table(f"{title} patterns, {partials} partials on ours", lines))
    views += [plans_view.cells_table(found + other, partials) for partials in plans.PARTIALS]
    fields["ablation"] = plans_view.ablation(steps, cycles)
    views.append(plans_view.ablation_table(fields["ablation"]))
    fields["verdict"] = verdict(found)
    output.show(fields["verdict"], fields, *views)
    return fields


def verdict(found: Sequence[Compared]) -> str:
    """The grid in one sentence."""
    parts = []
    for partials in plans.PARTIALS:
        line = plans_view.summary(found, partials)[-1]
        parts.append(
            f"{line['geometric_mean']:.2f}x with {partials} partials (least {line['smallest']:.2f}x, "
            f"{line['slower']} of {line['cells']} cells slower, {line['not_planned']} do not fit)"
        )
    return "balanced against popsparse: " + "; ".join(parts)


def _every(
    output: Output,
    what: str,
    function: Callable[..., List[Any]],
    groups: Sequence[Group],
    further: Any,
    jobs: int,
) -> List[Any]:
    """The results of all groups, in the order of the groups' fields where they are Compared."""
    found: List[Any] = []
    with output.step_bar(what, total=len(groups), done=0) as advance:
        for results in plans.in_parallel(function, groups, further, jobs):
            found += results
            advance()
    return sorted(found, key=lambda one: (one.group, one.n)) if function is plans.compare else found
