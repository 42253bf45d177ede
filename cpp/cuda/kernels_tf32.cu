// The kernels of rows_tf32.cuh and vectors_tf32.cuh that are shipped.
#include "gather.cuh"
#include "kernel.cuh"
#include "rows_tf32.cuh"
#include "vectors_tf32.cuh"

namespace popsparse_py::cuda {

#define ROWS_TF32(name, side, transposed)                                                                              \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyRows<Tf32, Here, Tf32Slab, side, transposed>)

ROWS_TF32(rows16_tf32, 16, false)
ROWS_TF32(rows16_transposed_tf32, 16, true)
ROWS_TF32(rows32_tf32, 32, false)
ROWS_TF32(rows32_transposed_tf32, 32, true)
POPSPARSE_KERNEL(vectors_tf32, kRingThreads, VectorsArguments, multiplyVectors<Tf32, Here>)
POPSPARSE_KERNEL(gather_tf32, kGatherThreads, GatherArguments, gatherValues<GatherTf32>)

} // namespace popsparse_py::cuda
