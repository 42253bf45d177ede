// The sampled product as outer products: for each column of dy and x, kept as small dense panels, a block grows by
// (column of dy) x (column of x). No sum runs across the lanes of a vector, so nothing has to be folded.
// Included by kernels.cpp inside the namespace of its instruction set.

// Where kLanes rows from `row` on lie in [groups of `steps` rows][columns][steps].
struct BlockStrip {
  float *begin;
  std::int64_t groupFloats;
  int steps;

  POPSPARSE_INLINE BlockStrip(const GatherBlocksJob &job, std::int64_t row)
      : begin(job.panel + row / job.steps * job.steps * job.stride + row % job.steps),
        groupFloats(job.stride * job.steps), steps(job.steps) {}

  template <int Steps> POPSPARSE_INLINE void writePieces(float *to, Vec value) const {
    float pieces[kLanes];
    store(pieces, value);
#pragma GCC unroll 4
    for (int p = 0; p < kLanes / Steps; ++p) {
      __builtin_memcpy(to + p * groupFloats, pieces + p * Steps, Steps * sizeof(float));
    }
  }
  POPSPARSE_INLINE void operator()(std::int64_t column, Vec value) const {
    float *to = begin + column * steps;
    if (steps >= kLanes) {
      store(to, value);
    } else if (steps == 4) {
      writePieces<4>(to, value);
    } else {
      writePieces<8>(to, value);
    }
  }
};

template <Dtype D> void gatherBlocksOf(const GatherBlocksJob &job) {
  using Element = typename Format<D>::Element;
  for (std::int64_t row = job.firstRow; row < job.lastRow; row += kLanes) {
    const BlockStrip strip(job, row);
    for (std::int64_t column = job.columns; column < job.stride; ++column) {
      strip(column, zero());
    }
  }
  const Element *from = static_cast<const Element *>(job.x.data) + job.firstColumn * job.x.columnStride;
  if (job.x.columnStride == 1) {
    transposeTiles(
        job.columns, job.lastRow - job.firstRow,
        [&](std::int64_t row, std::int64_t column, int count) __attribute__((always_inline)) {
          const Element *at = from + (job.firstRow + row) * job.x.rowStride + column;
          return count == kLanes ? Format<D>::read(at) : readStrided<D>(at, 1, count);
        },
        [&](std::int64_t row) __attribute__((always_inline)) { return BlockStrip(job, job.firstRow + row); });
    return;
  }
  for (std::int64_t row = job.firstRow; row < job.lastRow; row += kLanes) {
    const BlockStrip strip(job, row);
    const int count = static_cast<int>(job.lastRow - row < kLanes ? job.lastRow - row : kLanes);
    const bool plain = count == kLanes && job.x.rowStride == 1;
    for (std::int64_t column = 0; column < job.columns; ++column) {
      const Element *at = from + column * job.x.columnStride + row * job.x.rowStride;
      strip(column, plain ? Format<D>::read(at) : readStrided<D>(at, job.x.rowStride, count));
    }
  }
}

// Blocks at least a vector wide: tiles of Rows x Vecs vectors, with the steps of the forward product.
template <int Rows, int Vecs> void outerWide(const OuterJob &job) {
  for (std::int64_t q = 0; q < job.blocks; ++q) {
    const float *x = job.x + job.blockColumn[q] * job.columns * job.steps;
    float *out = job.out + q * job.blockRows * job.steps;
    for (int row = 0; row < job.blockRows; row += Rows) {
      for (int column = 0; column < job.steps; column += Vecs * kLanes) {
        Tile<Rows, Vecs> tile;
        float *to = out + row * job.steps + column;
        if (job.accumulate) {
          tile.template read<false>(to, static_cast<std::size_t>(job.steps), Rows, Mask{});
        } else {
          tile.clear();
        }
        const float *dy = job.dy + row * job.columns;
        for (std::int64_t j = 0; j < job.columns; ++j) {
          tile.template step<false>(dy + j * Rows, x + j * job.steps + column, Mask{});
        }
        tile.template write<false>(to, static_cast<std::size_t>(job.steps), Rows, Mask{});
      }
    }
  }
}

