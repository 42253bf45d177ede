// The kernels of encode_streams.cuh, encode_vectors.cuh and encode_cells.cuh that are shipped.
#include "encode_cells.cuh"
#include "encode_streams.cuh"
#include "encode_vectors.cuh"
#include "kernel.cuh"

namespace popsparse_py::cuda {

POPSPARSE_KERNEL(encode_stream, kEncodeThreads, EncodeStreamArguments, encodeStream<Here>)
POPSPARSE_KERNEL(encode_vectors, kEncodeThreads, EncodeVectorsArguments, encodeVectors<Here>)
POPSPARSE_KERNEL(encode_cells, kEncodeThreads, EncodeCellsArguments, encodeCells<Here>)
POPSPARSE_KERNEL(encode_pack_values, kEncodeThreads, PackArguments, packValues)

} // namespace popsparse_py::cuda
