"""Commands and their options. Only typer is imported here, so that `popsparse --help` answers at once."""

from importlib import import_module, metadata
from pathlib import Path
from typing import Any, List, Optional

import typer

from . import options
from .failures import INTERRUPTED, exit_code, one_line
from .requests import (
    BenchRequest,
    DoctorRequest,
    PlanRequest,
    PruneRequest,
    ReportRequest,
    RunRequest,
    SweepRequest,
    ValidateRequest,
)

# No `from __future__ import annotations` here: below Python 3.10 typer reads the annotations as they stand.

app = typer.Typer(
    help="Block-sparse products, planned for a Graphcore Bow IPU and executed on an embedded model of it. "
    "Nothing here has ever run on an IPU: cycles are predicted and counted, not measured.",
    epilog="Exit codes: 0 ok, 1 a check failed, 2 wrong usage or input, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    app(prog_name="popsparse")


def _execute(command: str, request: Any) -> None:
    """Loads a command's module, which brings NumPy and the planner along, and leaves with its exit code."""
    try:
        code = import_module(f"{__package__}.{command}").execute(request)
    except KeyboardInterrupt:
        typer.echo("popsparse: interrupted", err=True)
        code = INTERRUPTED
    except Exception as error:
        found = exit_code(error)
        if found is None:
            raise
        typer.echo(f"popsparse: {one_line(error)}", err=True)
        code = found
    raise typer.Exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"popsparse {metadata.version('popsparse_py')}")
        except metadata.PackageNotFoundError:
            typer.echo("popsparse, run from its sources: no version is installed")
        raise typer.Exit


@app.callback()
def _root(*, version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True)) -> None:
    pass


@app.command()
def plan(
    *,
    m: Optional[int] = options.M,
    k: Optional[int] = options.K,
    n: int = options.PLAN_N,
    block_size: int = options.BLOCK_SIZE,
    density: Optional[str] = options.DENSITY,
    sparsity: Optional[str] = options.SPARSITY,
    mask: Optional[Path] = options.MASK,
    dtype: str = options.DTYPE,
    partials_dtype: Optional[str] = options.PARTIALS_DTYPE,
    mode: str = options.PLAN_MODE,
    strategy: Optional[str] = options.STRATEGY,
    pattern_kind: str = options.PATTERN_KIND,
    seed: int = options.SEED,
    target: str = options.CHIP,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Plan Y (m, n) = W (m, k) X (k, n), W block-sparse: partition, predicted cycles, memory, speed-up over dense.

    Exit code 1 if the plan does not fit the chip.
    """
    _execute("plan_command", PlanRequest(**locals()))


@app.command()
def report(
    *,
    m: Optional[int] = options.M,
    k: Optional[int] = options.K,
    n: int = options.PLAN_N,
    block_size: int = options.BLOCK_SIZE,
    density: Optional[str] = options.DENSITY,
    sparsity: Optional[str] = options.SPARSITY,
    mask: Optional[Path] = options.MASK,
    dtype: str = options.DTYPE,
    partials_dtype: Optional[str] = options.PARTIALS_DTYPE,
    mode: str = options.REPORT_MODE,
    strategy: str = options.STRATEGY,
    pattern_kind: str = options.PATTERN_KIND,
    seed: int = options.SEED,
    target: str = options.CHIP,
    run: bool = options.REPORT_RUN,
    html: Optional[Path] = options.HTML,
    json: Optional[Path] = options.JSON_FILE,
    trace: Optional[Path] = options.TRACE,
    quiet: bool = options.QUIET,
) -> None:
    """Report on a plan, the verdict first: on the terminal, as a page, as JSON, as a trace.

    Exit code 1 if the plan does not fit the chip, or a run of it exceeds its bound of error.
    """
    _execute("report_command", ReportRequest(as_json=str(json) == "-", **locals()))


@app.command()
def run(
    *,
    weights: Optional[str] = options.WEIGHTS,
    demo: bool = options.DEMO,
    n: int = options.RUN_N,
    block_size: Optional[int] = options.RUN_BLOCK_SIZE,
    density: Optional[str] = options.DENSITY,
    sparsity: Optional[str] = options.SPARSITY,
    dtype: Optional[str] = options.RUN_DTYPE,
    partials_dtype: Optional[str] = options.PARTIALS_DTYPE,
    mode: str = options.RUN_MODE,
    update: Optional[int] = options.UPDATE,
    strategy: Optional[str] = options.STRATEGY,
    seed: int = options.SEED,
    target: str = options.TARGET,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Prune a weight, plan, execute on the embedded model and compare with a dense product in float64.

    Exit code 1 if the error exceeds its bound or the plan does not fit.
    """
    _execute("run_command", RunRequest(**locals()))


@app.command()
def bench(
    *,
    m: str = options.BENCH_M,
    k: str = options.BENCH_K,
    n: str = options.BENCH_N,
    block_size: str = options.BENCH_BLOCK_SIZE,
    density: str = options.BENCH_DENSITY,
    product: str = options.PRODUCT,
    dtype: str = options.BENCH_DTYPE,
    against: str = options.AGAINST,
    targets: str = options.BENCH_TARGETS,
    scaling: bool = options.SCALING,
    threads: int = options.BENCH_THREADS,
    seconds: float = options.BENCH_SECONDS,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Time products on this computer's processor against the libraries that are installed."""
    _execute("bench_command", BenchRequest(**locals()))


@app.command()
def validate(
    *,
    data: Optional[Path] = options.DATA,
    fit: bool = options.FIT,
    plot: Optional[Path] = options.PLOT,
    target: str = options.CHIP,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Compare the model with published measurements of a Bow IPU: errors by series, block size, density and size.

    Exit code 1 if an error exceeds its bound, or a fit does not hold on points held out.
    """
    _execute("validate_command", ValidateRequest(**locals()))


@app.command()
def doctor(
    *,
    strict: bool = options.STRICT,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Say what is available on this machine, and why the rest is not."""
    _execute("doctor_command", DoctorRequest(**locals()))


@app.command()
def sweep(
    *,
    sweep: Path = options.SWEEP,
    jobs: int = options.JOBS,
    out: Path = options.OUT,
    resume: bool = options.RESUME,
    html: Optional[Path] = options.SWEEP_HTML,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Plan a grid of products in parallel; what is interrupted goes on with --resume, no point lost or done twice."""
    _execute("sweep_command", SweepRequest(**locals()))


@app.command()
def prune(
    *,
    weights: Path = options.PRUNE_FILE,
    density: Optional[str] = options.DENSITY,
    sparsity: Optional[str] = options.SPARSITY,
    block_size: int = options.PRUNE_BLOCK_SIZE,
    criterion: str = options.CRITERION,
    include: List[str] = options.INCLUDE,
    exclude: List[str] = options.EXCLUDE,
    only_if_faster: bool = options.ONLY_IF_FASTER,
    n: int = options.PRUNE_N,
    target: str = options.PRUNE_TARGET,
    out: Path = options.PRUNE_OUT,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Keep the largest blocks of the matrices in a safetensors file; every other tensor is copied byte for byte.

    Exit code 1, and no file, if --only-if-faster leaves nothing to prune.
    """
    _execute("prune_command", PruneRequest(**locals()))
