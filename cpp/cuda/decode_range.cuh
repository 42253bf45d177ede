// A range of rows of X, of few columns, in shared memory: what every kernel for few columns begins with.
#ifndef POPSPARSE_PY_CUDA_DECODE_RANGE_CUH
#define POPSPARSE_PY_CUDA_DECODE_RANGE_CUH

#include "epilogue.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

constexpr int kRangePadding = 8; // rows of zeros behind a range

// Address of 16 bytes of a range: those of `chunk` (8 columns) of `row`; 8 rows that follow one another, or that differ
// modulo 8, lie in different banks.
template <int columns> POPSPARSE_DEVICE uint32_t rangeChunk(uint32_t range, uint32_t row, uint32_t chunk) {
  constexpr uint32_t kChunks = columns / 8;
  return range + (row * kChunks + (chunk ^ row / (8 / kChunks) % kChunks)) * 16;
}

// Begins to copy rows [row, row + rows) of X, zeros beyond its edges, and the rows of zeros behind them.
template <int columns, int threads>
POPSPARSE_DEVICE void copyRange(const Product &product, int row, int rows, uint32_t to) {
  constexpr int kChunks = columns / 8;
  for (int i = static_cast<int>(threadIdx.x); i < (rows + kRangePadding) * kChunks; i += threads) {
    const int r = i / kChunks, c = i % kChunks;
    const int left = r < rows && row + r < product.k ? product.n - 8 * c : 0;
    const uint32_t bytes = left <= 0 ? 0u : left >= 8 ? 16u : static_cast<uint32_t>(left) * 2;
    const int64_t element = bytes ? (row + r) * product.xPitch + 8 * c : 0;
    asyncCopy(rangeChunk<columns>(to, static_cast<uint32_t>(r), static_cast<uint32_t>(c)),
              static_cast<const uint16_t *>(product.x) + element, bytes);
  }
  asyncCopyCommit();
}

// Waits until the copies of every thread are there.
POPSPARSE_DEVICE void rangeIsThere() {
  asyncCopyWait<0>();
  __syncthreads();
}

} // namespace popsparse_py::cuda

#endif
