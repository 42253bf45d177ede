// Values put in the order in which the lanes of vectors.cuh read them, in one pass.
#ifndef POPSPARSE_PY_CUDA_GATHER_CUH
#define POPSPARSE_PY_CUDA_GATHER_CUH

#include "arguments.cuh"

namespace popsparse_py::cuda {

constexpr int kGatherThreads = 256;

// Grid: ceil(count / kGatherThreads) blocks or fewer. See GatherArguments.
POPSPARSE_DEVICE void gatherValues(const GatherArguments &arguments) {
  const uint16_t *values = static_cast<const uint16_t *>(arguments.product.values);
  uint16_t *out = static_cast<uint16_t *>(arguments.product.y);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGatherThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kGatherThreads + threadIdx.x; i < arguments.count; i += step) {
    const int32_t source = loadConstant(arguments.sources + i);
    out[i] = source < 0 ? uint16_t{0} : loadConstant(values + source);
  }
}

} // namespace popsparse_py::cuda

#endif
