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

// Where the partial results of a block's rows lie, that its cluster adds: behind the range, all columns of a row.
template <int columns> POPSPARSE_DEVICE uint32_t sumsOfRange(int64_t rangeRows) {
  return sharedAddress(sharedMemory()) + static_cast<uint32_t>(rangeRows + kRangePadding) * (columns * 2);
}

constexpr int kMostClusterRanges = 8;

// Y from the partial results of the blocks of the cluster, in their order; each block adds those of some rows.
// Arguments: their `lines`, of `side` rows each.
template <class Element, int columns, int side, int threads, class Arguments>
POPSPARSE_DEVICE void addCluster(const Arguments &arguments) {
  const Product &product = arguments.product;
  constexpr int kPairs = columns / 2;
  const int blocks = clusterSize(), lines = static_cast<int>(arguments.linesOfBlock);
  const int32_t *owned = arguments.lines + static_cast<int64_t>(blockIdx.x) * lines;
  const uint32_t sums = sumsOfRange<columns>(arguments.rangeRows);
  clusterSync();
#pragma unroll 1
  for (int i = clusterRank() * threads + static_cast<int>(threadIdx.x); i < lines * side * kPairs;
       i += blocks * threads) {
    const int local = i / kPairs, column = i % kPairs * 2, first = loadConstant(owned + local / side);
    const int row = first + local % side;
    if (first < 0 || row >= product.m || column >= product.n) {
      continue;
    }
    const uint32_t from = sums + static_cast<uint32_t>((local * columns + column) * 4);
    float parts[kMostClusterRanges][2];
#pragma unroll
    for (int e = 0; e < 2 * kMostClusterRanges; ++e) { // all under way before the first is added
      parts[e / 2][e % 2] = e / 2 < blocks ? loadOfCluster(from + e % 2 * 4, e / 2) : 0.0f;
    }
    float both[2] = {parts[0][0], parts[0][1]};
#pragma unroll
    for (int e = 2; e < 2 * kMostClusterRanges; ++e) {
      both[e % 2] += parts[e / 2][e % 2];
    }
    const float bias = biasOf(product, row);
    storePair(
        product, row, column,
        Element::pack(activated(both[0] + bias, product.activation), activated(both[1] + bias, product.activation)));
  }
  clusterSync(); // before a block ends whose memory others read
}

} // namespace popsparse_py::cuda

#endif
