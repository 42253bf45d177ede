"""Products on an NVIDIA GPU, by the kernels of cpp/cuda. They have not been run on a GPU yet, only on its emulator."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, List, Optional, Tuple

import numpy as np

from popsparse_planner.cuda_plan import CudaPlan, plan_cuda
from popsparse_planner.cuda_profile import GPU_DTYPES
from popsparse_planner.errors import DTypeError, PlanError, ShapeError, TargetUnavailableError
from popsparse_planner.pattern import BlockPattern

from ..formats import BlockSparseMatrix
from ..formats.arrays import dtype_name, is_tensor
from . import cuda_tensors
from .base import Number, Result, Trace, check_x_shape
from .cuda_device import CudaDevice, DeviceArray, open_device, why_no_device
from .cuda_product import CudaProduct, CudaSampler, Operands
from .host_arrays import checked_bias, empty_like, host_view


class CudaBackend:
    """One GPU. driver: its shared object, "" for the system's; ordinal: which GPU; device: one that is open already.

    may_use_dense: whether products without a plan may use a dense copy of W where that is predicted to be faster.
    """

    name = "cuda"
    threads, tier = 0, ""  # of the host: none

    def __init__(
        self, driver: str = "", ordinal: int = 0, device: Optional[CudaDevice] = None, may_use_dense: bool = False
    ) -> None:
        self.driver, self.ordinal, self.may_use_dense = driver, ordinal, may_use_dense
        self._device = device

    def why_unavailable(self) -> Optional[str]:
        """None where the driver opens the device and it is new enough."""
        return None if self._device is not None else why_no_device(self.driver, self.ordinal)

    @property
    def device(self) -> CudaDevice:
        """The device, opened; TargetUnavailableError with the reason and what to do."""
        if self._device is None:
            reason = self.why_unavailable()
            if reason is not None:
                raise TargetUnavailableError(f"target 'cuda' cannot be used: {reason}")
            self._device = open_device(self.driver, self.ordinal)
        return self._device

    def plan(
        self,
        pattern: BlockPattern,
        n: int,
        dtype: str,
        *,
        transposed: bool = False,
        by_rows: bool = False,
        tf32: bool = False,
    ) -> CudaPlan:
        """The plan of W x, or of its transpose times x, for this family of GPUs; by_rows, tf32: see plan_cuda."""
        machine = self.device.machine
        return plan_cuda(pattern, n, dtype=dtype, transposed=transposed, by_rows=by_rows, machine=machine, tf32=tf32)

    def compile(self, plan: CudaPlan, *, transposed: bool = False) -> CudaKernel:
        """The kernel of a plan, which says itself if W is transposed; PlanError for another target or family."""
        if not isinstance(plan, CudaPlan):
            raise PlanError(f"target 'cuda' runs plans of plan(..., target='cuda'), got a {type(plan).__name__}")
        if transposed != plan.transposed:
            raise PlanError(f"the plan is for W{' transposed' if plan.transposed else ''}, not as asked for")
        if plan.machine != self.device.machine:
            raise PlanError(
                f"the plan is for {plan.machine.name} with {plan.machine.shared_bytes:,} B of shared memory, this "
                f"device is {self.device.machine.name} with {self.device.machine.shared_bytes:,} B: plan again here"
            )
        return CudaKernel(plan, self.device)

    def sampled(self, pattern: BlockPattern, dy: Any, x: Any, out: Any = None) -> Any:
        """values (nnz_blocks, b, b) of dy (m, n) x (k, n)^T at the pattern's blocks, arrays or tensors of one dtype."""
        _refuse_out(out)
        (m, k), b = pattern.shape, pattern.block_size
        if len(dy.shape) != 2 or len(x.shape) != 2 or tuple(dy.shape) != (m, x.shape[1]) or x.shape[0] != k:
            raise ShapeError(f"dy has shape {tuple(dy.shape)} and x {tuple(x.shape)}: expected ({m}, n) and ({k}, n)")
        if dtype_name(dy) != dtype_name(x):
            raise DTypeError(
                f"dy has dtype {dtype_name(dy)} and x {dtype_name(x)}: expected the same", dtype=dtype_name(x)
            )
        if cuda_tensors.is_on_device(dy) and cuda_tensors.is_on_device(x):
            found = x.new_empty((pattern.nnz_blocks, b, b))
            cuda_tensors.sampled(CudaSampler(self.device, pattern, _known(dtype_name(x))), dy, x, found)
            return found
        left, right = host_view(dy, "dy"), host_view(x, "x")
        values, memory = empty_like((pattern.nnz_blocks, b, b), _dtype_of(right), x)
        sampler = CudaSampler(self.device, pattern, _dtype_of(right))
        (dy_on, dy_pitch), (x_on, x_pitch) = _upload(self.device, left), _upload(self.device, right)
        out = self.device.empty(memory.nbytes)
        sampler.enqueue((dy_on.pointer, dy_pitch), (x_on.pointer, x_pitch), right.shape[1], out.pointer, 0)
        self.device.get(out, memory)
        return values


