"""cuSPARSE's products of a sparse and a dense matrix, called on the library that torch's packages bring.

torch has neither BSR products of 16-bit types nor Blocked-ELL. Prototypes and values are those of cusparse.h, CUDA 13
(package nvidia-cusparse); what each format takes: https://docs.nvidia.com/cuda/cusparse/ (cusparseSpMM).
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, List, Tuple

from popsparse_planner.errors import PopsparseError, TargetUnavailableError

from ..backends.cuda_kernels import find_library
from ..backends.cuda_tensors import current_stream
from ..formats.arrays import dtype_name

LIBRARIES = ("libcusparse.so.12", "libcusparse.so.13", "libcusparse.so")
_TYPES = {"float32": 0, "float16": 2, "bfloat16": 14}  # cudaDataType_t
_FLOAT32 = _TYPES["float32"]
_INDEX_32, _FROM_ZERO = 2, 0
_AS_IT_IS, _TRANSPOSED = 0, 1
_BY_COLUMNS, _BY_ROWS = 1, 2
_CSR_ALG2, _BLOCKED_ELL_ALG1, _BSR_ALG1 = 6, 13, 14
_NO_BLOCK = -1  # of Blocked-ELL; it is multiplied as block 0, so its values are zeros

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_PRODUCT = (_P, _I, _I, _P, _P, _P, _P, _P, _I, _I, _P)
_PROTOTYPES: Dict[str, Tuple[Any, ...]] = {
    "cusparseCreate": (_P,),
    "cusparseDestroy": (_P,),
    "cusparseSetStream": (_P, _P),
    "cusparseCreateCsr": (_P, _L, _L, _L, _P, _P, _P, _I, _I, _I, _I),
    "cusparseCreateBsr": (_P, _L, _L, _L, _L, _L, _P, _P, _P, _I, _I, _I, _I, _I),
    "cusparseCreateBlockedEll": (_P, _L, _L, _L, _L, _P, _P, _I, _I, _I),
    "cusparseDestroySpMat": (_P,),
    "cusparseCreateDnMat": (_P, _L, _L, _L, _P, _I, _I),
    "cusparseDestroyDnMat": (_P,),
    "cusparseSpMM_bufferSize": _PRODUCT,
    "cusparseSpMM_preprocess": _PRODUCT,
    "cusparseSpMM": _PRODUCT,
}


class CusparseError(PopsparseError, RuntimeError):
    """cuSPARSE refused a call: the function and the name of the status."""


class Cusparse:
    """The library with a handle of its own. path: of the shared object; TargetUnavailableError if it cannot be used."""

    def __init__(self, path: str = "") -> None:
        self._handle = _P()
        try:
            self._library = ctypes.CDLL(path or find_library(LIBRARIES) or LIBRARIES[0])
            for name, types in _PROTOTYPES.items():
                getattr(self._library, name).argtypes = types
            self._library.cusparseGetErrorName.restype = ctypes.c_char_p
        except (OSError, AttributeError) as error:
            raise TargetUnavailableError(f"cuSPARSE cannot be used ({error}): pip install nvidia-cusparse") from error
        self.call("cusparseCreate", ctypes.byref(self._handle))

    def call(self, name: str, *arguments: Any) -> None:
        """Calls the function; CusparseError unless it succeeds."""
        status = getattr(self._library, name)(*arguments)
        if status:
            raise CusparseError(f"{name}: {self._library.cusparseGetErrorName(status).decode()}")

    def descriptor(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """What a function that creates a descriptor makes."""
        made = _P()
        self.call(name, ctypes.byref(made), *arguments)
        return made

    def product(
        self, name: str, descriptors: Tuple[Any, Any, Any], transposed: bool, algorithm: int, last: Any
    ) -> None:
        """One of the functions around C = A op(B), of descriptors of A, B and C; sums in float32."""
        a, b, c = descriptors
        one, zero = ctypes.c_float(1.0), ctypes.c_float(0.0)
        operation = _TRANSPOSED if transposed else _AS_IT_IS
        factors = (ctypes.byref(one), a, b, ctypes.byref(zero), c)
        self.call(name, self._handle, _AS_IT_IS, operation, *factors, _FLOAT32, algorithm, last)

    def set_stream(self, stream: int) -> None:
        """What is called next goes to this stream."""
        self.call("cusparseSetStream", self._handle, stream)

    def __del__(self) -> None:
        if self._handle:
            self._library.cusparseDestroy(self._handle)


class SparseMatrix:
    """A descriptor of W (m, k) and the tensors that it points to; algorithm: the one for its format."""

    def __init__(self, cusparse: Cusparse, m: int, algorithm: int, tensors: List[Any], name: str, *arguments: Any):
        self.cusparse, self.m, self.algorithm, self.tensors = cusparse, m, algorithm, tensors
        self.descriptor = _P()
        self.descriptor = cusparse.descriptor(name, *arguments)

    def multiply(self, x: Any, *, by_rows: bool, workspace: Any = None) -> Any:
        """W x of a contiguous x (k, n), on torch's current stream. by_rows: x and y are given as they lie, else as
        matrices stored by columns, x transposed. workspace: of `prepare` for x of this shape.
        """
        y = x.new_empty((self.m, x.shape[1]) if by_rows else (x.shape[1], self.m))
        self._around("cusparseSpMM", x, y, by_rows, None if workspace is None else workspace.data_ptr())
        return y if by_rows else y.T

    def prepare(self, x: Any, *, by_rows: bool) -> Any:
        """The workspace for products with x (k, n), and what the library does once for them."""
        y = x.new_empty((self.m, x.shape[1]) if by_rows else (x.shape[1], self.m))
        num_bytes = ctypes.c_size_t()
        self._around("cusparseSpMM_bufferSize", x, y, by_rows, ctypes.byref(num_bytes))
        workspace = x.view(-1).new_empty(max(1, -(-num_bytes.value // x.element_size())))
        self._around("cusparseSpMM_preprocess", x, y, by_rows, workspace.data_ptr())
        return workspace

    def _around(self, name: str, x: Any, y: Any, by_rows: bool, last: Any) -> None:
        cusparse, kind = self.cusparse, _TYPES[dtype_name(x)]
        (k, n), order = x.shape, _BY_ROWS if by_rows else _BY_COLUMNS
        cusparse.set_stream(current_stream(x))
        made: List[ctypes.c_void_p] = []
        try:
            shape = (k, n) if by_rows else (n, k)
            made.append(cusparse.descriptor("cusparseCreateDnMat", *shape, n, x.data_ptr(), kind, order))
            pitch = n if by_rows else self.m
            made.append(cusparse.descriptor("cusparseCreateDnMat", self.m, n, pitch, y.data_ptr(), kind, order))
            cusparse.product(name, (self.descriptor, made[0], made[1]), not by_rows, self.algorithm, last)
        finally:
            for descriptor in made:
                cusparse.call("cusparseDestroyDnMat", descriptor)

    def __del__(self) -> None:
        if self.descriptor:
            self.cusparse.call("cusparseDestroySpMat", self.descriptor)


def csr(cusparse: Cusparse, w: Any, block_size: int) -> SparseMatrix:
    """W's nonzeros as single elements."""
    sparse = w.to_sparse_csr()
    tensors = [sparse.crow_indices().int(), sparse.col_indices().int(), sparse.values().contiguous()]
    kinds = (_INDEX_32, _INDEX_32, _FROM_ZERO, _TYPES[dtype_name(w)])
    sizes = (*w.shape, len(tensors[2]))
    return SparseMatrix(
        cusparse, w.shape[0], _CSR_ALG2, tensors, "cusparseCreateCsr", *sizes, *_places(tensors), *kinds
    )


