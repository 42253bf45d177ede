// The kernels of decode.cuh and decode_vectors.cuh that are shipped.
#include "decode.cuh"
#include "decode_vectors.cuh"
#include "kernel.cuh"

namespace popsparse_py::cuda {

POPSPARSE_KERNEL(decode8_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, Here, 8>)
POPSPARSE_KERNEL(decode8_float16, kDecodeThreads, DecodeArguments, decode<Float16, Here, 8>)
POPSPARSE_KERNEL(decode16_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, Here, 16>)
POPSPARSE_KERNEL(decode16_float16, kDecodeThreads, DecodeArguments, decode<Float16, Here, 16>)
POPSPARSE_KERNEL(decode32_bfloat16, kDecodeThreads, DecodeArguments, decode<Bfloat16, Here, 32>)
POPSPARSE_KERNEL(decode32_float16, kDecodeThreads, DecodeArguments, decode<Float16, Here, 32>)
POPSPARSE_KERNEL(reduce_bfloat16, kReduceThreads, ReduceArguments, reduce<Bfloat16>)
POPSPARSE_KERNEL(reduce_float16, kReduceThreads, ReduceArguments, reduce<Float16>)

#define DECODE_VECTORS(columns, side)                                                                                  \
  POPSPARSE_KERNEL(decode_vectors##columns##_by##side##_bfloat16, kDecodeVectorsThreads, DecodeVectorsArguments,       \
                   decodeVectors<Bfloat16, Here, columns, side>)                                                       \
  POPSPARSE_KERNEL(decode_vectors##columns##_by##side##_float16, kDecodeVectorsThreads, DecodeVectorsArguments,        \
                   decodeVectors<Float16, Here, columns, side>)

DECODE_VECTORS(16, 1)
DECODE_VECTORS(16, 4)
DECODE_VECTORS(16, 8)
DECODE_VECTORS(32, 1)
DECODE_VECTORS(32, 4)
DECODE_VECTORS(32, 8)

} // namespace popsparse_py::cuda
