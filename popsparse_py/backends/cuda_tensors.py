"""Products on tensors that lie on the device: on torch's current stream, scratch and results from torch's allocator."""

from __future__ import annotations

import sys
from typing import Any, List, Tuple

from ..formats.arrays import is_tensor
from .cuda_device import CudaDevice, open_device
from .cuda_product import CudaProduct, CudaSampler, Operands


def is_on_device(array: Any) -> bool:
    """Whether it is a tensor on a GPU, whose memory the kernels can use as it is."""
    return is_tensor(array) and bool(array.is_cuda)


def device_of(tensor: Any) -> CudaDevice:
    """The device that a CUDA tensor lies on; TargetUnavailableError."""
    return open_device("", tensor.device.index or 0)


def current_stream(tensor: Any) -> int:
    """Handle of the stream on which torch works at present, 0 for tensors that are not on a GPU."""
    return int(sys.modules["torch"].cuda.current_stream(tensor.device).cuda_stream) if tensor.is_cuda else 0


def aligned(matrix: Any) -> Tuple[Any, int]:
    """The matrix, or a copy of it, with rows that begin at multiples of 16 bytes, and its pitch in elements."""
    (rows, columns), size = matrix.shape, matrix.element_size()
    pitch, step = matrix.stride()
    if step == 1 and pitch >= columns and pitch * size % 16 == 0 and matrix.data_ptr() % 16 == 0:
        return matrix, pitch
    pitch = -(-columns * size // 16) * 16 // size
    wide = matrix.new_empty((rows, pitch))
    wide[:, :columns].copy_(matrix)
    return wide, pitch


def plain(values: Any) -> Any:
    """The values, or a copy of them, contiguous from a multiple of 16 bytes on: views of a flat tensor may not be."""
    found = values.detach().contiguous()
    return found if found.data_ptr() % 16 == 0 else found.clone()


def multiply(product: CudaProduct, x: Any, bias: Any = None, activation: str = "none") -> Any:
    """y (m, n) = activation(W x + bias) of x (k, n), any strides; bias (m) is used as float32.

    Where the product's kernel takes rows, x and y lie as their transposes: no copy is made of PyTorch's x.T.
    """
    takes_rows = product.plan.takes_rows
    held, pitch = aligned(x.T if takes_rows else x)
    shift = None if bias is None else bias.detach().float().contiguous()
    m, n = product.plan.shape[0], x.shape[1]
    y = x.new_empty((n, m) if takes_rows else (m, n))
    scratch: List[Any] = []

    def allocate(num_bytes: int) -> int:
        scratch.append(x.new_empty(num_bytes, dtype=sys.modules["torch"].uint8))
        return int(scratch[-1].data_ptr())

    pointer = 0 if shift is None else int(shift.data_ptr())
    operands = Operands(held.data_ptr(), pitch, y.data_ptr(), y.shape[1], n, pointer, activation, product.fault)
    product.enqueue(operands, current_stream(x), allocate)
    return y.T if takes_rows else y


def sampled(sampler: CudaSampler, dy: Any, x: Any, values: Any) -> None:
    """values (nnz_blocks, b, b), written, = dy (m, n) x (k, n)^T at the sampler's blocks; any strides of dy and x."""
    (left, left_pitch), (right, right_pitch) = aligned(dy), aligned(x)
    places = (left.data_ptr(), left_pitch), (right.data_ptr(), right_pitch)
    sampler.enqueue(*places, x.shape[1], values.data_ptr(), current_stream(x))
