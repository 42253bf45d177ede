"""The comparison of plans that ships with the package, and the README's tables of it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .plans import BLOCK_SIZES, OTHER_KINDS, PARTIALS, geometric_mean

SCHEMA = "popsparse.bench.plans.kept/1"
COLUMNS = ("kind", "m", "b", "one_in", "n", "popsparse", *PARTIALS)  # cycles in the last three, null: does not fit


def kept(fields: Dict[str, Any]) -> Dict[str, Any]:
    """What is kept of the fields that `bench plans --json` prints: a row for each product, and the ablation."""
    rows = []
    for cell in fields["cells"]:
        cycles = [cell["popsparse"], *(cell["balanced"][partials] for partials in PARTIALS)]
        sizes = [cell[name] for name in COLUMNS[:5]]
        rows.append([*sizes, *(None if each is None else each["total"] for each in cycles)])
    return {"schema": SCHEMA, "columns": list(COLUMNS), "rows": rows, "ablation": fields["ablation"]}


def readme_lines(found: Dict[str, Any]) -> List[str]:
    """Both tables in Markdown."""
    rows = [dict(zip(found["columns"], row)) for row in found["rows"]]
    sizes = " | ".join(f"b = {b}" for b in BLOCK_SIZES)
    lines = [
        f"| patterns | partials of ours | products | {sizes} | all | slower | least |",
        f"| --- | --- | ---: |{' ---: |' * (len(BLOCK_SIZES) + 2)} --- |",
    ]
    for partials in PARTIALS:
        lines += [_line(rows, kind, partials) for kind in ("uniform", *OTHER_KINDS)]
    return [*lines, "", _caption(rows), "", *_ablation_lines(found["ablation"])]


def _line(rows: Sequence[Dict[str, Any]], kind: str, partials: str) -> str:
    rated = [row for row in rows if row["kind"] == kind and row["popsparse"] and row[partials]]
    words = kind.replace("_", " ")
    if not rated:
        return f"| {words} | {partials} | 0 |{' |' * (len(BLOCK_SIZES) + 3)}"
    means = [_mean([row for row in rated if row["b"] == b], partials) for b in BLOCK_SIZES]
    least = min(rated, key=lambda row: _ratio(row, partials))
    where = f"m = {least['m']}, b = {least['b']}, d = 1/{least['one_in']}, n = {least['n']}"
    slower = sum(_ratio(row, partials) < 1 for row in rated)
    return (
        f"| {words} | {partials} | {len(rated)} | {' | '.join(means)} | {_mean(rated, partials)} | "
        f"{f'**{slower}**' if slower else 0} | {_ratio(least, partials):.2f} ({where}) |"
    )


def _ratio(row: Dict[str, Any], partials: str) -> float:
    return float(row["popsparse"] / row[partials])


def _mean(rows: Sequence[Dict[str, Any]], partials: str) -> str:
    return f"{geometric_mean([_ratio(row, partials) for row in rows]):.2f}" if rows else ""


def _caption(rows: Sequence[Dict[str, Any]]) -> str:
    refused = sum(row["popsparse"] is None for row in rows)
    unfit = sum(row["float16"] is None for row in rows)
    both = sum(row["popsparse"] is None and row["float16"] is None for row in rows)
    sides = [row["m"] for row in rows]
    return (
        f"{len(rows)} products with m = k from {min(sides)} to {max(sides)} were planned; {refused} of them fit no "
        f"plan of `popsparse`, {unfit} none of `balanced` ({both} neither). Predicted cycles of `popsparse` with "
        "float16 partials over those of `balanced`, geometric means."
    )


def _ablation_lines(steps: Sequence[Dict[str, Any]]) -> List[str]:
    """Each idea added to those above it, and all but that idea; over the plan without ideas."""
    alone: Dict[str, Optional[float]] = {
        step["without"][0]: step["times"] for step in steps if len(step["without"]) == 1
    }
    added = [step for step in steps if step["step"].startswith("+ ")]
    lines = ["| idea | with those above it | all but this one |", "| --- | ---: | ---: |"]
    for step in added:
        name = step["step"][2:]
        lines.append(f"| {name} | {_times(step['times'])} | {_times(alone.get(name))} |")
    count = steps[0]["cells"]
    return [*lines, "", f"Over the published partition, float16 partials, {count} products of the grid."]


def _times(ratio: Optional[float]) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
