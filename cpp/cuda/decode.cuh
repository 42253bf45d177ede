// Y = W X for few columns (16-bit elements, blocks of a multiple of 16): the time is that of reading W, once. A block
// of threads keeps a range of rows of X in shared memory and streams the blocks that meet it past.
#ifndef POPSPARSE_PY_CUDA_DECODE_CUH
#define POPSPARSE_PY_CUDA_DECODE_CUH

#include "decode_range.cuh"
#include "rows.cuh"

namespace popsparse_py::cuda {

constexpr int kDecodeThreads = kConsumerWarps * kLanes;

template <class Element, class Machine, int columns> struct DecodeProduct {
  using Block = RowsBlock<16, false>;
  static constexpr int kTiles = columns / 8;
  static constexpr int kAhead = 4;
  float sums[kTiles][4];

  POPSPARSE_DEVICE void multiply(const Block &block, uint32_t x, int kRow) {
    uint32_t a[4];
    block.operand(0, 0, a);
    const auto row = static_cast<uint32_t>(kRow + Block::xRow());
    if constexpr (kTiles == 1) {
      uint32_t b[2];
      loadMatricesTransposed(rangeChunk<columns>(x, row, 0), b);
      Element::multiply(sums[0], a, b[0], b[1]);
    } else {
      const uint32_t half = threadIdx.x % kLanes / 16;
#pragma unroll
      for (int j = 0; j < kTiles / 2; ++j) {
        uint32_t b[4];
        loadMatricesTransposed(rangeChunk<columns>(x, row, static_cast<uint32_t>(2 * j) + half), b);
        Element::multiply(sums[2 * j], a, b[0], b[1]);
        Element::multiply(sums[2 * j + 1], a, b[2], b[3]);
      }
    }
  }

  POPSPARSE_DEVICE void stream(const DecodeArguments &arguments, uint32_t x, uint32_t begin, uint32_t end) {
    Block blocks[kAhead];
    uint32_t kRows[kAhead];
#pragma unroll
    for (int e = 0; e < 4 * kTiles; ++e) {
      sums[e / 4][e % 4] = 0.0f;
    }
    for (uint32_t i = begin; i < end; i += kAhead) {
#pragma unroll
      for (int p = 0; p < kAhead; ++p) {
        if (i + p < end) {
          const uint2 place = loadConstant(arguments.stream + i + p);
          blocks[p].load(arguments.product.values, place.y, arguments.valuePitch);
          kRows[p] = place.x;
        }
      }
#pragma unroll
      for (int p = 0; p < kAhead; ++p) {
        if (i + p < end) {
          multiply(blocks[p], x, static_cast<int>(kRows[p]));
        }
      }
    }
  }

  // line: number of these 16 rows among those of the block of threads.
  POPSPARSE_DEVICE void keep(uint32_t to, int line) {
#pragma unroll
    for (int e = 0; e < 4 * kTiles; ++e) {
      const int row = line * 16 + Block::yRow(e / 2 % 2), column = e / 4 * 8 + static_cast<int>(threadIdx.x) % 4 * 2;
      storeShared(to + static_cast<uint32_t>((row * columns + column + e % 2) * 4), sums[e / 4][e % 4]);
    }
  }

  POPSPARSE_DEVICE void store(const DecodeArguments &arguments, int firstRow, int range) {
    const Product &product = arguments.product;
#pragma unroll
    for (int e = 0; e < 2 * kTiles; ++e) {
      const int row = firstRow + Block::yRow(e % 2), column = e / 2 * 8 + static_cast<int>(threadIdx.x) % 4 * 2;
      const float *pair = sums[e / 2] + e % 2 * 2;
      if (arguments.partials == nullptr) {
        const float bias = biasOf(product, row);
        storePair(product, row, column,
                  Element::pack(activated(pair[0] + bias, product.activation),
                                activated(pair[1] + bias, product.activation)));
        continue;
      }
      float *partials = arguments.partials + (static_cast<int64_t>(range) * product.m + row) * product.n + column;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        if (row < product.m && column + c < product.n) {
          partials[c] = pair[c];
        }
      }
    }
  }
};

// Grid: (any number, ranges). See DecodeArguments.
template <class Element, class Machine, int columns> POPSPARSE_DEVICE void decode(const DecodeArguments &arguments) {
  using Decode = DecodeProduct<Element, Machine, columns>;
  const uint32_t x = sharedAddress(sharedMemory());
  const int range = static_cast<int>(blockIdx.y), blockRows = static_cast<int>(arguments.blockRows);
  const int rangeRows = static_cast<int>(arguments.rangeRows);
  copyRange<columns, kDecodeThreads>(arguments.product, range * rangeRows, rangeRows, x);
  rangeIsThere();
  const uint32_t *begins = arguments.begins + static_cast<int64_t>(range) * (blockRows + 1);
  const int step = static_cast<int>(gridDim.x) * kConsumerWarps;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  int line = warp;
#pragma unroll 1
  for (int row = static_cast<int>(blockIdx.x) * kConsumerWarps + warp; row < blockRows; row += step) {
    Decode product;
    product.stream(arguments, x, loadConstant(begins + row), loadConstant(begins + row + 1));
    if (Machine::kClusters && arguments.lines != nullptr) {
      product.keep(sumsOfRange<columns>(rangeRows), line);
      line += kConsumerWarps;
    } else {
      product.store(arguments, row * 16, range);
    }
  }
  if constexpr (Machine::kClusters) {
    if (arguments.lines != nullptr) {
      addCluster<Element, columns, 16, kDecodeThreads>(arguments);
    }
  }
}

constexpr int kReduceThreads = 256;

// The partial results of the ranges added in their order. Grid: any number. See ReduceArguments.
template <class Element> POPSPARSE_DEVICE void reduce(const ReduceArguments &arguments) {
  const Product &product = arguments.product;
  const int64_t count = static_cast<int64_t>(product.m) * product.n,
                step = static_cast<int64_t>(gridDim.x) * kReduceThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kReduceThreads + threadIdx.x; i < count; i += step) {
    float sum = 0.0f;
    for (int64_t range = 0; range < arguments.ranges; ++range) {
      sum += loadConstant(arguments.partials + range * count + i);
    }
    const int row = static_cast<int>(i / product.n), column = static_cast<int>(i % product.n);
    const float value = activated(sum + biasOf(product, row), product.activation);
    static_cast<uint16_t *>(product.y)[row * product.yPitch + column] =
        static_cast<uint16_t>(Element::pack(value, value));
  }
}

} // namespace popsparse_py::cuda

#endif
