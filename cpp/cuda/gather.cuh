// Values put in the order in which the lanes of vectors.cuh read them, in one pass.
#ifndef POPSPARSE_PY_CUDA_GATHER_CUH
#define POPSPARSE_PY_CUDA_GATHER_CUH

#include "arguments.cuh"

namespace popsparse_py::cuda {

constexpr int kGatherThreads = 256;

// 16-bit elements as they are.
struct GatherShort {
  using Stored = uint16_t;
  static POPSPARSE_DEVICE uint16_t packed(uint16_t bits) { return bits; }
};

// float32 rounded to TF32.
struct GatherTf32 {
  using Stored = uint32_t;
  static POPSPARSE_DEVICE uint32_t packed(uint32_t bits) { return Tf32::round(bits); }
};

// Grid: ceil(count / kGatherThreads) blocks or fewer. See GatherArguments.
template <class Element> POPSPARSE_DEVICE void gatherValues(const GatherArguments &arguments) {
  using Stored = typename Element::Stored;
  const Stored *values = static_cast<const Stored *>(arguments.product.values);
  Stored *out = static_cast<Stored *>(arguments.product.y);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kGatherThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kGatherThreads + threadIdx.x; i < arguments.count; i += step) {
    const int32_t source = loadConstant(arguments.sources + i);
    out[i] = source < 0 ? Stored{0} : Element::packed(loadConstant(values + source));
  }
}

} // namespace popsparse_py::cuda

#endif
