"""The operators on an NVIDIA GPU: the kernels of cpp/cuda, or a dense copy where that is predicted to be faster."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Dict, Optional, Tuple

import torch
from torch import Tensor

from popsparse_planner.cuda_plan import CudaPlan, plan_cuda
from popsparse_planner.cuda_tiles import Tile
from popsparse_planner.errors import DTypeError, ShapeError
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda_dense import DenseIsFasterWarning, dense_of, warn_of_dense
from ..backends.cuda_device import CudaDevice
from ..backends.cuda_product import CudaProduct, CudaSampler
from ..backends.cuda_tensors import current_stream, device_of, multiply, plain
from ..backends.cuda_tensors import sampled as sample
from . import composite, dynamic_cuda
from .kept import kept_pattern

__all__ = ["DenseIsFasterWarning", "linear", "linear_transposed", "sampled"]


def linear(
    x: Tensor,  # (n, k)
    values: Tensor,  # (slots, b, b) dtype of x
    bias: Optional[Tensor],  # (m)
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    m: int,
) -> Tensor:
    """x W^T + bias, (n, m)."""
    return _product(x, values, bias, (row, col, nnz), (m, x.shape[1]), transposed=False)


def linear_transposed(
    dy: Tensor,  # (n, m)
    values: Tensor,  # (slots, b, b) dtype of dy
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    k: int,
) -> Tensor:
    """dy W, (n, k)."""
    return _product(dy, values, None, (row, col, nnz), (dy.shape[1], k), transposed=True)


def sampled(
    dy: Tensor,  # (n, m)
    x: Tensor,  # (n, k) dtype of dy
    row: Tensor,  # (slots) int32
    col: Tensor,  # (slots) int32
    nnz: Optional[Tensor],  # () int32
    block_size: int,
) -> Tensor:
    """dy^T x at the blocks, (slots, b, b); 0 in the padding of ragged shapes and in unused slots."""
    _check(dy, x)
    if nnz is not None:
        return dynamic_cuda.sampled(device_of(x), dy, x, dynamic_cuda.Indices(row, col, nnz), block_size)
    kept = kept_pattern(row, col, None, (dy.shape[1], x.shape[1]), block_size)
    blocks = kept.pattern.nnz_blocks
    values = dy.new_zeros((len(col), block_size, block_size))
    if dy.dtype == torch.float64:
        values[:blocks] = composite.sampled(dy, x, row[:blocks], col[:blocks], block_size)
    elif dy.shape[0]:
        sampler = _products(kept, device_of(dy)).sampler(_name(dy))
        sample(sampler, dy.T, x.T, values)
    return values


class CudaProducts:
    """What one pattern keeps on a device: work lists of each product, and a dense copy where that is used."""

    def __init__(self, pattern: BlockPattern, device: CudaDevice) -> None:
        self.pattern, self.device = pattern, device
        self._plans: Dict[Tuple[bool, int, str, bool], CudaPlan] = {}
        self._lists: Dict[Tuple[bool, str, str, Optional[Tile], int], CudaProduct] = {}
        self._samplers: Dict[str, CudaSampler] = {}
        self._loaded: Dict[int, Any] = {}
        self._copies: Dict[int, Optional[Tensor]] = {}  # of values that could not be read where they lie
        self._dense: Tuple[Any, Any] = (None, None)
        self._lock = threading.Lock()

    def plan(self, n: int, dtype: str, *, transposed: bool) -> CudaPlan:
        """The plan of W x, or of its transpose times x, for about n columns."""
        about = max(dynamic_cuda.NARROWEST, 1 << (n - 1).bit_length())
        tf32 = dtype == "float32" and _tf32_is_allowed()
        key = (transposed, about, dtype, tf32)
        if key not in self._plans:
            machine = self.device.machine
            plan = plan_cuda(
                self.pattern, about, dtype=dtype, transposed=transposed, by_rows=True, machine=machine, tf32=tf32
            )
            self._plans[key] = plan
            if plan.dense_is_faster:
                warn_of_dense(plan, stacklevel=2)
        return self._plans[key]

    def sampler(self, dtype: str) -> CudaSampler:
        """Work lists of the sampled product."""
        if dtype not in self._samplers:
            self._samplers[dtype] = CudaSampler(self.device, self.pattern, dtype)
        return self._samplers[dtype]

    def multiply(self, plan: CudaPlan, x: Tensor, values: Tensor, bias: Optional[Tensor]) -> Tensor:
        """y (m, n) = W x + bias of x (k, n)."""
        few = plan.n if plan.kernel.startswith("decode") else 0
        key = (plan.transposed, plan.arithmetic, plan.kernel, plan.tile, few)
        with self._lock:  # which values a product reads is part of its state
            product = self._lists.get(key)
            if product is None:
                product = self._lists[key] = CudaProduct(self.device, plan, self.pattern)
            self._forget_trained(values)
            if not _is_of(self._loaded.get(id(product)), values):
                used = values[: self.pattern.nnz_blocks]
                blocks = plain(used)
                product.set_values(blocks.data_ptr(), current_stream(x))
                self._loaded[id(product)] = _stamp(values)
                self._copies[id(product)] = None if blocks.data_ptr() == used.data_ptr() else blocks
            return multiply(product, x, bias)

    def _forget_trained(self, values: Tensor) -> None:
        """Values in training may be frozen again, changed by then without a trace, so nothing kept of them counts."""
        if values.requires_grad:
            for key in [key for key, stamp in self._loaded.items() if stamp is not None and stamp[0]() is values]:
                del self._loaded[key]
            if self._dense[0] is not None and self._dense[0][0]() is values:
                self._dense = (None, None)

    def dense(self, values: Tensor) -> Tensor:
        """W as a dense matrix, kept until the values change."""
        self._forget_trained(values)
        if not _is_of(self._dense[0], values):
            self._dense = (_stamp(values), dense_of(self.pattern, values))
        found: Tensor = self._dense[1]
        return found


def _stamp(values: Tensor) -> Any:
    """What changes with the values; None where they are in training, as optimizers may write past torch's counter."""
    if values.requires_grad or values.is_inference():
        return None
    return (weakref.ref(values), values.data_ptr(), values._version)


