// Products whose dense operands hold a row for each sample, for blocks as high as vectors: rows of W lie along the
// lanes, elements of x are broadcast. Included by kernels.cpp inside the namespace of its instruction set.

constexpr int kSamples = 8; // that are multiplied together: their lines of x stay even where all share one cache set

// The finished sums of `count` samples for kLanes rows of W from `row` on, to y of dtype D.
template <Dtype D>
void writeSamples(const RowsJob &job, const float *sums, std::int64_t row, std::int64_t sample, int count) {
  const std::int64_t left = job.rows - row;
  const int lanes = static_cast<int>(left < kLanes ? left : kLanes);
  const Vec bias = job.bias == nullptr ? zero() : load(job.bias + row, firstLanes(lanes));
  auto *y = static_cast<typename Format<D>::Element *>(job.y.data) + sample * job.y.columnStride + row;
  for (int i = 0; i < count; ++i) {
    Vec value = load(sums + i * kLanes);
    value = job.bias == nullptr ? value : add(value, bias);
    if (job.activation != Activation::None) {
      value = job.activation == Activation::Relu ? larger(zero(), value) : gelu(value);
    }
    if (lanes == kLanes) {
      Format<D>::write(y + i * job.y.columnStride, value);
    } else {
      writeStrided<D>(y + i * job.y.columnStride, 1, lanes, value);
    }
  }
}

inline void writeSamples(const RowsJob &job, const float *sums, std::int64_t row, std::int64_t sample, int count) {
  switch (job.y.dtype) {
  case Dtype::Float32:
    return writeSamples<Dtype::Float32>(job, sums, row, sample, count);
  case Dtype::Float16:
    return writeSamples<Dtype::Float16>(job, sums, row, sample, count);
  case Dtype::Bfloat16:
    return writeSamples<Dtype::Bfloat16>(job, sums, row, sample, count);
  }
}

// Few samples have several sets of sums, one step after the other, to hide the latency of the adder.
template <int Count> struct SampleSums {
  static constexpr int kSets = kSamples / Count;
  Vec sums[kSets][Count];

  POPSPARSE_INLINE SampleSums() {
#pragma GCC unroll 8
    for (int i = 0; i < kSamples; ++i) {
      sums[i / Count][i % Count] = zero();
    }
  }
  POPSPARSE_INLINE void step(int set, const float *w, const float *x, std::size_t stride) {
    const Vec factors = load(w);
#pragma GCC unroll 8
    for (int i = 0; i < Count; ++i) {
      sums[set][i] = multiplyAdd(broadcast(x[static_cast<std::size_t>(i) * stride]), factors, sums[set][i]);
    }
  }
  POPSPARSE_INLINE void write(float *to) const {
#pragma GCC unroll 8
    for (int i = 0; i < Count; ++i) {
      Vec sum = sums[0][i];
#pragma GCC unroll 8
      for (int set = 1; set < kSets; ++set) {
        sum = add(sum, sums[set][i]);
      }
      store(to + i * kLanes, sum);
    }
  }
};

// w: values of `blocks` blocks from `first` on, for one vector of rows.
template <int Count>
void multiplySamples(const RowsJob &job, const std::int32_t *first, int blocks, const float *w, std::int64_t row,
                     std::int64_t sample) {
  constexpr int kSets = SampleSums<Count>::kSets;
  const float *x = job.x + static_cast<std::size_t>(sample) * job.xStride;
  SampleSums<Count> sums;
  for (int q = 0; q < blocks; ++q, w += job.steps * kLanes) {
    const float *at = x + first[q];
    const int steps = first[q] == job.tailFirstRow ? job.tailSteps : job.steps;
    int s = 0;
    for (; s + kSets <= steps; s += kSets) {
#pragma GCC unroll 8
      for (int set = 0; set < kSets; ++set) {
        sums.step(set, w + (s + set) * kLanes, at + s + set, job.xStride);
      }
    }
    for (; s < steps; ++s) {
      sums.step(0, w + s * kLanes, at + s, job.xStride);
    }
  }
  alignas(64) float results[Count * kLanes];
  sums.write(results);
  writeSamples(job, results, row, sample, Count);
}

inline void multiplyRows(const RowsJob &job) {
  for (std::int64_t blockRow = job.firstBlockRow; blockRow < job.lastBlockRow; ++blockRow) {
    const std::int64_t begin = job.offsets[blockRow];
    const int blocks = static_cast<int>(job.offsets[blockRow + 1] - begin);
    const float *w = job.values + begin * job.blockRows * job.steps;
    for (std::int64_t row = 0; row < job.blockRows && blockRow * job.blockRows + row < job.rows; row += kLanes) {
      const std::int64_t at = blockRow * job.blockRows + row;
      const std::int32_t *first = job.firstRows + begin;
      std::int64_t sample = 0;
      for (; sample + 8 <= job.samples; sample += 8) {
        multiplySamples<8>(job, first, blocks, w, at, sample);
      }
      for (; sample + 2 <= job.samples; sample += 2) {
        multiplySamples<2>(job, first, blocks, w, at, sample);
      }
      if (sample < job.samples) {
        multiplySamples<1>(job, first, blocks, w, at, sample);
      }
      w += std::int64_t{blocks} * job.steps * kLanes;
    }
  }
}

// Squares of kLanes x kLanes results.
inline void sampleRows(const SampleRowsJob &job) {
  for (std::int64_t q = 0; q < job.blocks; ++q) {
    for (int row = 0; row < job.blockRows; row += kLanes) {
      for (int column = 0; column < job.steps; column += kLanes) {
        const auto stride = static_cast<std::size_t>(job.steps);
        float *out = job.out + (q * job.blockRows + row) * job.steps + column;
        Tile<kLanes, 1> tile;
        if (job.accumulate) {
          tile.template read<false>(out, stride, kLanes, Mask{});
        } else {
          tile.clear();
        }
        const float *dy = job.dy + row, *x = job.x + job.firstRows[q] + column;
        for (std::int64_t i = 0; i < job.samples; ++i) {
          tile.template step<Dtype::Float32, false>(dy, x, Mask{});
          dy += job.dyStride;
          x += job.xStride;
        }
        tile.template write<false>(out, stride, kLanes, Mask{});
      }
    }
  }
}
