"""Block-sparse matrices, and conversions from and to what other libraries and files hold."""

from .files import load_dense, tensor_names
from .matrix import BlockSparseMatrix, magnitude_prune, set_product

__all__ = ["BlockSparseMatrix", "load_dense", "magnitude_prune", "set_product", "tensor_names"]
