// The kernels of rows.cuh that are shipped.
#include "kernel.cuh"
#include "rows.cuh"

namespace popsparse_py::cuda {

#define ROWS(name, Element, Slab, side, transposed)                                                                    \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyRows<Element, Here, Slab, side, transposed>)

ROWS(rows16_bfloat16, Bfloat16, NarrowSlab, 16, false)
ROWS(rows16_float16, Float16, NarrowSlab, 16, false)
ROWS(rows16_transposed_bfloat16, Bfloat16, NarrowSlab, 16, true)
ROWS(rows16_transposed_float16, Float16, NarrowSlab, 16, true)
ROWS(rows32_bfloat16, Bfloat16, NarrowSlab, 32, false)
ROWS(rows32_float16, Float16, NarrowSlab, 32, false)
ROWS(rows32_transposed_bfloat16, Bfloat16, NarrowSlab, 32, true)
ROWS(rows32_transposed_float16, Float16, NarrowSlab, 32, true)
ROWS(rows16_by_rows_bfloat16, Bfloat16, NarrowByRows, 16, false)
ROWS(rows16_by_rows_float16, Float16, NarrowByRows, 16, false)
ROWS(rows16_by_rows_transposed_bfloat16, Bfloat16, NarrowByRows, 16, true)
ROWS(rows16_by_rows_transposed_float16, Float16, NarrowByRows, 16, true)
ROWS(rows32_by_rows_bfloat16, Bfloat16, NarrowByRows, 32, false)
ROWS(rows32_by_rows_float16, Float16, NarrowByRows, 32, false)
ROWS(rows32_by_rows_transposed_bfloat16, Bfloat16, NarrowByRows, 32, true)
ROWS(rows32_by_rows_transposed_float16, Float16, NarrowByRows, 32, true)
#if POPSPARSE_HAS_GROUPS // and the registers and shared memory of that machine
ROWS(rows16_wide_bfloat16, Bfloat16, WideSlab, 16, false)
ROWS(rows16_wide_float16, Float16, WideSlab, 16, false)
ROWS(rows16_wide_transposed_bfloat16, Bfloat16, WideSlab, 16, true)
ROWS(rows16_wide_transposed_float16, Float16, WideSlab, 16, true)
ROWS(rows32_wide_bfloat16, Bfloat16, WideSlab, 32, false)
ROWS(rows32_wide_float16, Float16, WideSlab, 32, false)
ROWS(rows32_wide_transposed_bfloat16, Bfloat16, WideSlab, 32, true)
ROWS(rows32_wide_transposed_float16, Float16, WideSlab, 32, true)
ROWS(rows16_wide_by_rows_bfloat16, Bfloat16, WideByRows, 16, false)
ROWS(rows16_wide_by_rows_float16, Float16, WideByRows, 16, false)
ROWS(rows16_wide_by_rows_transposed_bfloat16, Bfloat16, WideByRows, 16, true)
ROWS(rows16_wide_by_rows_transposed_float16, Float16, WideByRows, 16, true)
ROWS(rows32_wide_by_rows_bfloat16, Bfloat16, WideByRows, 32, false)
ROWS(rows32_wide_by_rows_float16, Float16, WideByRows, 32, false)
ROWS(rows32_wide_by_rows_transposed_bfloat16, Bfloat16, WideByRows, 32, true)
ROWS(rows32_wide_by_rows_transposed_float16, Float16, WideByRows, 32, true)
#endif

} // namespace popsparse_py::cuda
