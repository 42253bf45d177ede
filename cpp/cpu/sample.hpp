// The sampled product: dy x^T at the blocks of one block row. Sums run along n in vectors; kLanes of them are folded
// into one vector of results. Included by kernels.cpp inside the namespace of its instruction set.

// Lane i of the result is the sum of the lanes of v[i].
POPSPARSE_INLINE Vec sumLanes(const Vec *v) {
  Vec segments[kLanes / 4];
#pragma GCC unroll 4
  for (int i = 0; i < kLanes / 4; ++i) {
    segments[i] = foldFour(v + 4 * i);
  }
  return foldSegments(segments);
}

// A row of x and where its results go.
struct SampleColumn {
  const float *x;
  float *out; // first row of the block
};

// Result r * (kLanes / Rows) + c: row r of dy times row c of x; rows from `rows` on repeat the first.
template <int Rows>
POPSPARSE_INLINE Vec dotProducts(const SampleJob &job, int firstRow, int rows, const float *const *x) {
  constexpr int kColumns = kLanes / Rows;
  const float *dy[Rows];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    dy[r] = job.dy + static_cast<std::size_t>(firstRow + (r < rows ? r : 0)) * job.dyStride;
  }
  Vec sums[kLanes];
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
      const Vec right = load(x[c] + j, mask...);
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
  return sumLanes(sums);
}

// Puts, or adds, segments of Count lanes to rows that lie `stride` apart.
template <int Count> POPSPARSE_INLINE void addSegments(float *out, int stride, Vec value, bool accumulate) {
  float lanes[kLanes];
  if (accumulate) {
#pragma GCC unroll 4
    for (int i = 0; i < kLanes; i += Count) {
      __builtin_memcpy(lanes + i, out + i / Count * stride, Count * sizeof(float));
    }
    value = add(value, load(lanes));
  }
  store(lanes, value);
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += Count) {
    __builtin_memcpy(out + i / Count * stride, lanes + i, Count * sizeof(float));
  }
}

// Whole blocks: tiles of Rows x kLanes / Rows results.
template <int Rows> void sampleWhole(const SampleJob &job) {
  constexpr int kColumns = kLanes / Rows;
  for (std::int64_t q = 0; q < job.blocks; ++q) {
    float *block = job.out + q * job.blockRows * job.steps;
    for (int s = 0; s < job.steps; s += kColumns) {
      const float *x[kColumns];
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c) {
        x[c] = job.x + static_cast<std::size_t>(job.firstRows[q] + s + c) * job.xStride;
      }
      for (int row = 0; row < job.blockRows; row += Rows) {
        float *out = block + row * job.steps + s;
        addSegments<kColumns>(out, job.steps, dotProducts<Rows>(job, row, Rows, x), job.accumulate);
      }
    }
  }
}

template <int Rows> POPSPARSE_INLINE void sampleRows(const SampleJob &job, const SampleColumn *columns, int count) {
  constexpr int kColumns = kLanes / Rows;
  const float *x[kColumns];
  for (int c = 0; c < kColumns; ++c) {
    x[c] = columns[c].x;
  }
  for (int row = 0; row < job.rows; row += Rows) {
    const int rows = job.rows - row < Rows ? job.rows - row : Rows;
    float results[kLanes];
    store(results, dotProducts<Rows>(job, row, rows, x));
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < count; ++c) {
        float *out = columns[c].out + (row + r) * job.steps;
        *out = results[r * kColumns + c] + (job.accumulate ? *out : 0.0f);
      }
    }
  }
}

// Blocks of any shape: columns of one block are gathered with those of the next where it is narrower than a tile.
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

// Vectors of each of B rows of dy that stay in registers, beside four sums.
template <int B> constexpr int kHeldVectors = kLanes == 16 ? 4 : (kRegisters == 32 ? 16 : 8) / B;

