"""A report: one JSON object with everything a reader may ask of a plan, and the forms in which it is shown."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, Mapping, Union

from .. import json_data
from ..cuda_plan import CudaPlan
from ..dynamic_plan import DynamicPlan
from ..errors import PlanError
from .crossover import crossover
from .dynamic_sections import dynamic_fields
from .facts import Plan, facts_of, tidy
from .files import write_whole
from .gpu import GPU_SCHEMA, gpu_fields
from .hints import hint
from .sections import (
    candidate_fields,
    cycle_fields,
    flop_fields,
    memory_fields,
    partition_fields,
    problem_fields,
    provenance_fields,
    target_fields,
    tile_fields,
)
from .text import plain_text, print_report
from .timeline import chrome_trace, supersteps
from .uncertainty import validation
from .verdict import verdict_fields

SCHEMA = "popsparse.report/1"
_SCHEMA_FILE = Path(__file__).parent / "schema.json"


class Report:
    """What one plan means. fields: the JSON object that `json_schema()` describes; do not change it."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields: Dict[str, Any] = dict(fields)

    def show(self, console: Any = None) -> None:
        """Prints the report for a terminal: through rich (console: one of its consoles), as plain text without it."""
        print_report(self.fields, console)

    def text(self) -> str:
        """The report as plain text."""
        return plain_text(self.fields)

    def to_json(self, path: Union[str, Path, None] = None) -> str:
        """JSON text, also written to `path` if given; equal plans give equal bytes."""
        text = json_data.dump(self.fields)
        if path is not None:
            write_whole(path, f"{text}\n".encode())
        return text

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote; FormatError for JSON of another kind."""
        is_gpu = f'"{GPU_SCHEMA}"' in text
        return cls(json_data.parse(text, GPU_SCHEMA if is_gpu else SCHEMA))

    def to_html(self, path: Union[str, Path, None] = None) -> str:
        """One page that needs no network, also written to `path` if given."""
        page: str = import_module(f"{__package__}.html").page(self.fields)
        if path is not None:
            write_whole(path, page.encode())
        return page

    def export_chrome_trace(self, path: Union[str, Path]) -> None:
        """Writes the timeline, gzipped, for ui.perfetto.dev or chrome://tracing."""
        if self.fields["schema"] == GPU_SCHEMA:
            raise PlanError("a plan for a GPU has bounds that overlap, no timeline: leave the trace out")
        write_whole(path, chrome_trace(self.fields))

    def with_run(self, trace: Mapping[str, Any]) -> Report:
        """This report with what a run of the plan counted; trace: the dict of a run's trace."""
        checked = dict(self.fields["validation"], counted=tidy(dict(trace)))
        return Report(dict(self.fields, validation=checked))

    def _repr_html_(self) -> str:
        """The page in a frame of its own, for notebooks."""
        frame: str = import_module(f"{__package__}.html").frame(self.fields)
        return frame

    def __str__(self) -> str:
        return self.text()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


def build_report(plan: Union[Plan, CudaPlan], *, with_crossover: bool = True, with_hint: bool = True) -> Report:
    """The report of a plan; crossover and hint plan other products: seconds where W is large.

    That of a plan for a GPU has another schema: its bounds, tile and rates in place of tiles, memory and supersteps.
    """
    if isinstance(plan, CudaPlan):
        return Report(tidy(gpu_fields(plan)))
    facts = facts_of(plan)
    tiles, dynamic = tile_fields(plan, facts), dynamic_fields(plan) if isinstance(plan, DynamicPlan) else None
    helps = hint(plan, facts) if with_hint else {"best": None, "tried": []}
    fields = {
        "schema": SCHEMA,
        "verdict": verdict_fields(plan, helps, dynamic),
        "target": target_fields(plan.target),
        "problem": problem_fields(plan, facts),
        "options": facts.options,
        "provenance": provenance_fields(plan, facts),
        "partition": partition_fields(plan, facts),
        "tiles": tiles,
        "memory": memory_fields(plan.memory),
        "supersteps": supersteps(plan),
        "cycles": cycle_fields(plan),
        "flops": flop_fields(plan, facts, tiles),
        "crossover": crossover(plan) if with_crossover else None,
        "dynamic": dynamic,
        "candidates": candidate_fields(plan),
        "validation": validation(plan),
    }
    return Report(tidy(fields))


def json_schema() -> Dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report."""
    schema: Dict[str, Any] = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema
