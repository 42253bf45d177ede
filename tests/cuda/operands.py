"""Operands of the CUDA tests, and the bound on errors that follows from the roundings made."""

from typing import Any, NamedTuple, Tuple

import numpy as np

from popsparse_planner import BlockPattern
from popsparse_py import BlockSparseMatrix

UNIT = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}  # half the spacing at 1
SMALLEST = {"bfloat16": 2.0**-133, "float16": 2.0**-24, "float32": 2.0**-149}


class Case(NamedTuple):
    """W and its dense float64 copy; x (k, n); dy (m, n); bias (m)."""

    a: BlockSparseMatrix
    dense: np.ndarray
    x: Any
    dy: Any
    bias: np.ndarray


def as_elements(values: np.ndarray, dtype: str) -> Any:
    """values rounded to dtype: an array, or a torch tensor of bfloat16, which NumPy lacks."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    import torch

    return torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16)


def exact(values: Any) -> np.ndarray:
    """values, an array or a tensor, in float64."""
    return values.astype(np.float64) if isinstance(values, np.ndarray) else values.double().numpy()


def case(
    shape: Tuple[int, int], n: int, b: int, dtype: str, density: float = 0.3, kind: str = "uniform", seed: int = 0
) -> Case:
    """A random product."""
    rng = np.random.default_rng(seed)
    (m, k), draw = shape, rng.standard_normal
    pattern = BlockPattern.random(shape, density=density, block_size=b, kind=kind, seed=seed)
    values = as_elements(draw((pattern.nnz_blocks, b, b)), dtype)
    grid = pattern.block_grid
    dense = np.zeros((grid[0], grid[1], b, b))
    dense[pattern.rows, pattern.cols] = exact(values)
    whole = dense.transpose(0, 2, 1, 3).reshape(grid[0] * b, grid[1] * b)[:m, :k]
    x, dy = as_elements(draw((k, n)), dtype), as_elements(draw((m, n)), dtype)
    return Case(BlockSparseMatrix(pattern, values), whole, x, dy, draw(m).astype(np.float32))


def assert_product(y: Any, w: np.ndarray, x: Any, dtype: str, bias: Any = 0.0) -> None:
    """Fails unless y is W x + bias: sums in float32 in any order, one rounding to dtype."""
    found, right = exact(y), exact(x)
    wanted = w @ right + bias
    steps = (w.shape[1] + 8) * UNIT["float32"] * (np.abs(w) @ np.abs(right) + np.abs(bias))
    bound = 1.01 * (steps + UNIT[dtype] * np.abs(wanted)) + SMALLEST[dtype]
    share = np.where(np.isfinite(found), np.abs(found - wanted) / bound, np.inf)
    worst = np.unravel_index(int(np.argmax(share)), share.shape)
    assert share[worst] <= 1, f"y{worst} = {found[worst]}, expected {wanted[worst]}: {share[worst]:.3g} times the bound"
