// The kernels of blocks.cuh that are shipped: none where there is no WGMMA.
#include "blocks.cuh"
#include "kernel.cuh"

#if POPSPARSE_HAS_GROUPS
namespace popsparse_py::cuda {

#define BLOCKS(name, Element, Slab, transposed)                                                                        \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyBlocks<Element, Here, Slab, transposed>)

BLOCKS(blocks_bfloat16, Bfloat16, WidestSlab, false)
BLOCKS(blocks_float16, Float16, WidestSlab, false)
BLOCKS(blocks_transposed_bfloat16, Bfloat16, WidestSlab, true)
BLOCKS(blocks_transposed_float16, Float16, WidestSlab, true)
BLOCKS(blocks_by_rows_bfloat16, Bfloat16, WidestByRows, false)
BLOCKS(blocks_by_rows_float16, Float16, WidestByRows, false)
BLOCKS(blocks_by_rows_transposed_bfloat16, Bfloat16, WidestByRows, true)
BLOCKS(blocks_by_rows_transposed_float16, Float16, WidestByRows, true)

} // namespace popsparse_py::cuda
#endif
