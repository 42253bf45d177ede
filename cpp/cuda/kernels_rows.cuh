// The kernels of rows.cuh that are shipped for blocks of one side: a source for each, as they take long to compile.
#ifndef POPSPARSE_PY_CUDA_KERNELS_ROWS_CUH
#define POPSPARSE_PY_CUDA_KERNELS_ROWS_CUH

#include "kernel.cuh"
#include "rows.cuh"

// Both element types, W and its transpose.
#define ROWS(name, Slab, side)                                                                                         \
  ROWS_OF(name##_bfloat16, Bfloat16, Slab, side, false)                                                                \
  ROWS_OF(name##_float16, Float16, Slab, side, false)                                                                  \
  ROWS_OF(name##_transposed_bfloat16, Bfloat16, Slab, side, true)                                                      \
  ROWS_OF(name##_transposed_float16, Float16, Slab, side, true)
#define ROWS_OF(name, Element, Slab, side, transposed)                                                                 \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyRows<Element, Here, Slab, side, transposed>)

#endif