def _is_of(stamp: Any, values: Tensor) -> bool:
    """Whether a stamp was made of these values as they are."""
    return stamp is not None and stamp[0]() is values and stamp[1:] == (values.data_ptr(), values._version)


def _products(kept: Any, device: CudaDevice) -> CudaProducts:
    found: CudaProducts = kept.others.get(device)
    if found is None:
        found = kept.others[device] = CudaProducts(kept.pattern, device)
    return found


def _product(
    x: Tensor,
    values: Tensor,
    bias: Optional[Tensor],
    places: Tuple[Tensor, Tensor, Optional[Tensor]],
    shape: Tuple[int, int],
    *,
    transposed: bool,
) -> Tensor:
    _check(x, values)
    row, col, nnz = places
    if values.dim() != 3 or values.shape[1] != values.shape[2] or values.shape[0] != len(col):
        raise ShapeError(f"values have shape {tuple(values.shape)}: expected ({len(col)}, b, b), a block for each slot")
    if nnz is not None:
        at = dynamic_cuda.Indices(row, col, nnz)
        return dynamic_cuda.product(device_of(x), x, values, bias, at, shape, transposed=transposed)
    kept = kept_pattern(row, col, None, shape, values.shape[1])
    out = shape[1 if transposed else 0]
    if x.dtype == torch.float64:
        used = values[: kept.pattern.nnz_blocks]
        return composite.either(x, used, bias, (row, col), shape, transposed=transposed)
    if not x.shape[0]:
        return x.new_empty((0, out))
    products = _products(kept, device_of(x))
    plan = products.plan(x.shape[0], _name(x), transposed=transposed)
    if plan.dense_is_faster:
        w = products.dense(values)
        return x @ w if transposed else torch.nn.functional.linear(x, w, bias)
    return products.multiply(plan, x.T, values, bias).T.contiguous()


def _tf32_is_allowed() -> bool:
    """Torch's own switch for products of float32 on the GPU; off by default."""
    matmul = torch.backends.cuda.matmul
    precision = getattr(matmul, "fp32_precision", None)  # of torch 2.9 and later, where the older switch sets it too
    return bool(matmul.allow_tf32) if precision is None else bool(precision == "tf32")


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype)[6:]


def _check(left: Tensor, right: Tensor) -> None:
    if left.dtype != right.dtype:
        raise DTypeError(
            f"operands have dtypes {left.dtype} and {right.dtype}: convert one, or run under torch.autocast",
            dtype=str(left.dtype),
        )