class CudaKernel:
    """A compiled plan. One call at a time runs in it; it may be shared by threads."""

    def __init__(self, plan: CudaPlan, device: CudaDevice) -> None:
        self.plan, self.device = plan, device
        self._lock = threading.Lock()
        self._pattern: Optional[BlockPattern] = None
        self._product: Optional[CudaProduct] = None
        self._values: Any = None  # that the product reads, on the device

    def load(self, w: BlockSparseMatrix) -> None:
        """Bring W's values to the device: any pattern of the plan's shape and block size.

        PlanError for another shape or block size, DTypeError, DeviceMemoryError; the old values stay then.
        """
        shape = w.shape[::-1] if self.plan.transposed else w.shape
        if (shape, w.block_size) != (self.plan.shape, self.plan.block_size):
            raise PlanError(
                f"W is {w.shape} in blocks of {w.block_size}, the plan is for {self.plan.shape} in blocks of "
                f"{self.plan.block_size}{', transposed' if self.plan.transposed else ''}"
            )
        if w.dtype != self.plan.dtype:
            raise DTypeError(f"W has dtype {w.dtype}, the plan is for {self.plan.dtype}", dtype=w.dtype)
        with self._lock:
            kept = self._product if self._pattern is w.pattern else None
            product = kept or CudaProduct(self.device, self.plan, w.pattern)
            if cuda_tensors.is_on_device(w.values):
                self._check_place(w.values, "W's values")
                values: Any = cuda_tensors.plain(w.values)
                product.set_values(values.data_ptr(), cuda_tensors.current_stream(values))
            else:
                values = self.device.put(host_view(w.values, "W"))
                product.set_values(values.pointer)
            self._pattern, self._product, self._values = w.pattern, product, values

    def run(self, x: Any, *, bias: Any = None, activation: str = "none") -> Result:
        """Result(y (m, n), trace) of activation(W x + bias), x (k, n) in host memory; bias (m) is used as float32."""
        y = self.multiply(x, bias, activation)
        numbers = {
            "planned_seconds": Number(self.plan.cost.total_seconds, "s", "estimated"),
            "memory_bytes": Number(self.plan.count.memory_bytes, "bytes through HBM", "estimated"),
            "l2_bytes": Number(self.plan.count.l2_bytes, "bytes from L2", "estimated"),
            "shared_bytes": Number(self.plan.count.shared_bytes, "bytes of shared memory", "estimated"),
        }
        return Result(y, Trace("cuda", "asked for", numbers))

    def multiply(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (m, n) as `run` gives it, without a trace; out_dtype: of y, the plan's by default; no `out`."""
        check_x_shape(*self.plan.shape, tuple(x.shape))
        if cuda_tensors.is_on_device(x):
            return _converted(self._product_on_device(x, bias, activation, out), out_dtype)
        return _converted(self._product_of(host_view(x, "x"), x, bias, activation, out), out_dtype)

    def multiply_rows(
        self, x: Any, bias: Any = None, activation: str = "none", out_dtype: Optional[str] = None, out: Any = None
    ) -> Any:
        """y (batch, m) = activation(x W^T + bias) for x (batch, k), PyTorch's orientation."""
        if len(x.shape) != 2 or x.shape[1] != self.plan.shape[1]:
            raise ShapeError(f"x has shape {tuple(x.shape)}: expected (batch, {self.plan.shape[1]})")
        if cuda_tensors.is_on_device(x):
            return _converted(self._product_on_device(x.T, bias, activation, out).T, out_dtype)
        return _converted(self._product_of(host_view(x, "x").T, x, bias, activation, out).T, out_dtype)

    def _product_on_device(self, x: Any, bias: Any, activation: str, out: Any) -> Any:
        """The product of a tensor there, on torch's current stream; bias: a tensor there too."""
        _refuse_out(out)
        self._check_dtype(dtype_name(x))
        self._check_place(x, "the elements of x")
        with self._lock:
            return cuda_tensors.multiply(self._loaded(), x, bias, activation)

    def _check_place(self, tensor: Any, what: str) -> None:
        found, ours = tensor.device.index or 0, self.device.ordinal
        if found != ours:
            raise PlanError(f"{what} lie on cuda:{found}, the kernel on cuda:{ours}: use .to('cuda:{ours}')")

    def _check_dtype(self, found: str) -> None:
        if found != self.plan.dtype:
            raise DTypeError(
                f"x has dtype {found}, the plan is for {self.plan.dtype}: convert one of them", dtype=found
            )

    def _loaded(self) -> CudaProduct:
        if self._product is None:
            raise PlanError("no values are loaded: call load(w) before run(x)")
        return self._product

    def _product_of(self, view: np.ndarray, x: Any, bias: Any, activation: str, out: Any) -> Any:
        _refuse_out(out)
        self._check_dtype(_dtype_of(view))
        (m, n), takes_rows = (self.plan.shape[0], view.shape[1]), self.plan.takes_rows
        y, memory = empty_like((n, m) if takes_rows else (m, n), self.plan.dtype, x)
        with self._lock:
            product = self._loaded()
            x_on, x_pitch = _upload(self.device, view.T if takes_rows else view)
            out = self.device.empty(memory.nbytes)
            bias_on = None if bias is None else self.device.put(checked_bias(bias, m))
            kept: List[DeviceArray] = []

            def scratch(num_bytes: int) -> int:
                kept.append(self.device.empty(num_bytes))
                return kept[-1].pointer

            shift = 0 if bias_on is None else bias_on.pointer
            operands = Operands(x_on.pointer, x_pitch, out.pointer, memory.shape[1], n, shift, activation)
            product.enqueue(operands, 0, scratch)
            self.device.get(out, memory)
        return y.T if takes_rows else y


def _refuse_out(out: Any) -> None:
    if out is not None:
        raise PlanError("out is for target 'cpu': cuda makes its own results")


def _converted(y: Any, dtype: Optional[str]) -> Any:
    """y, an array or a tensor, with elements of that type; None: as they are."""
    if dtype is None or dtype == dtype_name(y):
        return y
    return y.to(getattr(import_module("torch"), dtype)) if is_tensor(y) else y.astype(dtype)


def _dtype_of(view: np.ndarray) -> str:
    """The element type that host_view's array stands for."""
    return _known("bfloat16" if view.dtype == np.uint16 else view.dtype.name)


def _known(name: str) -> str:
    """The element type, DTypeError if no kernel takes it."""
    if name not in GPU_DTYPES:
        raise DTypeError(f"dtype {name} has no cuda kernel: expected one of {', '.join(GPU_DTYPES)}", dtype=name)
    return name


def _upload(device: CudaDevice, matrix: np.ndarray) -> Tuple[DeviceArray, int]:
    """The matrix on the device and its pitch, a multiple of 16 bytes."""
    per_line = 16 // matrix.itemsize
    pitch = -(-matrix.shape[1] // per_line) * per_line
    return device.put_rows(matrix, pitch), pitch
