// The kernels of vectors.cuh that are shipped.
#include "kernel.cuh"
#include "vectors_by_rows.cuh"

namespace popsparse_py::cuda {

POPSPARSE_KERNEL(vectors_bfloat16, kRingThreads, VectorsArguments, multiplyVectors<Bfloat16, Here>)
POPSPARSE_KERNEL(vectors_float16, kRingThreads, VectorsArguments, multiplyVectors<Float16, Here>)
POPSPARSE_KERNEL(vectors_by_rows_bfloat16, kRingThreads, VectorsArguments, multiplyVectors<ByRows<Bfloat16>, Here>)
POPSPARSE_KERNEL(vectors_by_rows_float16, kRingThreads, VectorsArguments, multiplyVectors<ByRows<Float16>, Here>)

} // namespace popsparse_py::cuda
