"""Products with patterns that lie on an NVIDIA GPU and may change there: encoded on it, the host never waits.

All is of a size that follows from the slots, so a CUDA graph that was captured follows tensors changed in place.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from popsparse_planner.cuda_dynamic import Frame
from popsparse_planner.cuda_dynamic_plan import CudaDynamicPlan, plan_cuda_dynamic
from popsparse_planner.cuda_dynamic_sampled import cell_sizes
from popsparse_planner.errors import PatternError, TargetUnavailableError

from ..backends.cuda_dense import warn_of_dense
from ..backends.cuda_device import CudaDevice
from ..backends.cuda_dynamic import CudaDynamicProduct
from ..backends.cuda_dynamic_sampled import CudaDynamicSampler
from ..backends.cuda_encode import Allocate
from ..backends.cuda_tensors import current_stream, multiply, plain
from ..backends.cuda_tensors import sampled as sample
from . import composite, dynamic_slots
from .kept import stamp_of

NARROWEST = 16  # columns; products with fewer share a plan


class Indices(NamedTuple):
    """row, col (slots) and nnz (), int32, on the device of what they are multiplied with."""

    row: Tensor
    col: Tensor
    nnz: Tensor

    def check(self, device: Any) -> None:
        """PatternError, TargetUnavailableError unless the kernels can read them."""
        if self.row.shape != self.col.shape or self.col.dim() != 1 or self.nnz.numel() != 1:
            raise PatternError(
                f"expected row and col of one length and nnz, one number, got {tuple(self.row.shape)}, "
                f"{tuple(self.col.shape)}, {tuple(self.nnz.shape)}"
            )
        if not self.row.device == self.col.device == self.nnz.device == device:
            raise TargetUnavailableError(
                f"row is on {self.row.device}, col on {self.col.device}, nnz on {self.nnz.device}, x on {device}: "
                f"move all to {device}"
            )

    def plain(self) -> Tuple[Tensor, Tensor, Tensor]:
        """As the kernels read them: int32, contiguous."""
        row, col, nnz = (i.to(torch.int32).contiguous() for i in self)
        return row, col, nnz

    def slots(self, shape: Tuple[int, int], b: int) -> dynamic_slots.Slots:
        """For torch's own operations; shape: (m, k)."""
        row, col, nnz = self
        return dynamic_slots.slots_of(row, col, nnz, (-(-shape[0] // b), -(-shape[1] // b)))


class _Lists:
    """Work lists in torch's memory, and what they were made of; None: of nothing yet, or of what may have changed."""

    def __init__(self, like: Tensor, make: Callable[[Allocate], Any]) -> None:
        self._memory: Dict[int, Tensor] = {}
        self._like = like.new_empty(0, dtype=torch.uint8)
        self.made_of: Any = None
        self.made = make(self._allocate)

    def _allocate(self, num_bytes: int) -> int:
        memory = self._like.new_empty(max(num_bytes, 1))
        self._memory[memory.data_ptr()] = memory
        return int(memory.data_ptr())

    @property
    def fault(self) -> Tensor:
        """() bool, on the device: whether the pattern was found unsound when it was encoded."""
        word: Tensor = self._memory[self.made.fault].view(torch.int32)[0]
        return word != 0


class DynamicProducts:
    """What the index tensors of one pattern keep: plans by shape, and work lists by plan, stream and device."""

    def __init__(self) -> None:
        self._plans: Dict[Any, CudaDynamicPlan] = {}
        self._lists: Dict[Any, _Lists] = {}
        self._was_captured = False
        self._lock = threading.Lock()

    def plan(
        self, shape: Tuple[int, int], b: int, slots: int, n: int, dtype: str, device: CudaDevice, *, transposed: bool
    ) -> CudaDynamicPlan:
        """The plan of W x, or of its transpose times x, for about n columns; says where dense is faster."""
        about = max(NARROWEST, 1 << (n - 1).bit_length())
        key = (shape, b, slots, about, dtype, device, transposed)
        if key not in self._plans:
            machine = device.machine
            plan = plan_cuda_dynamic(
                shape, b, slots, about, dtype=dtype, transposed=transposed, by_rows=True, machine=machine
            )
            self._plans[key] = plan
            if plan.dense_is_faster:
                warn_of_dense(plan, stacklevel=2)
        return self._plans[key]

    def multiply(
        self, device: CudaDevice, plan: CudaDynamicPlan, x: Tensor, values: Tensor, bias: Optional[Tensor], at: Indices
    ) -> Tensor:
        """y (m, n) = W x + bias of x (k, n). The pattern is encoded where its tensors changed since it was, and always
        while a graph is captured, and for tensors that one was captured with: its replays may change them unseen.
        """
        chosen = plan.product
        key = (plan.sizes, chosen.kernel, chosen.tile, chosen.dtype, chosen.n if chosen.kernel == "decode" else 0)
        stream = current_stream(x)
        with self._lock:  # which values a product reads is part of its state
            lists = self._encoded(key, x, stream, at, lambda allocate: CudaDynamicProduct(device, plan, allocate))
            blocks = plain(values)
            lists.made.set_values(blocks.data_ptr(), stream)
            return multiply(lists.made, x, bias)

    def sampled(self, device: CudaDevice, dy: Tensor, x: Tensor, b: int, at: Indices) -> Tensor:
        """(slots, b, b) of dy (m, n) x (k, n)^T at the blocks; 0 where there are none, NaN where there is a fault."""
        name, slots = str(x.dtype)[6:], len(at.col)
        sizes = cell_sizes(Frame((dy.shape[0], x.shape[0]), b, slots), name, device.machine.shared_bytes)
        with self._lock:
            lists = self._encoded(
                (sizes, name),
                x,
                current_stream(x),
                at,
                lambda allocate: CudaDynamicSampler(device, sizes, name, allocate),
            )
            empty = torch.where(lists.fault, float("nan"), 0.0).to(x.dtype)
            values = empty.expand(slots, b, b).contiguous()
            sample(lists.made, dy, x, values)
        return values

    def _encoded(self, key: Any, x: Tensor, stream: int, at: Indices, make: Callable[[Allocate], Any]) -> _Lists:
        """Lists of the pattern as the stream finds it."""
        capturing, made_of = is_capturing(x), stamp_of(*at)
        self._was_captured |= capturing
        place = (x.device, stream, *key)
        lists = _Lists(x, make) if capturing else self._lists.get(place)
        if lists is None:
            lists = self._lists[place] = _Lists(x, make)
        if self._was_captured or made_of is None or lists.made_of != made_of:
            row, col, nnz = at.plain()
            lists.made.encode((row.data_ptr(), col.data_ptr(), nnz.data_ptr()), stream)
            lists.made_of = made_of
        return lists


_kept: Dict[int, Tuple[Any, DynamicProducts]] = {}  # by id(col), with a weak reference to it


def products_of(col: Tensor) -> DynamicProducts:
    """What is kept for these column indices until the tensor goes."""
    key = id(col)
    found = _kept.get(key)
    if found is None or found[0]() is not col:
        found = _kept[key] = (weakref.ref(col, lambda _: _kept.pop(key, None)), DynamicProducts())
    return found[1]


def is_capturing(x: Tensor) -> bool:
    """Whether what is started now goes into a CUDA graph."""
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


def product(
    device: CudaDevice,
    x: Tensor,  # (n, k), transposed: (n, m)
    values: Tensor,  # (slots, b, b)
    bias: Optional[Tensor],  # (m)
    at: Indices,
    shape: Tuple[int, int],  # (m, k)
    *,
    transposed: bool,
) -> Tensor:
    """x W^T + bias, or transposed x W; all NaN where the pattern has a fault."""
    at.check(x.device)
    n, b, slots = x.shape[0], values.shape[1], len(at.col)
    if not n:
        return x.new_empty((0, shape[1 if transposed else 0]))
    if x.dtype == torch.float64:
        found = at.slots(shape, b)
        blocks, places = dynamic_slots.masked(values, found), (found.row, found.col)
        y = composite.either(x, blocks, bias, places, shape, transposed=transposed)
        return y.masked_fill(found.fault, float("nan"))
    products = products_of(at.col)
    name = str(x.dtype)[6:]
    plan = products.plan(shape, b, slots, n, name, device, transposed=transposed) if slots else None
    if plan is None or plan.dense_is_faster:
        w = dynamic_slots.dense(values, at.slots(shape, b), shape)
        return x @ w if transposed else torch.nn.functional.linear(x, w, bias)
    return products.multiply(device, plan, x.T, values, bias, at).T.contiguous()


def sampled(
    device: CudaDevice,
    dy: Tensor,  # (n, m)
    x: Tensor,  # (n, k)
    at: Indices,
    block_size: int,
) -> Tensor:
    """dy^T x at the blocks, (slots, b, b); 0 in unused slots, all NaN where the pattern has a fault."""
    at.check(x.device)
    slots = len(at.col)
    if x.dtype == torch.float64 or not slots or not len(x):
        found = at.slots((dy.shape[1], x.shape[1]), block_size)
        values = composite.sampled(dy, x, found.row, found.col, block_size)
        return dynamic_slots.masked(values, found).masked_fill(found.fault, float("nan"))
    return products_of(at.col).sampled(device, dy.T, x.T, block_size, at)
