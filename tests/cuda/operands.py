"""Operands of the CUDA tests, and the bound on errors that follows from the roundings made."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Tuple

import numpy as np

from popsparse_planner import BlockPattern
from popsparse_py import BlockSparseMatrix

UNIT = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}  # half the spacing at 1
TF32_UNIT = 2.0**-11  # of an operand: 10 bits behind the point
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
    """Fails unless y is W x + bias: sums in float32 in any order, one rounding to dtype; "tf32": of float32, with both
    operands rounded to TF32 first.
    """
    found, right = exact(y), exact(x)
    wanted, absolute = w @ right + bias, np.abs(w) @ np.abs(right)
    steps = (w.shape[1] + 8) * UNIT["float32"] * (absolute + np.abs(bias))
    operands = (2 * TF32_UNIT + TF32_UNIT**2) * absolute if dtype == "tf32" else 0.0
    kept = "float32" if dtype == "tf32" else dtype
    bound = 1.01 * (steps + operands + UNIT[kept] * np.abs(wanted)) + SMALLEST[kept]
    share = np.where(np.isfinite(found), np.abs(found - wanted) / bound, np.inf)
    worst = np.unravel_index(int(np.argmax(share)), share.shape)
    assert share[worst] <= 1, f"y{worst} = {found[worst]}, expected {wanted[worst]}: {share[worst]:.3g} times the bound"


@dataclass
class DynamicOperands:
    """Tensors of a product whose pattern may change: what lies in slots behind nnz is no block and no number."""

    shape: Tuple[int, int]
    values: Any
    row: Any
    col: Any
    nnz: Any
    x: Any  # (n, k)
    dy: Any  # (n, m)

    @property
    def places(self) -> Tuple[Any, Any, Any]:
        """As the operators take them."""
        return self.row, self.col, self.nnz

    def dense(self) -> np.ndarray:
        """W as the tensors are now."""
        (m, k), b, used = self.shape, self.values.shape[1], int(self.nnz)
        grid = np.zeros((-(-m // b), -(-k // b), b, b))
        grid[self.row[:used].numpy(), self.col[:used].numpy()] = self.values[:used].double().numpy()
        return grid.transpose(0, 2, 1, 3).reshape(grid.shape[0] * b, grid.shape[1] * b)[:m, :k]

    def change(self, density: float, seed: int) -> None:
        """Another pattern and other values, in place, blocks in random order."""
        import torch

        pattern = BlockPattern.random(self.shape, density=density, block_size=self.values.shape[1], seed=seed)
        used = pattern.nnz_blocks
        order = np.random.default_rng(seed).permutation(used)
        self.nnz.fill_(used)
        self.values.normal_()[used:] = np.nan
        for tensor, places in ((self.row, pattern.rows), (self.col, pattern.cols)):
            tensor.fill_(1 << 30)[:used] = torch.from_numpy(places[order].astype(np.int32))


def dynamic_operands(
    b: int, dtype: str, n: int, spare: int, shape: Tuple[int, int] = (192, 288), density: float = 0.06
) -> DynamicOperands:
    """Random blocks with `spare` slots more."""
    import torch

    torch.manual_seed(b)
    kind = getattr(torch, dtype)
    pattern = BlockPattern.random(shape, density=density, block_size=b, seed=1)
    slots = pattern.nnz_blocks + spare
    values = torch.randn(slots, b, b).to(kind)
    values[pattern.nnz_blocks :] = np.nan
    row, col = (torch.full((slots,), -1, dtype=torch.int32) for _ in range(2))
    for tensor, places in ((row, pattern.rows), (col, pattern.cols)):
        tensor[: pattern.nnz_blocks] = torch.from_numpy(places.copy())
    nnz = torch.tensor(pattern.nnz_blocks, dtype=torch.int32)
    x, dy = (torch.randn(n, features).to(kind) for features in shape[::-1])
    return DynamicOperands(shape, values, row, col, nnz, x, dy)
