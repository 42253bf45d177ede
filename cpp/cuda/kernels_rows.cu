// The kernels of rows.cuh that are shipped.
#include "kernel.cuh"
#include "rows.cuh"

namespace popsparse_py::cuda {

#define ROWS(name, Element, side, transposed)                                                                          \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyRows<Element, Here, side, transposed>)

ROWS(rows16_bfloat16, Bfloat16, 16, false)
ROWS(rows16_float16, Float16, 16, false)
ROWS(rows16_transposed_bfloat16, Bfloat16, 16, true)
ROWS(rows16_transposed_float16, Float16, 16, true)
ROWS(rows32_bfloat16, Bfloat16, 32, false)
ROWS(rows32_float16, Float16, 32, false)
ROWS(rows32_transposed_bfloat16, Bfloat16, 32, true)
ROWS(rows32_transposed_float16, Float16, 32, true)

} // namespace popsparse_py::cuda
