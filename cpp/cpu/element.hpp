// Rows of single elements (1 x 1 blocks): two nonzeros at a time, each with its own sums, hide the latency of the
// adder. Included by kernels.cpp inside the namespace of its instruction set.

template <int Vecs, Dtype D, bool Masked>
POPSPARSE_INLINE void multiplyElements(const PanelJob &panel, std::int64_t row, std::int64_t column, Mask mask) {
  constexpr int kSets = Vecs >= 4 ? 2 : Vecs == 2 ? 4 : 8;
  const std::int64_t last = panel.offsets[row + 1];
  const auto *x = static_cast<const typename Format<D>::Element *>(panel.x) + column;
  const auto below = static_cast<std::size_t>(row - panel.firstBlockRow); // rows of results
  float *y = panel.y + (panel.half == nullptr ? below * panel.yStride : 0) + column;
  Tile<1, Vecs> sets[kSets];
#pragma GCC unroll 8
  for (int i = 0; i < kSets; ++i) {
    sets[i].clear();
  }
  if (panel.accumulate) {
    sets[0].template read<Masked>(y, 0, 1, mask);
  }
  std::int64_t q = panel.offsets[row];
  for (; q + kSets <= last; q += kSets) {
#pragma GCC unroll 8
    for (int i = 0; i < kSets; ++i) {
      const auto *at = x + static_cast<std::size_t>(panel.firstRows[q + i]) * panel.xStride;
      sets[i].template step<D, Masked>(panel.values + q + i, at, mask);
    }
  }
  for (; q < last; ++q) {
    const auto *at = x + static_cast<std::size_t>(panel.firstRows[q]) * panel.xStride;
    sets[0].template step<D, Masked>(panel.values + q, at, mask);
  }
#pragma GCC unroll 8
  for (int i = 1; i < kSets; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < Vecs; ++v) {
      sets[0].sums[0][v] = add(sets[0].sums[0][v], sets[i].sums[0][v]);
    }
  }
  if (panel.last) {
    sets[0].activate(panel.bias == nullptr ? nullptr : panel.bias + row, panel.activation, 1);
  }
  if constexpr (D != Dtype::Float32) {
    if (panel.half != nullptr) {
      sets[0].template writeHalf<D>(panel.half + below * panel.halfStride + column, 0, 1);
      return;
    }
  }
  sets[0].template write<Masked>(y, 0, 1, mask);
  if (panel.last && panel.activation == Activation::Gelu) {
    geluTile<1, Vecs, Masked>(y, 0, 1, mask);
  }
}

template <int Vecs, Dtype D> void multiplyElementRest(const PanelJob &panel, std::int64_t row, std::int64_t column) {
  const std::int64_t columns = panel.columns - column;
  if constexpr (Vecs > 1) {
    if (columns <= (Vecs - 1) * kLanes) {
      multiplyElementRest<Vecs - 1, D>(panel, row, column);
      return;
    }
  }
  multiplyElements<Vecs, D, D == Dtype::Float32>(panel, row, column, firstLanes(columns - (Vecs - 1) * kLanes));
}

template <int Vecs, Dtype D> void multiplyElementPanel(const PanelJob &panel) {
  for (std::int64_t row = panel.firstBlockRow; row < panel.lastBlockRow; ++row) {
    std::int64_t column = 0;
    for (; column + Vecs * kLanes <= panel.columns; column += Vecs * kLanes) {
      multiplyElements<Vecs, D, false>(panel, row, column, Mask{});
    }
    if (column < panel.columns) {
      multiplyElementRest<Vecs, D>(panel, row, column);
    }
  }
}
