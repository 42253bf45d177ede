// The kernels of rows.cuh that are shipped, for blocks of 16 rows.
#include "kernels_rows.cuh"

namespace popsparse_py::cuda {

ROWS(rows16, NarrowSlab, 16)
ROWS(rows16_by_rows, NarrowByRows, 16)
#if POPSPARSE_HAS_GROUPS // and the registers and shared memory of that machine
ROWS(rows16_wide, WideSlab, 16)
ROWS(rows16_wide_by_rows, WideByRows, 16)
#endif

} // namespace popsparse_py::cuda