// B rows of dy in registers, the last vector perhaps masked.
template <int B, bool Masked> struct HeldRows {
  static constexpr int kVectors = kHeldVectors<B>;
  Vec dy[B][kVectors];
  Mask masks[Masked ? kVectors : 1];

  POPSPARSE_INLINE HeldRows(const SampleJob &job, int firstRow) {
    if constexpr (Masked) {
      for (int v = 0; v < kVectors; ++v) {
        const std::int64_t left = job.columns - v * kLanes;
        masks[v] = firstLanes(left < 0 ? 0 : left);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < B; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        dy[r][v] = at(job.dy + static_cast<std::size_t>(firstRow + r) * job.dyStride, v);
      }
    }
  }
  POPSPARSE_INLINE Vec at(const float *row, int v) const {
    if constexpr (Masked) {
      return load(row + v * kLanes, masks[v]);
    } else {
      return load(row + v * kLanes);
    }
  }
  // sums[r * Columns + c] of row r of dy and row c of x.
  template <int Columns> POPSPARSE_INLINE void dots(const float *const *x, Vec *sums) const {
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const Vec right = at(x[c], v);
#pragma GCC unroll 4
        for (int r = 0; r < B; ++r) {
          Vec &sum = sums[r * Columns + c];
          sum = v == 0 ? multiply(dy[r][v], right) : multiplyAdd(dy[r][v], right, sum);
        }
      }
    }
  }
};

// B rows of dy that are too long for registers.
template <int B> struct LongRows {
  const SampleJob &job;

  template <int Columns, class... Masks>
  POPSPARSE_INLINE void addVector(const float *const *x, Vec *sums, std::int64_t j, Masks... mask) const {
    Vec left[B];
#pragma GCC unroll 4
    for (int r = 0; r < B; ++r) {
      left[r] = load(job.dy + static_cast<std::size_t>(r) * job.dyStride + j, mask...);
    }
#pragma GCC unroll 4
    for (int c = 0; c < Columns; ++c) {
      const Vec right = load(x[c] + j, mask...);
#pragma GCC unroll 4
      for (int r = 0; r < B; ++r) {
        sums[r * Columns + c] = multiplyAdd(left[r], right, sums[r * Columns + c]);
      }
    }
  }
  template <int Columns> POPSPARSE_INLINE void dots(const float *const *x, Vec *sums) const {
#pragma GCC unroll 4
    for (int i = 0; i < B * Columns; ++i) {
      sums[i] = zero();
    }
    std::int64_t j = 0;
    for (; j + kLanes <= job.columns; j += kLanes) {
      addVector<Columns>(x, sums, j);
    }
    if (j < job.columns) {
      addVector<Columns>(x, sums, j, firstLanes(job.columns - j));
    }
  }
};

// Blocks of 1 x 1 or 2 x 2, none of them ragged: kLanes results, which lie together, at a time. Only four sums are kept
// apart, so that the next rows are fetched while the last ones are folded.
template <int B, class Source> POPSPARSE_INLINE void sampleSmall(const SampleJob &job, const Source &source) {
  constexpr int kBlocks = kLanes / (B * B), kColumns = 4 / B;
  for (std::int64_t first = 0; first < job.blocks; first += kBlocks) {
    const int count = static_cast<int>(job.blocks - first < kBlocks ? job.blocks - first : kBlocks);
    const std::int32_t *from = job.firstRows + first;
    std::int32_t padded[kBlocks]; // the first row again where there are no more
    if (count < kBlocks) {
      for (int q = 0; q < kBlocks; ++q) {
        padded[q] = from[q < count ? q : 0];
      }
      from = padded;
    }
    Vec segments[kLanes / 4];
#pragma GCC unroll 4
    for (int i = 0; i < kLanes / 4; ++i) {
      if (i * kColumns >= count * B) {
        segments[i] = zero();
        continue;
      }
      Vec sums[4];
      const float *x[kColumns];
#pragma GCC unroll 4
      for (int c = 0; c < kColumns; ++c) {
        const auto row = static_cast<std::size_t>(B == 1 ? from[4 * i + c] : from[i] + c);
        x[c] = job.x + row * job.xStride;
      }
      source.template dots<kColumns>(x, sums);
      segments[i] = foldFour(sums);
    }
    const Vec folded = foldSegments(segments);
    float *out = job.out + first * B * B;
    if (count == kBlocks) {
      store(out, job.accumulate ? add(folded, load(out)) : folded);
    } else {
      const Mask mask = firstLanes(count * B * B);
      store(out, job.accumulate ? add(folded, load(out, mask)) : folded, mask);
    }
  }
}

