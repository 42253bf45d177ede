"""Seconds of calls on a GPU: replayed CUDA graphs over operands that take turns, so that caches hold none of them."""

from __future__ import annotations

from importlib import import_module
from statistics import median
from typing import Any, Callable, Dict, List, Tuple

from popsparse_planner.cuda_plan import plan_cuda
from popsparse_planner.cuda_profile import load_gpu_profile
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda_product import CudaProduct
from ..backends.cuda_tensors import device_of, multiply
from ..formats import BlockSparseMatrix

Call = Callable[[Any], Any]  # of x (k, n)
_ROUNDS = 30
_MOST_COPIES = 16
_WARM = 3


def copies_for(num_bytes: int) -> int:
    """Operands that must take turns so that none is in the L2 cache when its turn comes."""
    return max(2, min(_MOST_COPIES, int(3 * load_gpu_profile()["l2_bytes"] / max(num_bytes, 1)) + 1))


def seconds_of(call: Call, operands: List[Any]) -> float:
    """Median over rounds of one call, start to end on the device; graphs where the call can be captured."""
    torch = import_module("torch")
    for x in operands[:1] * _WARM:
        call(x)
    torch.cuda.synchronize()
    runs = [_captured(torch, call, x) for x in operands]
    found = []
    for i in range(_ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        runs[i % len(runs)]()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1e3)
    return median(found)


def _captured(torch: Any, call: Call, x: Any) -> Callable[[], Any]:
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call(x)
    except RuntimeError:  # a peer that synchronises with the host
        torch.cuda.synchronize()
        return lambda: call(x)
    replay: Callable[[], Any] = graph.replay
    return replay


def operands_of(shape: Tuple[int, int], n: int, pattern: BlockPattern, dtype: str) -> Tuple[Any, Any, List[Any]]:
    """(values, dense W, copies of X) on the GPU: random, never zeros, which multiply faster than anything else."""
    torch = import_module("torch")
    kind, b = getattr(torch, dtype), pattern.block_size
    torch.manual_seed(0)
    values = torch.randn((pattern.nnz_blocks, b, b), device="cuda").to(kind)
    w = torch.as_tensor(BlockSparseMatrix(pattern, values.float().cpu().numpy()).to_dense()).to("cuda", kind)
    copies = copies_for((shape[0] + shape[1]) * n * values.element_size())
    return values, w, [torch.randn((shape[1], n), device="cuda").to(kind) for _ in range(copies)]


def ours(pattern: BlockPattern, values: Any, n: int, dtype: str) -> Tuple[Call, Dict[str, Any]]:
    """Our product, and what its plan counts."""
    device = device_of(values)
    plan = plan_cuda(pattern, n, dtype=dtype, machine=device.machine)
    product = CudaProduct(device, plan, pattern)
    product.set_values(values.data_ptr())
    counts = {"kernel": plan.kernel, "planned_seconds": plan.cost.total_seconds, "bound": plan.cost.bound}
    return lambda x: multiply(product, x), {**counts, **vars(plan.count)}
