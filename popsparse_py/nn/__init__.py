"""Linear layers with a block-sparse weight: `StaticSparseLinear`, and `DynamicSparseLinear`, whose pattern changes."""

from .. import torch_ops  # noqa: F401  first, as it says which torch is needed
from .dynamic import DynamicSparseLinear
from .layer import BlockSparseLinear
from .static import StaticSparseLinear

__all__ = ["BlockSparseLinear", "DynamicSparseLinear", "StaticSparseLinear"]