// Blocks narrower than a vector, which then holds their columns for kLanes / Steps consecutive columns of x; Rows rows
// of dy, each number Steps times, lie in `spread` as [groups of columns][Rows] vectors.
template <int Steps, int Rows, int Blocks>
POPSPARSE_INLINE void narrowTile(const OuterJob &job, const float *spread, std::int64_t first, int row) {
  constexpr int kFolded = Rows * Steps / kLanes;
  Vec sums[Blocks][Rows];
  const float *x[Blocks];
#pragma GCC unroll 8
  for (int q = 0; q < Blocks; ++q) {
    x[q] = job.x + job.blockColumn[first + q] * job.columns * Steps;
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      sums[q][r] = zero();
    }
  }
  for (std::int64_t at = 0; at < job.columns * Steps; at += kLanes) {
#pragma GCC unroll 8
    for (int q = 0; q < Blocks; ++q) {
      const Vec columns = load(x[q] + at);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        sums[q][r] = multiplyAdd(load(spread + at * Rows + r * kLanes), columns, sums[q][r]);
      }
    }
  }
#pragma GCC unroll 8
  for (int q = 0; q < Blocks; ++q) {
    float *out = job.out + ((first + q) * job.blockRows + row) * Steps;
#pragma GCC unroll 8
    for (int i = 0; i < kFolded; ++i) {
      const Vec sum = foldSegments<Steps>(sums[q] + i * (kLanes / Steps));
      store(out + i * kLanes, job.accumulate ? add(sum, load(out + i * kLanes)) : sum);
    }
  }
}

template <int Steps, int Rows, int Blocks>
void narrowBlocks(const OuterJob &job, const float *spread, std::int64_t first, int row) {
  for (; first + Blocks <= job.blocks; first += Blocks) {
    narrowTile<Steps, Rows, Blocks>(job, spread, first, row);
  }
  if constexpr (Blocks > 1) {
    narrowBlocks<Steps, Rows, Blocks / 2>(job, spread, first, row);
  }
}

template <int Steps> void outerNarrow(const OuterJob &job) {
  constexpr int kRows = Steps, kGroup = kLanes / Steps, kSums = kRegisters == 32 ? 16 : 8;
  alignas(64) float spread[kRows * kOuterColumns * Steps];
  for (int row = 0; row < job.blockRows; row += kRows) {
    for (std::int64_t j = 0; j < job.columns; j += kGroup) {
      for (int r = 0; r < kRows; ++r) {
        const bool exists = row + r < job.rows;
        const float *dy = exists ? job.dy + static_cast<std::size_t>(row + r) * job.dyStride + j : job.dy;
        store(spread + j * Steps * kRows + r * kLanes, loadSpread<Steps>(dy, exists ? job.given - j : 0));
      }
    }
    narrowBlocks<Steps, kRows, kSums / kRows>(job, spread, 0, row);
  }
}

inline std::int32_t outerRows(std::int32_t blockRows, std::int32_t steps) {
  constexpr int kWide = kRegisters == 32 ? 16 : 8; // rows of a tile one vector wide
  if (steps % kLanes == 0) {
    const int rows = steps % (2 * kLanes) == 0 ? kWide / 2 : kWide;
    return blockRows % rows == 0 ? rows : 0;
  }
  return (steps == 4 || steps == 8) && steps < kLanes && blockRows % steps == 0 ? kRowsAsTheyLie : 0;
}

template <int Lanes> void outerOf(const OuterJob &job) {
  constexpr int kWide = kRegisters == 32 ? 16 : 8;
  if (job.steps % (2 * Lanes) == 0) {
    outerWide<kWide / 2, 2>(job);
  } else if (job.steps % Lanes == 0) {
    outerWide<kWide, 1>(job);
  } else if constexpr (Lanes == 16) {
    job.steps == 4 ? outerNarrow<4>(job) : outerNarrow<8>(job);
  } else if constexpr (Lanes == 8) {
    outerNarrow<4>(job);
  }
}

inline void outer(const OuterJob &job) {
  outerOf<kLanes>(job);
}
