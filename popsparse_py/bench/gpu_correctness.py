"""Products of every CUDA kernel on fresh operands against float64: the stage that comes before any timing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from popsparse_planner.cuda_dynamic_plan import plan_cuda_dynamic
from popsparse_planner.cuda_plan import kernels_for, plan_cuda
from popsparse_planner.errors import TargetUnavailableError
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda import CudaBackend
from ..backends.cuda_device import CudaDevice, DeviceArray
from ..backends.cuda_dynamic import CudaDynamicProduct
from ..backends.cuda_operands import Operands
from ..formats import BlockSparseMatrix

# Half the spacing at 1 of the results, and of the sums.
_UNITS = {"float16": 2.0**-11, "float32": 2.0**-24}
_TF32_UNIT = 2.0**-11  # of an operand that is rounded to TF32
_SHAPE = (400, 1100)  # ragged for every block size, longer than the ring of slabs
_GUARD_BYTES = 4096  # behind everything that is allocated
_POISON = 0xFF  # bytes of a NaN of every type


class PoisonedDevice(CudaDevice):
    """A device whose fresh memory is NaN, with a guard behind each piece of it that nobody may write."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._guarded: List[DeviceArray] = []

    def empty(self, num_bytes: int) -> DeviceArray:
        """Memory full of NaN."""
        memory = super().empty(num_bytes + _GUARD_BYTES)
        self.native.upload(memory.pointer, np.full(num_bytes + _GUARD_BYTES, _POISON, np.uint8), 0)
        memory.num_bytes = num_bytes
        self._guarded.append(memory)
        return memory

    def broken_guards(self) -> int:
        """How many pieces of memory were written behind their end since the last call; lets go of all of them."""
        broken = 0
        for memory in self._guarded:
            whole = np.empty(memory.num_bytes + _GUARD_BYTES, np.uint8)
            self.get(memory, whole)
            broken += bool((whole[memory.num_bytes :] != _POISON).any())
        self._guarded = []
        return broken


def poisoned_backend() -> CudaBackend:
    """The first GPU, its fresh memory poisoned; TargetUnavailableError."""
    backend = CudaBackend()
    reason = backend.why_unavailable()
    if reason is not None:
        raise TargetUnavailableError(f"target 'cuda' cannot be used: {reason}")
    return CudaBackend(device=PoisonedDevice())


@dataclass(frozen=True)
class Checked:
    """One product; share: the largest error, of the bound that follows from the roundings made; at most 1 is right."""

    product: str
    block_size: int
    dtype: str
    n: int
    share: float

    @property
    def is_right(self) -> bool:
        """Whether every element is within the bound; a NaN is not."""
        return self.share <= 1.0

    def to_dict(self) -> Dict[str, Any]:
        """JSON-safe fields."""
        share = self.share if np.isfinite(self.share) else -1.0
        return {**asdict(self), "share": share, "is_right": self.is_right}


def check_kernels(backend: CudaBackend, sizes: Tuple[int, ...], columns: Tuple[int, ...], seed: int) -> List[Checked]:
    """Every kernel, transposed too, and the sampled products, in blocks of these sizes with so many columns."""
    found, device = [], backend.device
    for b in sizes:
        for dtype in _UNITS:
            for n in columns:
                found += list(_check(backend, b, dtype, n, seed))
                if isinstance(device, PoisonedDevice):
                    found.append(Checked("writes behind the end", b, dtype, n, 2.0 * device.broken_guards()))
    return found


def _check(backend: CudaBackend, b: int, dtype: str, n: int, seed: int) -> Iterator[Checked]:
    rng = np.random.default_rng(seed)
    pattern = BlockPattern.random(_SHAPE, density=0.2, block_size=b, seed=seed)
    a = BlockSparseMatrix(pattern, rng.standard_normal((pattern.nnz_blocks, b, b)).astype(dtype))
    x, dy = (rng.standard_normal((rows, n)).astype(dtype) for rows in _SHAPE[::-1])
    dense = a.to_dense().astype(np.float64)
    for transposed in (False, True):
        w, operand = (dense.T, dy) if transposed else (dense, x)
        for name in kernels_for(b, n, dtype, transposed=transposed, machine=backend.device.machine):
            machine = backend.device.machine
            plan = plan_cuda(pattern, n, dtype=dtype, transposed=transposed, machine=machine, kernel=name)
            kernel = backend.compile(plan, transposed=transposed)
            kernel.load(a)
            share = _share(kernel.multiply(operand), w, operand.astype(np.float64), dtype)
            yield Checked(f"{name}{' transposed' if transposed else ''}", b, dtype, n, share)
        if dtype == "float32":
            yield _check_tf32(backend, a, operand, w, transposed)
        if not transposed:
            yield from _check_encoded(backend.device, a, x, dense, seed)
    values = backend.sampled(pattern, dy, x)
    whole, mask = _placed(pattern, values), _placed(pattern, np.ones_like(values)) != 0
    yield Checked("sampled", b, dtype, n, _share(whole, dy.astype(np.float64), x.T.astype(np.float64), dtype, mask))


