"""Seconds of calls on a GPU: replayed CUDA graphs, in turns, with operands that take turns and are in no cache."""

from __future__ import annotations

import time
from importlib import import_module
from statistics import median
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from popsparse_planner.cuda_plan import plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda_product import CudaProduct
from ..backends.cuda_tensors import device_of, multiply

Call = Callable[[Any], Any]  # of an operand
DEVICE = "cuda"
_ELEMENTS = {"tf32": "float32"}
_MOST_ROUNDS, _FEWEST_ROUNDS, _ROUND_SECONDS = 30, 5, 3.0
_MOST_COPIES = 16
_WARM = 3


class Race(NamedTuple):
    """Median seconds of each call; eager: those that could not be captured in a CUDA graph, started by the host."""

    seconds: Dict[str, float]
    eager: List[str]

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        return {"seconds": dict(self.seconds), "eager": list(self.eager)}


def copies_for(num_bytes: int) -> int:
    """Operands that must take turns so that none is in the L2 cache when its turn comes."""
    return max(2, min(_MOST_COPIES, int(3 * load_gpu_profile()["l2_bytes"] / max(num_bytes, 1)) + 1))


def race(candidates: Dict[str, Tuple[Call, List[Any]]]) -> Race:
    """Times calls with their operands, all of them once a round: medians of start to end on the device.

    Before each call something three times as large as the L2 cache is read: nothing of W or X is in it then, nothing
    has to be written back, and the host has put the call into the stream before the device comes to it.
    """
    torch = import_module("torch")
    runs: Dict[str, List[Callable[[], Any]]] = {}
    eager = []
    for name, (call, operands) in candidates.items():
        for _ in range(_WARM):
            call(operands[0])
        captured = [_captured(torch, call, x) for x in operands]
        runs[name] = [run for run, _ in captured]
        eager += [] if captured[0][1] else [name]
    drain = torch.ones(int(3 * load_gpu_profile()["l2_bytes"]) // 4, device=DEVICE)
    seconds: Dict[str, List[float]] = {name: [] for name in runs}
    end = time.monotonic() + _ROUND_SECONDS
    for i in range(_MOST_ROUNDS):
        if i >= _FEWEST_ROUNDS and time.monotonic() > end:
            break
        for name, turns in runs.items():
            drain.sum()
            seconds[name].append(_timed(torch, turns[i % len(turns)]))
    return Race({name: median(found) for name, found in seconds.items()}, eager)


def seconds_of(call: Call, operands: List[Any]) -> float:
    """Median seconds of one call."""
    return race({"call": (call, operands)}).seconds["call"]


def warm_seconds_of(call: Callable[[], Any], times: int = 50) -> float:
    """Seconds of a call among many in one graph, with whatever the calls before it left in the caches."""
    torch = import_module("torch")

    def many(_: Any) -> None:
        for _ in range(times):
            call()

    call()
    torch.cuda.synchronize()
    run, _ = _captured(torch, many, None)
    return median(_timed(torch, run) for _ in range(_FEWEST_ROUNDS)) / times


def host_seconds_of(call: Callable[[], Any], times: int = 200) -> float:
    """Seconds that the host takes to start a call, which the device computes in less."""
    torch = import_module("torch")
    found = []
    for _ in range(_FEWEST_ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times)
    torch.cuda.synchronize()
    return median(found)


def _timed(torch: Any, run: Callable[[], Any]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _captured(torch: Any, call: Call, x: Any) -> Tuple[Callable[[], Any], bool]:
    """(what runs the call, whether it replays a graph)."""
    torch.cuda.synchronize()
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call(x)
    except RuntimeError:  # a peer that synchronises with the host
        torch.cuda.synchronize()
        return (lambda: call(x)), False
    return graph.replay, True


def operands_of(pattern: BlockPattern, n: int, dtype: str) -> Tuple[Any, Any, List[Any]]:
    """(values, dense W, copies of X) on the GPU: random, never zeros, which multiply faster than anything else.

    dtype: as of `ours`.
    """
    torch = import_module("torch")
    kind, b, (m, k) = getattr(torch, _ELEMENTS.get(dtype, dtype)), pattern.block_size, pattern.shape
    torch.manual_seed(0)
    values = torch.randn((pattern.nnz_blocks, b, b), device=DEVICE).to(kind)
    copies = copies_for((m + k) * n * values.element_size())
    return values, dense_of(pattern, values), [torch.randn((k, n), device=DEVICE).to(kind) for _ in range(copies)]


def dense_of(pattern: BlockPattern, values: Any) -> Any:
    """W (m, k) where its values are; m and k must be whole numbers of blocks."""
    torch, b, (rows, columns) = import_module("torch"), pattern.block_size, pattern.block_grid
    grid = values.new_zeros((rows, columns, b, b))
    places = [torch.from_numpy(index.copy()).long().to(values.device) for index in (pattern.rows, pattern.cols)]
    grid[places[0], places[1]] = values
    return grid.permute(0, 2, 1, 3).reshape(rows * b, columns * b).contiguous()


def dynamic(pattern: BlockPattern, values: Any, n: int, dtype: str) -> Tuple[Call, Dict[str, Any]]:
    """Our product with the pattern encoded on the device, in a CUDA graph at every call, and what is planned of it."""
    torch, encoded = import_module("torch"), import_module("popsparse_py.torch_ops.dynamic_cuda")
    row, col = (torch.from_numpy(index.astype("int32")).to(values.device) for index in (pattern.rows, pattern.cols))
    at = encoded.Indices(row, col, torch.tensor([pattern.nnz_blocks], dtype=torch.int32, device=values.device))
    products, device = encoded.DynamicProducts(), device_of(values)
    shape, b, slots = pattern.shape, pattern.block_size, pattern.nnz_blocks
    plan = products.plan(shape, b, slots, n, dtype, device, transposed=False)
    seconds = {"kernel": plan.kernel, "planned_seconds": plan.total_seconds}
    seconds["planned_encode_seconds"] = plan.encode_cost.total_seconds
    return lambda x: products.multiply(device, plan, x, values, None, at), seconds


def ours(pattern: BlockPattern, values: Any, n: int, dtype: str) -> Tuple[Call, Dict[str, Any]]:
    """Our product, which needs the values as long as it is called, and what its plan counts. dtype: of the elements, or
    "tf32": float32 multiplied so.
    """
    device = device_of(values)
    elements, tf32 = _ELEMENTS.get(dtype, dtype), dtype == "tf32"
    plan = plan_cuda(pattern, n, dtype=elements, machine=device.machine, tf32=tf32)
    product = CudaProduct(device, plan, pattern)
    product.set_values(values.data_ptr())
    counts = {"kernel": plan.kernel, "planned_seconds": plan.cost.total_seconds, "bound": plan.cost.bound}
    return lambda x: multiply(product, x), {**counts, **vars(plan.count)}
