"""Other libraries' products on a GPU, where they are installed; each takes W as they want it and X (k, n)."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Dict, Tuple

Call = Callable[[Any], Any]
Made = Tuple[Dict[str, Call], Dict[str, str]]  # calls by name, and why the others are absent


def dense(w: Any, block_size: int) -> Call:
    """cuBLAS on all of W."""
    return lambda x: w @ x


def torch_bsr(w: Any, block_size: int) -> Call:
    """torch's own block-sparse layout: Triton kernels for blocks of 16 and more, cuSPARSE for float32."""
    sparse = w.to_sparse_bsr((block_size, block_size))
    return lambda x: sparse @ x


def torch_bsr_tuned(w: Any, block_size: int) -> Call:
    """The same after torch's tuner has been run for this shape."""
    sparse = w.to_sparse_bsr((block_size, block_size))
    tuner = import_module("torch.sparse._triton_ops_meta").tune_bsr_dense_addmm
    state = {"tuned": False}

    def call(x: Any) -> Any:
        if not state["tuned"]:
            tuner(x.new_zeros(w.shape[0], x.shape[1]), sparse, x, beta=0, store=True)
            state["tuned"] = True
        return sparse @ x

    return call


def torch_csr(w: Any, block_size: int) -> Call:
    """cuSPARSE CSR."""
    sparse = w.to_sparse_csr()
    return lambda x: sparse @ x


def semi_structured(w: Any, block_size: int) -> Call:
    """cuSPARSELt, 2 of 4: only where half of W is nonzero, of another pattern then."""
    torch = import_module("torch")
    if int((w != 0).sum()) * 2 > w.numel():
        raise ValueError("more than half of W is nonzero")
    mask = torch.tensor([0, 0, 1, 1], device=w.device, dtype=torch.bool).tile(w.shape[0], w.shape[1] // 4)
    sparse = torch.sparse.to_sparse_semi_structured(torch.where(mask, w, torch.zeros_like(w)))
    return lambda x: sparse @ x


def blksprs(w: Any, block_size: int) -> Call:
    """The Triton kernels of the package blksprs."""
    bs = import_module("blksprs")
    torch = import_module("torch")
    rows, columns = w.shape[0] // block_size, w.shape[1] // block_size
    mask = (w.reshape(rows, block_size, columns, block_size) != 0).any(3).any(1)
    layout = mask[None].to(torch.int64)
    sparse = bs.ops.to_sparse(bs.BlksprsTensor.wrap(w[None]), layout, block_size)

    def call(x: Any) -> Any:
        every = torch.ones((1, x.shape[0] // block_size, x.shape[1] // block_size), dtype=torch.int64, device=x.device)
        wrapped = bs.ops.to_sparse(bs.BlksprsTensor.wrap(x[None]), every, block_size)
        all_of_y = torch.ones((1, rows, every.shape[2]), dtype=torch.int64, device=x.device)
        return bs.ops.matmul(sparse, layout, wrapped, every, all_of_y, block_size)

    return call


def stk(w: Any, block_size: int) -> Call:
    """The package stanford-stk: blocks of 128 only."""
    if block_size != 128:
        raise ValueError("blocks of 128 only")
    library = import_module("stk")
    sparse = library.ops.to_sparse(w, block_size)
    return lambda x: library.ops.dsd(sparse, x)


PEERS: Dict[str, Callable[[Any, int], Call]] = {
    function.__name__: function
    for function in (dense, torch_bsr, torch_bsr_tuned, torch_csr, semi_structured, blksprs, stk)
}


def calls(w: Any, block_size: int, x: Any) -> Made:
    """The peers that can multiply this W by this x, tried once, and why the others cannot."""
    made: Dict[str, Call] = {}
    absent: Dict[str, str] = {}
    for name, function in PEERS.items():
        try:
            call = function(w, block_size)
            call(x)
            made[name] = call
        except Exception as error:  # whatever another library raises, the rest is still measured
            absent[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
    return made, absent
