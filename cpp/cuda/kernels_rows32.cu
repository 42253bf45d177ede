// The kernels of rows.cuh that are shipped, for blocks of 32 rows.
#include "kernels_rows.cuh"

namespace popsparse_py::cuda {

ROWS(rows32, NarrowSlab, 32)
ROWS(rows32_by_rows, NarrowByRows, 32)
#if POPSPARSE_HAS_GROUPS // and the registers and shared memory of that machine
ROWS(rows32_wide, WideSlab, 32)
ROWS(rows32_wide_by_rows, WideByRows, 32)
#endif

} // namespace popsparse_py::cuda
