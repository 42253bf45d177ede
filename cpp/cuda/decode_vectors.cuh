// Y = W X for few columns with packed values (16-bit elements, blocks of any size, W or its transpose): X transposed is
// the left operand of MMA, as in vectors.cuh. A warp reads its steps as one stream, whatever rows they belong to, so
// that the memory is never waited for between rows.
#ifndef POPSPARSE_PY_CUDA_DECODE_VECTORS_CUH
#define POPSPARSE_PY_CUDA_DECODE_VECTORS_CUH

#include "decode_range.cuh"

namespace popsparse_py::cuda {

constexpr int kDecodeVectorsWarps = 16; // each with kAhead steps of 256 bytes under way
constexpr int kDecodeVectorsThreads = kDecodeVectorsWarps * kLanes;
constexpr uint32_t kLastStep = 0x8000; // of its 8 rows

// Words of a lane's share of `starts`: 2 bytes for each of the 8 / side groups of rows.
template <int side> struct DecodeStarts {
  using Word = uint2;
};
template <> struct DecodeStarts<4> {
  using Word = uint32_t;
};
template <> struct DecodeStarts<8> {
  using Word = uint16_t;
};

// One step: 8 rows of Y, in groups of `side`, each times 16 rows of X of its own.
template <int side> struct DecodeVectorsStep {
  static constexpr int kGroups = 8 / side, kWords = side == 1 ? 2 : 1;
  using Word = typename DecodeStarts<side>::Word;
  uint2 values; // of this lane
  Word starts[kWords];

  // The row of X, of 16, whose address this lane names.
  static POPSPARSE_DEVICE uint32_t vector() { return threadIdx.x % 8 + threadIdx.x % kLanes / 16 * 8; }

  // packed, from: this lane's part of a step, of which that of `step` lies so many steps further.
  POPSPARSE_DEVICE void load(const uint2 *packed, const Word *from, int step) {
    values = loadOnce(packed + step * kLanes);
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      starts[w] = loadConstant(from + step * (16 / side) * kWords + w);
    }
  }

  POPSPARSE_DEVICE uint32_t start(int group) const {
    if constexpr (side == 1) {
      const uint2 pairs = starts[group / 4];
      return (group % 4 / 2 ? pairs.y : pairs.x) >> group % 2 * 16 & 0xffff;
    } else {
      return static_cast<uint32_t>(starts[0]) >> group * 16 & 0xffff;
    }
  }

  POPSPARSE_DEVICE bool isLast() const { return start(0) & kLastStep; }
  POPSPARSE_DEVICE uint32_t row(int group) const { return (start(group) & ~kLastStep) + vector() % side; }

  // This lane's values if they are of that group, else zeros.
  POPSPARSE_DEVICE uint2 valuesOf(int group) const {
    const bool own = kGroups == 1 || static_cast<int>(threadIdx.x) % kLanes / 4 / side == group;
    return own ? values : uint2{0, 0};
  }
};

