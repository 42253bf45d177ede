// The sampled product: dy x^T at the blocks of one block row. Sums run along n in vectors; kLanes of them, for Rows
// rows of dy and kLanes / Rows rows of x, are folded into one vector at the end. Included by kernels.cpp inside the
// namespace of its instruction set.

// A row of x and where its results go.
struct SampleColumn {
  const float *x;
  float *out; // first row of the block
};

template <int Rows>
POPSPARSE_INLINE void sampleTile(const SampleJob &job, int firstRow, const SampleColumn *columns, int count) {
  constexpr int kColumns = kLanes / Rows;
  const int rows = job.rows - firstRow < Rows ? job.rows - firstRow : Rows;
  const float *dy[Rows];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    dy[r] = job.dy + static_cast<std::size_t>(firstRow + (r < rows ? r : 0)) * job.dyStride;
  }
  Vec sums[Rows * kColumns];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    sums[i] = zero();
  }
  const auto addVector = [&](std::int64_t j, auto... mask) __attribute__((always_inline)) {
    Vec left[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      left[r] = load(dy[r] + j, mask...);
    }
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) {
      const Vec right = load(columns[c].x + j, mask...);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        sums[r * kColumns + c] = multiplyAdd(left[r], right, sums[r * kColumns + c]);
      }
    }
  };
  std::int64_t j = 0;
  for (; j + kLanes <= job.columns; j += kLanes) {
    addVector(j);
  }
  if (j < job.columns) {
    addVector(j, firstLanes(job.columns - j));
  }
  float folded[kLanes];
  store(folded, sumLanes(sums));
  const bool together = count == kColumns && columns[kColumns - 1].out == columns[0].out + (kColumns - 1);
  if (together && !job.accumulate) {
    for (int r = 0; r < rows; ++r) {
      __builtin_memcpy(columns[0].out + (firstRow + r) * job.steps, folded + r * kColumns, kColumns * sizeof(float));
    }
    return;
  }
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < count; ++c) {
      float *out = columns[c].out + (firstRow + r) * job.steps;
      *out = folded[r * kColumns + c] + (job.accumulate ? *out : 0.0f);
    }
  }
}

template <int Rows> POPSPARSE_INLINE void sampleRows(const SampleJob &job, const SampleColumn *columns, int count) {
  for (int row = 0; row < job.rows; row += Rows) {
    sampleTile<Rows>(job, row, columns, count);
  }
}

// Columns of one block are gathered with those of the next where a block is narrower than a tile.
template <int Rows> void sampleBlockRow(const SampleJob &job) {
  constexpr int kColumns = kLanes / Rows;
  SampleColumn columns[kColumns];
  int count = 0;
  const auto flush = [&] {
    for (int c = count; c < kColumns; ++c) {
      columns[c] = columns[0];
    }
    sampleRows<Rows>(job, columns, count);
    count = 0;
  };
  for (std::int64_t q = 0; q < job.blocks; ++q) {
    const int steps = job.firstRows[q] == job.tailFirstRow ? job.tailSteps : job.steps;
    for (int s = 0; s < steps; ++s) {
      columns[count++] = {job.x + static_cast<std::size_t>(job.firstRows[q] + s) * job.xStride,
                          job.out + q * job.blockRows * job.steps + s};
      if (count == kColumns) {
        flush();
      }
    }
  }
  if (count > 0) {
    flush();
  }
}

// Adds Chunk vectors of every row of dy and x, from column j on; with a mask the last of one.
template <int B, int Chunk, class... Masks>
POPSPARSE_INLINE void addChunk(Vec *sums, const SampleJob &job, std::int64_t first, int count, std::int64_t j,
                               Masks... mask) {
  Vec dy[B][Chunk];
#pragma GCC unroll 2
  for (int r = 0; r < B; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Chunk; ++v) {
      dy[r][v] = load(job.dy + static_cast<std::size_t>(r) * job.dyStride + j + v * kLanes, mask...);
    }
  }
#pragma GCC unroll 16
  for (int q = 0; q < kLanes / (B * B); ++q) {
    const auto row = static_cast<std::size_t>(job.firstRows[first + (q < count ? q : 0)]);
#pragma GCC unroll 2
    for (int c = 0; c < B; ++c) {
      const float *x = job.x + (row + static_cast<std::size_t>(c)) * job.xStride + j;
#pragma GCC unroll 4
      for (int v = 0; v < Chunk; ++v) {
        const Vec right = load(x + v * kLanes, mask...);
#pragma GCC unroll 2
        for (int r = 0; r < B; ++r) {
          Vec &sum = sums[q * B * B + r * B + c];
          sum = multiplyAdd(dy[r][v], right, sum);
        }
      }
    }
  }
}

// Blocks of 1 x 1 or 2 x 2, none of them ragged: kLanes results, which lie together in `out`, at a time.
template <int B> void sampleSmall(const SampleJob &job) {
  constexpr int kBlocks = kLanes / (B * B), kChunk = kRegisters == 32 || B == 1 ? 4 : 2;
  for (std::int64_t first = 0; first < job.blocks; first += kBlocks) {
    const int count = static_cast<int>(job.blocks - first < kBlocks ? job.blocks - first : kBlocks);
    Vec sums[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      sums[i] = zero();
    }
    std::int64_t j = 0;
    for (; j + kChunk * kLanes <= job.columns; j += kChunk * kLanes) {
      addChunk<B, kChunk>(sums, job, first, count, j);
    }
    for (; j < job.columns; j += kLanes) {
      addChunk<B, 1>(sums, job, first, count, j, firstLanes(job.columns - j));
    }
    const Mask mask = firstLanes(count * B * B);
    float *out = job.out + first * B * B;
    const Vec folded = sumLanes(sums);
    store(out, job.accumulate ? add(folded, load(out, mask)) : folded, mask);
  }
}

inline void sample(const SampleJob &job) {
  const bool ragged = job.rows < job.blockRows || job.tailFirstRow >= 0;
  if (job.blockRows == 1 && job.steps == 1) {
    sampleSmall<1>(job);
  } else if (job.blockRows == 2 && job.steps == 2 && !ragged) {
    sampleSmall<2>(job);
  } else if (job.blockRows >= 3) {
    sampleBlockRow<kLanes >= 8 ? 4 : 2>(job);
  } else if (job.blockRows == 2) {
    sampleBlockRow<2>(job);
  } else {
    sampleBlockRow<1>(job);
  }
}
