// The kernels of gather.cuh and sampled.cuh that are shipped.
#include "gather.cuh"
#include "kernel.cuh"
#include "sampled.cuh"

namespace popsparse_py::cuda {

POPSPARSE_KERNEL(gather_values, kGatherThreads, GatherArguments, gatherValues<GatherShort>)
POPSPARSE_KERNEL(sampled_bfloat16, kSampledThreads, SampledArguments, multiplySampled<Bfloat16>)
POPSPARSE_KERNEL(sampled_float16, kSampledThreads, SampledArguments, multiplySampled<Float16>)

} // namespace popsparse_py::cuda