template <class Element, class Machine, int columns, int side> struct DecodeVectorsProduct {
  static constexpr int kTiles = columns / 16;
  using Step = DecodeVectorsStep<side>;
  static constexpr int kAhead = side == 1 ? 4 : 8; // steps under way; of single elements, starts are as long as values
  float sums[kTiles][4];                           // rows are columns of X

  POPSPARSE_DEVICE void clear() {
#pragma unroll
    for (int e = 0; e < 4 * kTiles; ++e) {
      sums[e / 4][e % 4] = 0.0f;
    }
  }

  POPSPARSE_DEVICE void multiply(const Step &step, uint32_t x) {
    const uint32_t half = threadIdx.x % 16 / 8;
#pragma unroll
    for (int g = 0; g < Step::kGroups; ++g) {
      const uint2 values = step.valuesOf(g);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
        uint32_t a[4];
        loadMatricesTransposed(rangeChunk<columns>(x, step.row(g), static_cast<uint32_t>(2 * j) + half), a);
        Element::multiply(sums[j], a, values.x, values.y);
      }
    }
  }

  // Steps of a warp. A pass of the outer loop ends where 8 rows of Y are whole, so that they are stored in one place of
  // the code, and goes on behind that step.
  POPSPARSE_DEVICE void stream(const DecodeVectorsArguments &arguments, uint32_t x, int range) {
    const int64_t warp = static_cast<int64_t>(blockIdx.x) * kDecodeVectorsWarps + threadIdx.x / kLanes;
    const uint2 *begins = arguments.begins + range * (static_cast<int64_t>(gridDim.x) * kDecodeVectorsWarps + 1) + warp;
    const uint2 begin = loadConstant(begins);
    const uint32_t end = loadConstant(begins + 1).x;
    const int32_t *rows = arguments.rows + static_cast<int64_t>(begin.y) * Step::kGroups;
    const uint2 *values = static_cast<const uint2 *>(arguments.product.values) +
                          static_cast<int64_t>(begin.x) * kLanes + threadIdx.x % kLanes;
    const typename Step::Word *starts =
        static_cast<const typename Step::Word *>(arguments.starts) +
        (static_cast<int64_t>(begin.x) * (16 / side) + Step::vector() / side) * Step::kWords;
    Step steps[kAhead];
    int left = static_cast<int>(end - begin.x); // from the first of the steps that are in registers
#pragma unroll
    for (int p = 0; p < kAhead; ++p) {
      if (p < left) {
        steps[p].load(values, starts, p);
      }
    }
    rangeIsThere();
    clear();
    int done = 0; // of the steps that are in registers
    while (done < left) {
      const int first = done;
      int stop = left;
      bool whole = false;
#pragma unroll
      for (int p = 0; p < kAhead; ++p) {
        if (p >= first && p < stop) { // the same for the whole warp
          const Step step = steps[p];
          if (p + kAhead < left) {
            steps[p].load(values, starts, p + kAhead);
          }
          multiply(step, x);
          done = p + 1;
          if (step.isLast()) {
            whole = true;
            stop = 0;
          }
        }
      }
      if (whole) {
        store(arguments, rows, range);
        rows += Step::kGroups;
        clear();
      }
      if (done == kAhead) {
        values += kAhead * kLanes;
        starts += kAhead * (16 / side) * Step::kWords;
        left -= kAhead;
        done = 0;
      }
    }
  }

  // The row of Y, of 8, by the list of the first of each group.
  static POPSPARSE_DEVICE int rowOf(const int32_t *rows, int i) {
    const int first = loadConstant(rows + i / side);
    return first < 0 ? -1 : first + i % side;
  }

  // 8 rows of Y, of which a lane holds two in one column; transposed, two columns of one row.
  POPSPARSE_DEVICE void store(const DecodeVectorsArguments &arguments, const int32_t *rows, int range) {
    const Product &product = arguments.product;
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int row0 = rowOf(rows, lane % 4 * 2), row1 = rowOf(rows, lane % 4 * 2 + 1);
    if (Machine::kClusters && arguments.lines != nullptr) {
      keep(sumsOfRange<columns>(arguments.rangeRows), row0, 0);
      keep(sumsOfRange<columns>(arguments.rangeRows), row1, 1);
      return;
    }
    if (arguments.partials != nullptr) {
      float *partials = arguments.partials + static_cast<int64_t>(range) * product.m * product.n;
      storePartials(product, partials, row0, 0);
      storePartials(product, partials, row1, 1);
      return;
    }
    const int row = rowOf(rows, lane / 4);
    const float bias0 = biasOf(product, row0), bias1 = biasOf(product, row1);
#pragma unroll
    for (int j = 0; j < 2 * kTiles; ++j) {
      const float *pair = sums[j / 2] + 2 * (j % 2);
      const uint32_t both =
          Element::pack(activated(pair[0] + bias0, product.activation), activated(pair[1] + bias1, product.activation));
      storePair(product, row, 8 * j + lane % 4 * 2, transposeMatrix(both));
    }
  }

  POPSPARSE_DEVICE void keep(uint32_t to, int row, int which) {
    const int first = static_cast<int>(threadIdx.x) % kLanes / 4;
#pragma unroll
    for (int j = 0; j < 2 * kTiles; ++j) {
      if (row >= 0) {
        storeShared(to + static_cast<uint32_t>((row * columns + first + 8 * j) * 4), sums[j / 2][j % 2 * 2 + which]);
      }
    }
  }

  // A row of partial results, of the two that a lane holds.
  POPSPARSE_DEVICE void storePartials(const Product &product, float *partials, int row, int which) {
    const int first = static_cast<int>(threadIdx.x) % kLanes / 4;
#pragma unroll
    for (int j = 0; j < 2 * kTiles; ++j) {
      if (row >= 0 && row < product.m && first + 8 * j < product.n) {
        partials[static_cast<int64_t>(row) * product.n + first + 8 * j] = sums[j / 2][j % 2 * 2 + which];
      }
    }
  }
};

// Grid: (any number, ranges). See DecodeVectorsArguments.
template <class Element, class Machine, int columns, int side>
POPSPARSE_DEVICE void decodeVectors(const DecodeVectorsArguments &arguments) {
  const uint32_t x = sharedAddress(sharedMemory());
  const int range = static_cast<int>(blockIdx.y), rangeRows = static_cast<int>(arguments.rangeRows);
  copyRange<columns, kDecodeVectorsThreads>(arguments.product, range * rangeRows, rangeRows, x);
  DecodeVectorsProduct<Element, Machine, columns, side> product;
  product.stream(arguments, x, range);
  if constexpr (Machine::kClusters) {
    if (arguments.lines != nullptr) {
      addCluster<Element, columns, side, kDecodeVectorsThreads>(arguments);
    }
  }
}

} // namespace popsparse_py::cuda

#endif
