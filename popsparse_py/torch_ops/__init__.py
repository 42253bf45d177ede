"""Block-sparse products as torch operators: plain tensors in and out, so that autograd, compile and export see them.

W (m, k) comes as values (slots, b, b) with int32 block coordinates row, col (slots), sorted by row, then column; with
nnz (int32, no dimensions) only the first nnz slots count, None means all. Rows of x are samples, as in torch.
"""

from .version import require_torch

require_torch()

from .functional import linear  # noqa: E402

__all__ = ["linear"]
