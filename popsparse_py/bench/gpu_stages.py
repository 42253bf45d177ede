"""What is timed on a GPU: the grid of products beside other libraries, and what each further goal asks for.

Every function gives plain numbers for JSON. A row that fails says why and the others are still measured.
"""

from __future__ import annotations

import itertools
import warnings
from contextlib import contextmanager
from fractions import Fraction
from importlib import import_module
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from popsparse_planner.pattern import BlockPattern

from . import gpu_timing
from .gpu_peers import Peer, check, peers_of
from .gpu_timing import dense_of, operands_of, ours

Row = Dict[str, Any]
BLOCK_SIZES = (1, 4, 8, 16, 32, 64, 128)
DENSITIES = tuple(Fraction(1, 2**i) for i in range(2, 7))
GRID = (*((b, d) for b in BLOCK_SIZES for d in DENSITIES), (1, Fraction(1, 128)), (16, Fraction(1, 2)))
_SIXTEENTH = Fraction(1, 16)
DYNAMIC = (*((16, d) for d in (Fraction(7, 20), *DENSITIES)), (4, _SIXTEENTH), (64, _SIXTEENTH))
_FEW_COLUMNS = (1, 16, 64)
_LAYERS = 4096


def reason_of(error: BaseException) -> str:
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def ceilings() -> Dict[str, float]:
    """Bytes a second of a copy and of reading what is in L2, flops a second of the dense product, all by torch."""
    torch = import_module("torch")
    words = torch.randn(1 << 28, device=gpu_timing.DEVICE)
    to = torch.empty_like(words)
    near = words[: 5 << 20]  # 20 MB: stays in L2
    found = {
        "copy_bytes_per_second": 2 * words.numel() * 4 / gpu_timing.seconds_of(to.copy_, [words]),
        "l2_read_bytes_per_second": near.numel() * 4 / gpu_timing.warm_seconds_of(near.sum),
    }
    del to
    for size in (1024, 2048, 4096, 8192):
        found[f"dense_{size}_flops_per_second"] = _dense_rate(torch, size, "bfloat16")
    for dtype in ("float32", "tf32"):
        with _arithmetic(dtype == "tf32"):
            found[f"dense_4096_{dtype}_flops_per_second"] = _dense_rate(torch, 4096, "float32")
    return found


def _dense_rate(torch: Any, size: int, dtype: str) -> float:
    kind = getattr(torch, dtype)
    w, *x = (torch.randn((size, size), device=gpu_timing.DEVICE).to(kind) for _ in range(4))
    return float(2 * size**3 / gpu_timing.seconds_of(w.matmul, x))


def timing(size: int, columns: int) -> List[Row]:
    """Ours and the peers over block sizes and densities, W (size, size), bfloat16."""
    return [timed(b, density, (size, size), columns) for b, density in GRID]


def timed(
    b: int,
    density: Fraction,
    shape: Tuple[int, int],
    n: int,
    dtype: str = "bfloat16",
    kind: str = "uniform",
    only: Optional[Sequence[str]] = None,
) -> Row:
    """Seconds of ours and of the peers (only: these) for one random pattern, and what our plan counts."""
    problem = {"m": shape[0], "k": shape[1], "n": n, "block_size": b, "density": str(density), "dtype": dtype}
    try:
        pattern = BlockPattern.random(shape, density=density, block_size=b, seed=0, kind=kind)
        values, w, operands = operands_of(pattern, n, dtype)
        call, counts = ours(pattern, values, n, dtype)
        check(Peer(call), w, operands[0])
        peers, absent = peers_of(w, b, operands[0], only)
        candidates = {"popsparse": (call, operands)}
        candidates.update((name, (peer.call, [peer.operand(x) for x in operands])) for name, peer in peers.items())
        measured = gpu_timing.race(candidates)
    except Exception as error:  # the other rows are still measured
        return {**problem, "kind": kind, "failed": reason_of(error)}
    return {**problem, "kind": kind, **measured.to_dict(), "absent": absent, "plan": counts}


def training(size: int = _LAYERS) -> List[Row]:
    """Forward and backward of a layer, both gradients, against the dense layer: blocks of 16 and 64, density 1/16."""
    return [_rows_of({"block_size": b, "density": str(_SIXTEENTH)}, _trained, b, size) for b in (16, 64)]


def _trained(b: int, size: int) -> Row:
    torch = import_module("torch")
    sparse, dense = _layers(b, _SIXTEENTH, size)
    copies = gpu_timing.copies_for(4 * size * size)
    x = [torch.randn((size, size), device=gpu_timing.DEVICE).bfloat16().requires_grad_() for _ in range(copies)]
    dy = torch.randn((size, size), device=gpu_timing.DEVICE).bfloat16()

    def step(layer: Any, weight: Any) -> Callable[[Any], Any]:
        return lambda one: torch.autograd.grad(layer(one), (one, weight), dy)

    calls = {"popsparse": step(sparse, sparse.values), "dense": step(dense, dense.weight)}
    return gpu_timing.race({name: (call, x) for name, call in calls.items()}).to_dict()


def dynamic(size: int = _LAYERS) -> List[Row]:
    """Patterns encoded on the device at every call, against the static product of the same pattern."""
    return [_rows_of({"block_size": b, "density": str(d), "n": size}, _encoded, b, d, size) for b, d in DYNAMIC]