def bsr(cusparse: Cusparse, w: Any, block_size: int) -> SparseMatrix:
    """W's blocks, each by rows."""
    crow, cols, values = _blocks(w, block_size)
    tensors = [crow, cols, values]
    kinds = (_INDEX_32, _INDEX_32, _FROM_ZERO, _TYPES[dtype_name(w)], _BY_ROWS)
    sizes = (len(crow) - 1, w.shape[1] // block_size, len(cols), block_size, block_size)
    return SparseMatrix(
        cusparse, w.shape[0], _BSR_ALG1, tensors, "cusparseCreateBsr", *sizes, *_places(tensors), *kinds
    )


def blocked_ell(cusparse: Cusparse, w: Any, block_size: int) -> SparseMatrix:
    """W's blocks, as many in each block row as the fullest has: values (m, slots * b) by rows, columns (m/b, slots)."""
    crow, cols, values = _blocks(w, block_size)
    counts = crow.diff()
    rows, slots = len(counts), max(1, int(counts.max()))
    block_row = counts.new_tensor(range(rows)).repeat_interleave(counts)
    slot = cols.new_tensor(range(len(cols))) - crow[:-1].repeat_interleave(counts)
    columns = cols.new_full((rows, slots), _NO_BLOCK)
    columns[block_row.long(), slot.long()] = cols
    padded = values.new_zeros((rows, slots, block_size, block_size))
    padded[block_row.long(), slot.long()] = values
    tensors = [columns, padded.transpose(1, 2).contiguous()]
    kinds = (_INDEX_32, _FROM_ZERO, _TYPES[dtype_name(w)])
    sizes = (*w.shape, block_size, slots * block_size)
    name = "cusparseCreateBlockedEll"
    return SparseMatrix(cusparse, w.shape[0], _BLOCKED_ELL_ALG1, tensors, name, *sizes, *_places(tensors), *kinds)


FORMATS: Dict[str, Callable[[Cusparse, Any, int], SparseMatrix]] = {
    "csr": csr,
    "bsr": bsr,
    "blocked_ell": blocked_ell,
}


def product(cusparse: Cusparse, layout: str, w: Any, block_size: int, x: Any) -> Callable[[Any], Any]:
    """W x for x of that shape in one of FORMATS, X by rows if the library takes it so, else by columns; CusparseError
    of the second try where it takes neither.
    """
    matrix = FORMATS[layout](cusparse, w, block_size)
    try:
        by_rows, workspace = True, matrix.prepare(x, by_rows=True)
        matrix.multiply(x, by_rows=True, workspace=workspace)
    except CusparseError:
        by_rows, workspace = False, matrix.prepare(x, by_rows=False)
    return lambda operand: matrix.multiply(operand, by_rows=by_rows, workspace=workspace)


def _blocks(w: Any, block_size: int) -> Tuple[Any, Any, Any]:
    sparse = w.to_sparse_bsr((block_size, block_size))
    return sparse.crow_indices().int(), sparse.col_indices().int(), sparse.values().contiguous()


def _places(tensors: List[Any]) -> Tuple[int, ...]:
    return tuple(tensor.data_ptr() for tensor in tensors)