template <int B> void sampleSmall(const SampleJob &job) {
  constexpr int kColumns = kHeldVectors<B> * kLanes;
  if (job.columns == kColumns) {
    sampleSmall<B>(job, HeldRows<B, false>(job, 0));
  } else if (job.columns < kColumns) {
    sampleSmall<B>(job, HeldRows<B, true>(job, 0));
  } else {
    sampleSmall<B>(job, LongRows<B>{job});
  }
}

// Whole blocks, at most as many columns as are held: squares of 4 x 4 results. V: Vec, of 16 lanes.
template <bool Masked, class V> void sampleSquares(const SampleJob &job) {
  const std::int64_t chunk = job.steps < 64 ? 64 / job.steps : 1; // blocks whose x fills half of 32 KiB
  for (std::int64_t first = 0; first < job.blocks; first += chunk) {
    const std::int64_t last = first + chunk < job.blocks ? first + chunk : job.blocks;
    for (int row = 0; row < job.blockRows; row += 4) {
      const HeldRows<4, Masked> held(job, row);
      for (std::int64_t q = first; q < last; ++q) {
        const float *x = job.x + static_cast<std::size_t>(job.firstRows[q]) * job.xStride;
        float *out = job.out + (q * job.blockRows + row) * job.steps;
        for (int s = 0; s < job.steps; s += 4) {
          V columns[4];
#pragma GCC unroll 4
          for (int c = 0; c < 4; ++c) {
            V sums[4];
            const float *at = x + static_cast<std::size_t>(s + c) * job.xStride;
            held.template dots<1>(&at, sums);
            columns[c] = foldFour(sums);
          }
          addSegments<4>(out + s, job.steps, transposeSegments(foldSegments(columns)), job.accumulate);
        }
      }
    }
  }
}

template <int Lanes> POPSPARSE_INLINE bool sampledInSquares(const SampleJob &job) {
  if constexpr (Lanes == 16) {
    constexpr int kColumns = kHeldVectors<4> * kLanes;
    if (job.columns <= kColumns && job.blockRows % 4 == 0 && job.steps % 4 == 0) {
      job.columns == kColumns ? sampleSquares<false, Vec>(job) : sampleSquares<true, Vec>(job);
      return true;
    }
  }
  return false;
}

inline void sample(const SampleJob &job) {
  constexpr int kRows = kLanes >= 8 ? 4 : 2; // of a tile
  const bool ragged = job.rows < job.blockRows || job.tailFirstRow >= 0;
  if (job.blockRows == 1 && job.steps == 1) {
    sampleSmall<1>(job);
  } else if (job.blockRows == 2 && job.steps == 2 && !ragged) {
    sampleSmall<2>(job);
  } else if (!ragged && sampledInSquares<kLanes>(job)) {
    return;
  } else if (job.blockRows % kRows == 0 && job.steps % (kLanes / kRows) == 0 && !ragged) {
    sampleWhole<kRows>(job);
  } else if (job.blockRows >= 3) {
    sampleBlockRow<kRows>(job);
  } else if (job.blockRows == 2) {
    sampleBlockRow<2>(job);
  } else {
    sampleBlockRow<1>(job);
  }
}
