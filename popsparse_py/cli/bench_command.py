"""`popsparse bench`: products of ours and of other libraries, timed in turns in one process."""

from __future__ import annotations

import itertools
import os
from importlib import import_module
from typing import Any, Callable, Iterator, List, Sequence

from rich.table import Table

from .output import Output, new_table
from .requests import BenchRequest, UsageError, read_density


def execute(request: BenchRequest) -> int:
    """Times every shape on each target and prints tables; 0, or 1 if a product on the GPU failed."""
    places = [word.strip() for word in request.targets.split(",")]
    if not set(places) <= {"cpu", "cuda"}:
        raise UsageError(f"--targets expects cpu, cuda or both, got {request.targets!r}")
    code = execute_cuda(request) if "cuda" in places else 0
    return max(code, execute_cpu(request)) if "cpu" in places else code


def execute_cpu(request: BenchRequest) -> int:
    """Times every shape and prints a table with the rows where we lose, or of what more threads bring; 0."""
    _set_threads(request.threads)
    operands, machine = (import_module(f"popsparse_py.bench.{name}") for name in ("operands", "machine"))
    against = against_of(request, "peers")
    shapes = list(shapes_of(request, operands, "float32"))
    output = Output(as_json=request.as_json, quiet=request.quiet)
    before = machine.load_averages()
    if request.scaling:
        scaling, threads = import_module("popsparse_py.bench.scaling"), max(2, request.threads)
        timed = timed_shapes(output, shapes, lambda shape: scaling.measure_scaling(shape, threads, request.seconds))
        verdict, kind, view = scaling.verdict(timed), "scaling", scaling.table(timed)
    else:
        products = import_module("popsparse_py.bench.products")
        timed = timed_shapes(output, shapes, lambda s: products.compare(s, against, request.threads, request.seconds))
        verdict, kind, view = _verdict(timed), "comparisons", table(timed)
    loads = {"before": before, "after": machine.load_averages()}
    fields = {"schema": f"popsparse.bench.{'scaling' if request.scaling else 'products'}/1", "verdict": verdict}
    fields.update(machine=machine.describe(), load_averages=loads)
    output.note(f"load averages of 1, 5 and 15 minutes: {_loads(before)} before, {_loads(loads['after'])} after")
    output.show(verdict, {**fields, kind: [one.to_dict() for one in timed]}, view)
    return 0


def timed_shapes(output: Output, shapes: List[Any], measure: Callable[[Any], Any]) -> List[Any]:
    """What `measure` finds for each shape, with a bar that says how far it is."""
    with output.bar() as progress:
        task = progress.add_task("timing", total=len(shapes))
        found = []
        for shape in shapes:
            found.append(measure(shape))
            progress.advance(task)
    return found


def _verdict(found: List[Any]) -> str:
    rivals = [one for one in found if one.best_peer]
    won = [one for one in rivals if one.ratio(one.best_peer) >= 1]
    absent = sorted({name for one in found for name in one.absent})
    verdict = f"faster than every sparse library there on {len(won)} of {len(rivals)} shapes"
    verdict += f"; no such library has the product on {len(found) - len(rivals)}" if len(rivals) < len(found) else ""
    return verdict + (f"; not installed: {', '.join(absent)}" if absent else "")


def _loads(averages: Sequence[float]) -> str:
    return ", ".join(f"{average:.2f}" for average in averages) or "unknown"


def execute_cuda(request: BenchRequest) -> int:
    """Times every shape on the GPU and prints medians; 0, or 1 if ours was wrong or failed; TargetUnavailableError."""
    modules = ("gpu", "gpu_stages", "gpu_view", "operands")
    gpu, stages, view, operands = (import_module(f"popsparse_py.bench.{name}") for name in modules)
    if request.product != "forward":
        raise UsageError(f"--targets cuda times the product forward, got {request.product}")
    against = against_of(request, "gpu_peers")
    shapes = list(shapes_of(request, operands, "bfloat16"))
    where = gpu.machine(import_module("popsparse_py.backends.cuda").CudaBackend())
    output = Output(as_json=request.as_json, quiet=request.quiet)

    def measure(one: Any) -> Any:
        return stages.timed(one.block_size, one.density, (one.m, one.k), one.n, one.dtype, only=against)

    found = timed_shapes(output, shapes, measure)
    fields = {"schema": gpu.SCHEMA, "verdict": view.verdict(found), "machine": where, "timing": found}
    output.show(fields["verdict"], fields, view.table(found))
    return int(bool(stages.failures(found)))