def _encoded(b: int, density: Fraction, size: int) -> Row:
    pattern = BlockPattern.random((size, size), density=density, block_size=b, seed=0)
    values, w, operands = operands_of(pattern, size, "bfloat16")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that dense is predicted to be faster
        call, counts = gpu_timing.dynamic(pattern, values, size, "bfloat16")
    check(Peer(call), w, operands[0])
    calls = {"popsparse": call, "static": ours(pattern, values, size, "bfloat16")[0], "dense": w.matmul}
    found = gpu_timing.race({name: (one, operands) for name, one in calls.items()})
    return {"blocks": pattern.nnz_blocks, **found.to_dict(), "plan": counts}


def decode(size: int = 16384) -> List[Row]:
    """Few columns, large W."""
    only = ("dense", "torch_bsr", "cusparse_csr", "cusparse_bsr")
    wanted = [(b, d, n) for b in (8, 16, 64) for d in (Fraction(1, 4), _SIXTEENTH) for n in _FEW_COLUMNS]
    return [timed(b, d, (size, size), n, only=only) for b, d, n in wanted]


def skew(size: int = _LAYERS) -> List[Row]:
    """Patterns of as many blocks, uniform and with a power law of rows."""
    kinds = ("uniform", "power_law")
    return [timed(b, _SIXTEENTH, (size, size), size, kind=kind, only=("dense",)) for b in (4, 16, 64) for kind in kinds]


def float32(size: int = _LAYERS) -> List[Row]:
    """Products of float32 in float32 and in TF32, against cuBLAS in the same arithmetic."""
    found: List[Row] = []
    for dtype in ("float32", "tf32"):
        with _arithmetic(dtype == "tf32"):
            for b, density in itertools.product((8, 16), (Fraction(1, 4), _SIXTEENTH)):
                found.append(timed(b, density, (size, size), size, dtype, only=("dense",)))
    return found


@contextmanager
def _arithmetic(tf32: bool) -> Iterator[None]:
    """Whether torch may multiply float32 in TF32 meanwhile; it may not afterwards."""
    switch = import_module("torch").backends.cuda.matmul
    switch.allow_tf32 = tf32
    try:
        yield
    finally:
        switch.allow_tf32 = False


def auto(size: int = _LAYERS) -> List[Row]:
    """A layer that chooses between its kernels and a dense copy, against the dense layer; both without gradients."""
    cells = [(b, Fraction(1, 2**i)) for b in (1, 4, 16, 64) for i in range(1, 5)]
    return [_rows_of({"block_size": b, "density": str(d)}, _chosen, b, d, size) for b, d in cells]


def _chosen(b: int, density: Fraction, size: int) -> Row:
    torch = import_module("torch")
    copies = gpu_timing.copies_for(4 * size * size)
    x = [torch.randn((size, size), device=gpu_timing.DEVICE).bfloat16() for _ in range(copies)]
    sparse, dense = _layers(b, density, size)
    with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sparse.requires_grad_(False)
        sparse(x[0])
        warned = [str(one.message).splitlines()[0] for one in caught]
        return {**gpu_timing.race({"auto": (sparse, x), "dense": (dense, x)}).to_dict(), "warned": warned}


def host(size: int = 256, columns: int = 64) -> Row:
    """Seconds that the host takes to start a product, a sparse and a dense layer; the device takes less for each."""
    torch = import_module("torch")
    pattern = BlockPattern.random((size, size), density=_SIXTEENTH, block_size=16, seed=0)
    values, _, operands = operands_of(pattern, columns, "bfloat16")
    call, _ = ours(pattern, values, columns, "bfloat16")
    sparse, dense = _layers(16, _SIXTEENTH, size)
    sparse.requires_grad_(False)
    rows = operands[0].T.contiguous()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a product this small is faster dense
        calls = {
            "product": lambda: call(operands[0]),
            "layer": lambda: sparse(rows),
            "dense_layer": lambda: dense(rows),
        }
        return {f"{name}_seconds": gpu_timing.host_seconds_of(one) for name, one in calls.items()}


def _layers(b: int, density: Fraction, size: int) -> Tuple[Any, Any]:
    """A sparse and a dense layer of the same weight, without bias, bfloat16."""
    torch, nn = import_module("torch"), import_module("popsparse_py.nn")
    pattern = BlockPattern.random((size, size), density=density, block_size=b, seed=0)
    given = {"bias": False, "device": gpu_timing.DEVICE, "dtype": torch.bfloat16}
    sparse = nn.StaticSparseLinear(size, size, pattern=pattern, **given)
    dense = torch.nn.Linear(size, size, **given)
    with torch.no_grad():
        dense.weight.copy_(dense_of(pattern, sparse.values.detach()))
    return sparse, dense


def _rows_of(problem: Row, measure: Callable[..., Row], *arguments: Any) -> Row:
    """What `measure` found beside the problem, or why it failed."""
    try:
        return {**problem, **measure(*arguments)}
    except Exception as error:  # the other rows are still measured
        return {**problem, "failed": reason_of(error)}


def failures(rows: Iterable[Row]) -> List[str]:
    """Why rows failed."""
    return [row["failed"] for row in rows if "failed" in row]
