// The kernels of gather.cuh, sampled.cuh and decode.cuh that are shipped.
#include "decode.cuh"
#include "gather.cuh"
#include "kernel.cuh"
#include "sampled.cuh"

namespace popsparse_py::cuda {

POPSPARSE_KERNEL(gather_values, kGatherThreads, GatherArguments, gatherValues)
POPSPARSE_KERNEL(sampled_bfloat16, kSampledThreads, SampledArguments, multiplySampled<Bfloat16>)
POPSPARSE_KERNEL(sampled_float16, kSampledThreads, SampledArguments, multiplySampled<Float16>)
POPSPARSE_KERNEL(decode8_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, 8>)
POPSPARSE_KERNEL(decode8_float16, kDecodeThreads, DecodeArguments, decode<Float16, 8>)
POPSPARSE_KERNEL(decode16_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, 16>)
POPSPARSE_KERNEL(decode16_float16, kDecodeThreads, DecodeArguments, decode<Float16, 16>)
POPSPARSE_KERNEL(decode32_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, 32>)
POPSPARSE_KERNEL(decode32_float16, kDecodeThreads, DecodeArguments, decode<Float16, 32>)
POPSPARSE_KERNEL(reduce_bfloat16, kReduceThreads, ReduceArguments, reduce<Bfloat16>)
POPSPARSE_KERNEL(reduce_float16, kReduceThreads, ReduceArguments, reduce<Float16>)

} // namespace popsparse_py::cuda