def _check_tf32(backend: CudaBackend, a: BlockSparseMatrix, x: np.ndarray, w: np.ndarray, transposed: bool) -> Checked:
    """W x, or W^T x, with both operands rounded to TF32."""
    b, n, machine = a.block_size, x.shape[1], backend.device.machine
    name = kernels_for(b, n, "tf32", transposed=transposed, machine=machine)[0]
    plan = plan_cuda(a.pattern, n, dtype="float32", transposed=transposed, machine=machine, kernel=name, tf32=True)
    kernel = backend.compile(plan, transposed=transposed)
    kernel.load(a)
    share = _share(kernel.multiply(x), w, x.astype(np.float64), "float32", operand_unit=_TF32_UNIT)
    return Checked(f"{name}{' transposed' if transposed else ''}", b, "tf32", n, share)


class _Memory:
    """Memory of a device that lives as long as this."""

    def __init__(self, device: CudaDevice) -> None:
        self.device, self._arrays = device, []  # type: CudaDevice, List[DeviceArray]

    def __call__(self, num_bytes: int) -> int:
        return self.kept(self.device.empty(num_bytes))

    def kept(self, array: DeviceArray) -> int:
        """The address of an array, which lives on."""
        self._arrays.append(array)
        return array.pointer


def _check_encoded(
    device: CudaDevice, a: BlockSparseMatrix, x: np.ndarray, w: np.ndarray, seed: int
) -> Iterator[Checked]:
    """Every kernel with lists that are made on the device, of blocks in an order of chance and two empty slots."""
    pattern, dtype, n = a.pattern, a.dtype, x.shape[1]
    b, order = pattern.block_size, np.random.default_rng(seed).permutation(pattern.nnz_blocks)
    unused = np.full(2, -7, np.int32)
    places = [np.append(i[order].astype(np.int32), unused) for i in (pattern.rows, pattern.cols)]
    stored = np.append(np.asarray(a.values)[order], np.full((2, b, b), np.nan, dtype), axis=0)
    for name in kernels_for(b, n, dtype, machine=device.machine):
        if name == "decode_vectors":  # its lists are made on the host only
            continue
        plan = plan_cuda_dynamic(pattern.shape, b, len(stored), n, dtype=dtype, machine=device.machine, kernel=name)
        memory = _Memory(device)
        product = CudaDynamicProduct(device, plan, memory)
        row, col, nnz = (memory.kept(device.put(i)) for i in (*places, np.array([len(order)], np.int32)))
        product.encode((row, col, nnz), 0)
        product.set_values(memory.kept(device.put(stored)))
        found, pitch = np.empty((w.shape[0], n), dtype), -(-n * x.itemsize // 16) * 16 // x.itemsize
        y = device.empty(found.nbytes)
        operands = Operands(memory.kept(device.put_rows(x, pitch)), pitch, y.pointer, n, n, fault=product.fault)
        product.enqueue(operands, 0, memory)
        device.get(y, found)
        yield Checked(f"{name} encoded", b, dtype, n, _share(found, w, x.astype(np.float64), dtype))


def _placed(pattern: BlockPattern, values: np.ndarray) -> np.ndarray:
    """values (nnz_blocks, b, b), whatever they hold, at their places in a matrix of zeros."""
    b, (rows, columns), (m, k) = pattern.block_size, pattern.block_grid, pattern.shape
    grid = np.zeros((rows, columns, b, b), values.dtype)
    grid[pattern.rows, pattern.cols] = values
    return grid.transpose(0, 2, 1, 3).reshape(rows * b, columns * b)[:m, :k]


def _share(
    found: np.ndarray, w: np.ndarray, x: np.ndarray, dtype: str, mask: Any = True, operand_unit: float = 0.0
) -> float:
    """The largest error of w x where mask is true, in bounds; infinity where an element is no number.

    operand_unit: half the spacing at 1 of operands that are rounded before they are multiplied.
    """
    wanted = np.where(mask, w @ x, 0.0)
    steps = (w.shape[1] + 8) * _UNITS["float32"] + 2 * operand_unit + operand_unit**2
    sums = steps * (np.abs(w) @ np.abs(x))
    bound = 1.01 * (sums + _UNITS[dtype] * np.abs(wanted)) + 2.0**-24
    error = np.abs(found.astype(np.float64) - wanted) / bound
    return float(np.max(np.where(np.isfinite(error), error, np.inf), initial=0.0))
