"""`popsparse bench`: products of ours and of other libraries, timed in turns in one process."""

from __future__ import annotations

import itertools
import os
from importlib import import_module
from typing import Any, Callable, Iterator, List

from rich.table import Table

from .output import Output, new_table
from .requests import BenchRequest, UsageError, read_density

SCHEMA = "popsparse.bench.products/1"


def execute(request: BenchRequest) -> int:
    """Times every shape and prints a table with the rows where we lose; 0."""
    places = [word.strip() for word in request.targets.split(",")]
    if not set(places) <= {"cpu", "cuda"}:
        raise UsageError(f"--targets expects cpu, cuda or both, got {request.targets!r}")
    if "cuda" in places:
        execute_cuda(request)
        if "cpu" not in places:
            return 0
    _set_threads(request.threads)
    products, peers = (import_module(f"popsparse_py.bench.{name}") for name in ("products", "peers"))
    against = _names(request.against, list(peers.PEERS))
    shapes = list(_shapes(request, peers.Shape))
    output = Output(as_json=request.as_json, quiet=request.quiet)
    found: List[Any] = []
    with output.bar() as progress:
        task = progress.add_task("timing", total=len(shapes))
        for shape in shapes:
            found.append(products.compare(shape, against, request.threads, request.seconds))
            progress.advance(task)
    lost = [one for one in found if one.best_peer and one.ratio(one.best_peer) < 1]
    absent = sorted({name for one in found for name in one.absent})
    verdict = f"faster than every sparse library there on {len(found) - len(lost)} of {len(found)} shapes"
    verdict += f"; not installed: {', '.join(absent)}" if absent else ""
    fields = {"schema": SCHEMA, "verdict": verdict, "comparisons": [one.to_dict() for one in found]}
    output.show(verdict, fields, table(found))
    return 0


def execute_cuda(request: BenchRequest) -> None:
    """Times every shape on the GPU and prints medians; TargetUnavailableError where there is none."""
    gpu, peers, cuda = (import_module(f"popsparse_py.{name}") for name in ("bench.gpu", "bench.peers", "backends.cuda"))
    where = gpu.machine(cuda.CudaBackend())
    output = Output(as_json=request.as_json, quiet=request.quiet)
    shapes = list(_shapes(request, peers.Shape))
    found = [gpu.timed(one.block_size, one.density, (one.m, one.k), one.n) for one in shapes]
    view = new_table("products of bfloat16 on the GPU; microseconds, medians")
    for name in ("m", "k", "n", "b", "d", "ours", "planned", "dense", "best sparse peer"):
        view.add_column(name, justify="right")
    won = 0
    for one in found:
        seconds = dict(one["seconds"])
        mine, dense = seconds.pop("popsparse"), seconds.pop("dense")
        best = min(seconds, key=lambda name: seconds[name], default="")
        won += mine < min([dense, *seconds.values()])
        cells = [str(one[name]) for name in ("m", "k", "n", "block_size", "density")]
        cells += [f"{value * 1e6:.1f}" for value in (mine, one["plan"]["planned_seconds"], dense)]
        view.add_row(*cells, f"{best} {seconds[best] * 1e6:.1f}" if best else "")
    verdict = f"fastest of all on {won} of {len(found)} shapes"
    fields = {"schema": "popsparse.bench.gpu/1", "verdict": verdict, "machine": where, "timing": found}
    output.show(verdict, fields, view)


def _set_threads(threads: int) -> None:
    """OpenMP and MKL read these when they are loaded, so this comes before any import of NumPy."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.update(KMP_BLOCKTIME="0", MKL_THREADING_LAYER="INTEL")


def _names(text: str, known: List[str]) -> List[str]:
    names = [word.strip() for word in text.split(",") if word.strip()] or known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--against: unknown {', '.join(unknown)}; expected some of {', '.join(known)}")
    return names


def _shapes(request: BenchRequest, make: Callable[..., Any]) -> Iterator[Any]:
    """Every combination; sizes that are no whole number of blocks are a UsageError."""
    ms, ns, bs = (_sizes(*pair) for pair in (("-m", request.m), ("-n", request.n), ("-b", request.block_size)))
    ks = _sizes("-k", request.k) if request.k else [0]
    densities = [read_density(word, None) for word in request.density.split(",")]
    for m, k, b, d, n in itertools.product(ms, ks, bs, densities, ns):
        if m % b or (k or m) % b:
            raise UsageError(f"m {m} and k {k or m} must be whole numbers of blocks of {b}")
        yield make(m, k or m, n, b, d)


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
    view = new_table("products of float32; GFLOP/s of nonzeros, medians; times faster by median / by minimum")
    for name in ("m", "k", "n", "b", "d", "ours", "of peak", "dense", "vs dense", "best sparse peer", "vs peer"):
        view.add_column(name, justify="right")
    for one in found:
        shape, peer = one.shape, one.best_peer
        row = [str(shape.m), str(shape.k), str(shape.n), str(shape.block_size), str(shape.density)]
        row += [f"{one.gflops():.1f}", f"{one.gflops(middle=False) / one.peak_gflops:.2f}"]
        row += [f"{one.gflops('dense'):.1f}", _ratios(one, "dense")] if "dense" in one.timings else ["", ""]
        row += [f"{peer} {one.gflops(peer):.1f}", _ratios(one, peer)] if peer else ["", ""]
        view.add_row(*row)
    return view


def _ratios(one: Any, name: str) -> str:
    return f"{one.ratio(name):.2f} / {one.ratio(name, middle=False):.2f}"