def _set_threads(threads: int) -> None:
    """OpenMP and MKL read these when they are loaded, so this comes before any import of NumPy."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.update(KMP_BLOCKTIME="0", MKL_THREADING_LAYER="INTEL")


def names_of(option: str, text: str, known: Sequence[str]) -> Sequence[str]:
    """The names typed, all that are known for none; UsageError for another."""
    names = [word.strip() for word in text.split(",") if word.strip()] or known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"{option}: unknown {', '.join(unknown)}; expected some of {', '.join(known)}")
    return names


def against_of(request: BenchRequest, module: str) -> Sequence[str]:
    """Those of the libraries asked for that a module times, all of its own for none; UsageError for unknown ones."""
    own = import_module(f"popsparse_py.bench.{module}").PEERS
    places = {"cpu": "peers", "cuda": "gpu_peers"}
    modules = [places[word.strip()] for word in request.targets.split(",")]
    known = [name for one in modules for name in import_module(f"popsparse_py.bench.{one}").PEERS]
    return [name for name in names_of("--against", request.against, known) if name in own]


def shapes_of(request: BenchRequest, operands: Any, dtype: str) -> Iterator[Any]:
    """Every combination, dtype where none is asked for; sizes that are no whole number of blocks are a UsageError."""
    ms, ns, bs = (_sizes(*pair) for pair in (("-m", request.m), ("-n", request.n), ("-b", request.block_size)))
    ks = _sizes("-k", request.k) if request.k else [0]
    densities = [read_density(word, None) for word in request.density.split(",")]
    dtypes = names_of("--dtype", request.dtype or dtype, operands.DTYPES)
    forms = (names_of("--product", request.product, operands.PRODUCTS), dtypes)
    for m, k, b, d, n, product, dtype in itertools.product(ms, ks, bs, densities, ns, *forms):
        if m % b or (k or m) % b:
            raise UsageError(f"m {m} and k {k or m} must be whole numbers of blocks of {b}")
        yield operands.Shape(m, k or m, n, b, d, product, dtype)


def _sizes(option: str, text: str) -> List[int]:
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise UsageError(f"{option} expects whole numbers of at least 1 with commas between, got {text!r}")
    return sizes


def table(found: List[Any]) -> Table:
    """One row a shape: medians; times ours is faster than dense and the best sparse library, by medians and minima."""
    view = new_table(
        "GFLOP/s of nonzeros, medians; times faster by median / by minimum; of the forward rate by minimum"
    )
    columns = [
        "product",
        "m",
        "k",
        "n",
        "b",
        "d",
        "ours",
        "of peak",
        "dense",
        "vs dense",
        "best sparse peer",
        "vs peer",
    ]
    for name in (*columns, "of forward"):
        view.add_column(name, justify="right")
    for one in found:
        shape, peer = one.shape, one.best_peer
        row = [
            f"{shape.product} {shape.dtype}",
            *map(str, (shape.m, shape.k, shape.n, shape.block_size, shape.density)),
        ]
        row += [f"{one.gflops():.1f}", f"{one.gflops(middle=False) / one.peak_gflops:.2f}"]
        row += [f"{one.gflops('dense'):.1f}", _ratios(one, "dense")] if "dense" in one.timings else ["", ""]
        row += [f"{peer} {one.gflops(peer):.1f}", _ratios(one, peer)] if peer else ["", ""]
        view.add_row(*row, "" if one.of_forward is None else f"{one.of_forward:.2f}")
    return view


def _ratios(one: Any, name: str) -> str:
    return f"{one.ratio(name):.2f} / {one.ratio(name, middle=False):.2f}"
