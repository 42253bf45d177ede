"""Starts the CUDA kernels for few columns, and the one that adds the partial results of their ranges."""

from __future__ import annotations

from typing import Callable, List, Protocol, Tuple

import numpy as np

from popsparse_planner.cuda_decode import (
    DECODE_THREADS,
    REDUCE_THREADS,
    decode_blocks_cut,
    decode_columns,
    decode_stream,
)
from popsparse_planner.cuda_decode_vectors import (
    THREADS,
    decode_steps,
    decode_vector_stream,
    decode_vectors_columns,
)
from popsparse_planner.cuda_plan import CudaPlan
from popsparse_planner.errors import PlanError
from popsparse_planner.pattern import BlockPattern

from .cuda_device import CudaDevice
from .cuda_operands import Operands, Scratch

Enqueue = Callable[[Operands, int, Scratch], None]


class Loaded(Protocol):
    """What these kernels need of the product that they are for (cuda_product.CudaProduct)."""

    device: CudaDevice
    plan: CudaPlan
    values: int

    def put(self, arrays: Tuple[np.ndarray, ...]) -> List[int]:
        """Addresses of work lists, brought to the device."""

    def pack(self, sources: np.ndarray) -> None:
        """Keep a copy of the values in the kernel's order."""


def start_decode(product: Loaded, pattern: BlockPattern) -> Enqueue:
    """Blocks of a multiple of 16, values as they lie (cpp/cuda/decode.cuh)."""
    device, plan = product.device, product.plan
    multiprocessors, columns = device.facts["multiprocessors"], decode_columns(plan.n)
    cut = decode_blocks_cut(pattern, plan.n, device.machine, multiprocessors)
    lists = decode_stream(pattern, plan.n, device.machine.shared_bytes, multiprocessors, cut)
    grid = (cut.blocks, cut.ranges, DECODE_THREADS, lists.shared_bytes(columns, cut.blocks))
    lines = lists.lines(cut.blocks)
    after = [lists.pitch, lists.block_rows, lists.ranges, lists.range_rows]
    after += [*(product.put((lines,)) if cut.clustered else [0]), lines.shape[1]]
    cluster = cut.ranges if cut.clustered else 1
    return start_ranges(product, (f"decode{columns}", columns), grid, product.put(lists.arrays), after, cluster)


def start_decode_vectors(product: Loaded, pattern: BlockPattern) -> Enqueue:
    """Blocks of any size, W or its transpose, values packed (cpp/cuda/decode_vectors.cuh)."""
    device, plan = product.device, product.plan
    multiprocessors, columns = device.facts["multiprocessors"], decode_vectors_columns(plan.n)
    made = decode_steps(pattern, plan.n, device.machine, multiprocessors, transposed=plan.transposed)
    lists, cut = decode_vector_stream(made, transposed=plan.transposed), made.cut
    product.pack(lists.sources)
    grid = (cut.blocks, cut.ranges, THREADS, made.shared_bytes(columns))
    name = f"decode_vectors{columns}_by{made.pieces.side}"
    after = [cut.range_rows, *(product.put((lists.lines,)) if cut.clustered else [0]), made.lines_of_part]
    cluster = cut.ranges if cut.clustered else 1
    return start_ranges(product, (name, columns), grid, product.put(lists.arrays), after, cluster)


def start_ranges(
    product: Loaded,
    kernel: Tuple[str, int],  # and its columns
    grid: Tuple[int, int, int, int],
    pointers: List[int],
    after: List[int],  # arguments behind the partial results
    cluster: int = 1,
) -> Enqueue:
    """Starts the kernel, and where k is cut into ranges that no cluster adds the sum of what they give."""
    device, dtype, (m, _) = product.device, product.plan.dtype, product.plan.shape
    (name, columns), ranges = kernel, grid[1]

    def enqueue(operands: Operands, stream: int, scratch: Scratch) -> None:
        if operands.n > columns:
            raise PlanError(
                f"the plan is for at most {columns} columns, x has {operands.n}: plan again for n = {operands.n}"
            )
        partials = scratch(4 * ranges * m * operands.n) if ranges > cluster else 0
        head = operands.product(product.values, product.plan.shape)
        rest = [*pointers, partials, *after]
        device.launch(f"{name}_{dtype}", grid, head, rest, boxes=(0, 0, 0, cluster, False), stream=stream)
        if partials:
            blocks = min(-(-m * operands.n // REDUCE_THREADS), 65535)
            device.launch(f"reduce_{dtype}", (blocks, 1, REDUCE_THREADS, 0), head, [partials, ranges], stream=stream)

    return enqueue
