"""Products of every CUDA kernel on fresh operands against float64: the stage that comes before any timing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from popsparse_planner.cuda_plan import kernels_for, plan_cuda
from popsparse_planner.pattern import BlockPattern

from ..backends.cuda import CudaBackend
from ..formats import BlockSparseMatrix

# Half the spacing at 1 of the results, and of the sums.
_UNITS = {"float16": 2.0**-11, "float32": 2.0**-24}
_SHAPE = (400, 1100)  # ragged for every block size, longer than the ring of slabs


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
    found = []
    for b in sizes:
        for dtype in _UNITS:
            for n in columns:
                found += list(_check(backend, b, dtype, n, seed))
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
    values = backend.sampled(pattern, dy, x)
    whole = BlockSparseMatrix(pattern, values).to_dense()
    mask = BlockSparseMatrix(pattern, np.ones_like(values)).to_dense() != 0
    yield Checked("sampled", b, dtype, n, _share(whole, dy.astype(np.float64), x.T.astype(np.float64), dtype, mask))


def _share(found: np.ndarray, w: np.ndarray, x: np.ndarray, dtype: str, mask: Any = True) -> float:
    """The largest error of w x where mask is true, in bounds; infinity where an element is no number."""
    wanted = np.where(mask, w @ x, 0.0)
    sums = (w.shape[1] + 8) * _UNITS["float32"] * (np.abs(w) @ np.abs(x))
    bound = 1.01 * (sums + _UNITS[dtype] * np.abs(wanted)) + 2.0**-24
    error = np.abs(found.astype(np.float64) - wanted) / bound
    return float(np.max(np.where(np.isfinite(error), error, np.inf), initial=0.0))
