"""The reference of layers and operators: dense weights that are zero outside the pattern, in float64."""

from typing import Any, Tuple

import torch

from popsparse_planner import BlockPattern
from popsparse_py.formats.blocks import cut_out, to_dense

EPS = {torch.float64: 1e-13, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def parts(pattern: BlockPattern, dtype: Any, slots: int = 0) -> Tuple[Any, Any, Any, Any]:
    """Random values, row, col and nnz for a pattern; with more slots than blocks, nonsense behind the blocks."""
    blocks, b = pattern.nnz_blocks, pattern.block_size
    values = torch.randn(max(slots, blocks), b, b, dtype=torch.float64).to(dtype)
    row, col = (torch.full((len(values),), 7, dtype=torch.int32) for _ in range(2))
    row[:blocks], col[:blocks] = torch.tensor(pattern.rows), torch.tensor(pattern.cols)
    return values, row, col, torch.tensor(blocks, dtype=torch.int32)


def dense(pattern: BlockPattern, values: Any) -> Any:
    """W (m, k) in float64; a function of the values that autograd sees."""
    return to_dense(pattern, values[: pattern.nnz_blocks].double())


def blocks_of(pattern: BlockPattern, gradient: Any) -> Any:
    """The blocks (nnz_blocks, b, b) of a dense gradient (m, k), 0 in the padding."""
    return cut_out(gradient, pattern)


def assert_near(found: Any, exact: Any, scale: float = 1.0) -> None:
    """found equals exact up to the rounding of found's dtype, relative to the largest entry of exact."""
    assert found.shape == exact.shape
    found, exact = found.detach(), exact.detach()
    bound = EPS[found.dtype] * scale * max(1e-30, float(exact.abs().max())) if exact.numel() else 0
    worst = float((found.double() - exact.double()).abs().max()) if exact.numel() else 0
    assert worst <= bound, f"off by {worst:.3g}, allowed {bound:.3g} ({found.dtype})"
