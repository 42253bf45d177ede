"""Other libraries' products on a GPU, where they are installed, each with W and X in the form that it wants.

The forms are made before anything is timed; a product is compared with the dense one before it is timed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from . import gpu_cusparse
from .products import WrongResultError

Call = Callable[[Any], Any]
_ERROR = {"float32": 2e-3, "float16": 1e-2, "bfloat16": 2e-2}  # of the largest entry of the product
TUNER_SECONDS = 10.0  # of torch's tuner, for each W


class Peer(NamedTuple):
    """A product of one W. call: of X as the library wants it, timed; operand: makes that of X (k, n); result: Y (m, n)
    of what call gives; w: what it multiplies, if not the W that it was given.
    """

    call: Call
    operand: Call = lambda x: x
    result: Call = lambda y: y
    w: Optional[Any] = None


def dense(w: Any, block_size: int, x: Any) -> Peer:
    """cuBLAS on all of W."""
    return Peer(w.matmul)


def torch_bsr(w: Any, block_size: int, x: Any) -> Peer:
    """torch's own block-sparse layout: Triton kernels, for blocks of 16 and more."""
    return Peer(w.to_sparse_bsr((block_size, block_size)).matmul)


def torch_bsr_tuned(w: Any, block_size: int, x: Any) -> Peer:
    """The same with what torch's tuner finds for this W and X; nothing is stored, so that torch_bsr stays untuned."""
    sparse = w.to_sparse_bsr((block_size, block_size))
    tuner = import_module("torch.sparse._triton_ops_meta").tune_bsr_dense_addmm
    multiply = import_module("torch.sparse._triton_ops").bsr_dense_addmm
    with _limited(import_module("triton").testing, TUNER_SECONDS):
        found = tuner(x.new_zeros(w.shape[0], x.shape[1]), sparse, x, beta=0, alpha=1)

    def call(operand: Any) -> Any:
        y = operand.new_empty((w.shape[0], operand.shape[1]))
        return multiply(y, sparse, operand, beta=0, alpha=1, out=y, meta=found)

    return Peer(call)


@contextmanager
def _limited(testing: Any, seconds: float) -> Iterator[None]:
    """Triton's timer with less than the 0.6 s that torch's tuner asks for, and none once so many seconds are over."""
    whole, end = testing.do_bench, time.monotonic() + seconds

    def do_bench(call: Any, **given: Any) -> float:
        return float(whole(call, warmup=10, rep=30)) if time.monotonic() < end else float("inf")

    testing.do_bench = do_bench
    try:
        yield
    finally:
        testing.do_bench = whole


def torch_csr(w: Any, block_size: int, x: Any) -> Peer:
    """cuSPARSE CSR as torch calls it."""
    return Peer(w.to_sparse_csr().matmul)


def cusparse(layout: str, w: Any, block_size: int, x: Any) -> Peer:
    """cuSPARSE called directly, in one of its layouts."""
    if block_size == 1 and layout != "csr":
        raise ValueError("single elements are measured as CSR")
    return Peer(gpu_cusparse.product(gpu_cusparse.Cusparse(), layout, w, block_size, x))


def semi_structured(w: Any, block_size: int, x: Any) -> Peer:
    """cuSPARSELt, 2 of 4: only where W has half of its blocks; another pattern then, of as many nonzeros."""
    torch = import_module("torch")
    if abs(float((w != 0).sum()) / w.numel() - 0.5) > 0.01:
        raise ValueError("2 of 4 is measured where half of W is nonzero")
    mask = torch.tensor([0, 0, 1, 1], device=w.device, dtype=torch.bool).tile(w.shape[0], w.shape[1] // 4)
    pruned = torch.where(mask, torch.randn_like(w), torch.zeros_like(w))
    return Peer(torch.sparse.to_sparse_semi_structured(pruned).matmul, w=pruned)


def blksprs(w: Any, block_size: int, x: Any) -> Peer:
    """The Triton kernels of the package blksprs; X and Y in blocks too, as its products want them."""
    library, torch = import_module("blksprs"), import_module("torch")
    rows, columns = w.shape[0] // block_size, w.shape[1] // block_size
    mask = (w.reshape(rows, block_size, columns, block_size) != 0).any(3).any(1)[None].contiguous()
    full = partial(torch.ones, dtype=torch.bool, device=w.device)
    of_x, of_y = (full((1, side, -(-x.shape[1] // block_size))) for side in (columns, rows))
    sparse, caches = library.ops.to_sparse(w[None], mask, block_size), ({}, {})  # type: Any, Any

    def call(blocks: Any) -> Any:
        return library.ops.matmul(sparse, mask, blocks, of_x, of_y, block_size, layout_cache=caches[0])

    def result(y: Any) -> Any:
        return library.ops.to_dense(y, of_y, block_size, layout_cache=caches[1])[0].as_subclass(torch.Tensor)

    return Peer(call, lambda one: library.ops.to_sparse(one[None], of_x, block_size), result)


def stk(w: Any, block_size: int, x: Any) -> Peer:
    """The package stanford-stk: blocks of 128 only."""
    if block_size != 128:
        raise ValueError("blocks of 128 only")
    library = import_module("stk")
    return Peer(partial(library.ops.dsd, library.ops.to_sparse(w, block_size)))


PEERS: Dict[str, Callable[[Any, int, Any], Peer]] = {
    "dense": dense,
    "torch_bsr": torch_bsr,
    "torch_bsr_tuned": torch_bsr_tuned,
    "torch_csr": torch_csr,
    **{f"cusparse_{layout}": partial(cusparse, layout) for layout in gpu_cusparse.FORMATS},
    "cusparselt": semi_structured,
    "blksprs": blksprs,
    "stk": stk,
}


def peers_of(
    w: Any, block_size: int, x: Any, only: Optional[Sequence[str]] = None
) -> Tuple[Dict[str, Peer], Dict[str, str]]:
    """The peers (only: these) whose product of this W and x is right, and why the others are absent."""
    found: Dict[str, Peer] = {}
    absent: Dict[str, str] = {}
    for name in PEERS if only is None else only:
        try:
            peer = PEERS[name](w, block_size, x)
            check(peer, w, x)
            found[name] = peer
        except Exception as error:  # whatever another library raises, the rest is still measured
            absent[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return found, absent


def check(peer: Peer, w: Any, x: Any) -> None:
    """WrongResultError if the peer's product is not that of its W and x."""
    wanted = (w if peer.w is None else peer.w).float() @ x.float()
    found = peer.result(peer.call(peer.operand(x)))
    if found.shape != wanted.shape:
        raise WrongResultError(f"the product has shape {tuple(found.shape)}, expected {tuple(wanted.shape)}")
    share = float((found.float() - wanted).abs().max()) / max(float(wanted.abs().max()), 1e-30)
    bound = _ERROR[str(x.dtype)[6:]]
    if not share <= bound:
        raise WrongResultError(f"off by {share:.2g} of the largest entry of the product, allowed are {bound:g}")
