// The kernels of blocks.cuh that are shipped: none where there is no WGMMA.
#include "blocks.cuh"
#include "kernel.cuh"

#if POPSPARSE_HAS_GROUPS
namespace popsparse_py::cuda {

#define BLOCKS(name, Element, transposed)                                                                              \
  POPSPARSE_KERNEL(name, kRingThreads, RowsArguments, multiplyBlocks<Element, Here, transposed>)

BLOCKS(blocks_bfloat16, Bfloat16, false)
BLOCKS(blocks_float16, Float16, false)
BLOCKS(blocks_transposed_bfloat16, Bfloat16, true)
BLOCKS(blocks_transposed_float16, Float16, true)

} // namespace popsparse_py::cuda
#endif
