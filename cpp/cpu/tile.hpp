// The product of one row tile of a block row with one column tile of x, held in registers.
// Included by kernels.cpp inside the namespace of its instruction set.

template <int Rows, int Vecs> struct Tile {
  Vec sums[Rows][Vecs];

  POPSPARSE_INLINE void clear() {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < Vecs; ++v) {
        sums[r][v] = zero();
      }
    }
  }

  // y (rows, Vecs * kLanes); rows from `rows` on stay 0.
  template <bool Masked> POPSPARSE_INLINE void read(const float *y, std::size_t stride, int rows, Mask mask) {
    clear();
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      if (r < rows) {
#pragma GCC unroll 16
        for (int v = 0; v < Vecs; ++v) {
          const float *from = y + static_cast<std::size_t>(r) * stride + v * kLanes;
          sums[r][v] = Masked && v == Vecs - 1 ? load(from, mask) : load(from);
        }
      }
    }
  }

  template <bool Masked> POPSPARSE_INLINE void write(float *y, std::size_t stride, int rows, Mask mask) const {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      if (r < rows) {
#pragma GCC unroll 16
        for (int v = 0; v < Vecs; ++v) {
          float *to = y + static_cast<std::size_t>(r) * stride + v * kLanes;
          if (Masked && v == Vecs - 1) {
            store(to, sums[r][v], mask);
          } else {
            store(to, sums[r][v]);
          }
        }
      }
    }
  }

  // The same in 16 bits.
  template <Dtype D> POPSPARSE_INLINE void writeHalf(std::uint16_t *to, std::size_t stride, int rows) const {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      if (r < rows) {
        std::uint16_t *row = to + static_cast<std::size_t>(r) * stride;
#pragma GCC unroll 8
        for (int v = 0; v + 1 < Vecs; v += 2) {
          Format<D>::write(row + v * kLanes, sums[r][v], sums[r][v + 1]);
        }
        if constexpr (Vecs % 2 == 1) {
          Format<D>::write(row + (Vecs - 1) * kLanes, sums[r][Vecs - 1]);
        }
      }
    }
  }

  // sums += w (Rows) outer x (Vecs * kLanes)
  template <Dtype D, bool Masked>
  POPSPARSE_INLINE void step(const float *w, const typename Format<D>::Element *x, Mask mask) {
    static_assert(D == Dtype::Float32 || !Masked, "only floats can be masked");
    Vec row[Vecs];
#pragma GCC unroll 16
    for (int v = 0; v < Vecs; ++v) {
      if constexpr (Masked) {
        row[v] = v == Vecs - 1 ? load(x + v * kLanes, mask) : load(x + v * kLanes);
      } else {
        row[v] = Format<D>::read(x + v * kLanes);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec factor = broadcast(w[r]);
#pragma GCC unroll 16
      for (int v = 0; v < Vecs; ++v) {
        sums[r][v] = multiplyAdd(factor, row[v], sums[r][v]);
      }
    }
  }

  POPSPARSE_INLINE void activate(const float *bias, Activation activation, int rows) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      if (r < rows) {
        const Vec shift = bias == nullptr ? zero() : broadcast(bias[r]);
#pragma GCC unroll 16
        for (int v = 0; v < Vecs; ++v) {
          const Vec sum = bias == nullptr ? sums[r][v] : add(sums[r][v], shift);
          sums[r][v] = activation == Activation::Relu ? larger(zero(), sum) : sum;
        }
      }
    }
  }
};

// What does not change between the row and column tiles of a block row.
struct TileJob {
  const PanelJob &panel;
  const std::int32_t *firstRows; // of the blocks
  const float *values;           // of the first block
  int blocks;
  bool fresh; // y holds nothing yet
  bool last;
  int rows;            // of this row tile that exist
  std::int64_t row;    // of W, of the tile's first row
  const void *x;       // first column of this tile
  float *y;            // likewise, first row of this tile
  std::uint16_t *half; // likewise, or null
};

template <int Rows, int Vecs, int Steps, Dtype D, bool Masked>
POPSPARSE_INLINE void addBlocks(Tile<Rows, Vecs> &tile, const TileJob &job, Mask mask) {
  const std::size_t stride = job.panel.xStride;
  const int steps = Steps != 0 ? Steps : job.panel.steps;
  const bool tail = job.blocks > 0 && job.firstRows[job.blocks - 1] == job.panel.tailFirstRow;
  const auto *columns = static_cast<const typename Format<D>::Element *>(job.x);
  const float *w = job.values;
  for (int q = 0; q < job.blocks - (tail ? 1 : 0); ++q) {
    const auto *x = columns + static_cast<std::size_t>(job.firstRows[q]) * stride;
#pragma GCC unroll 4
    for (int s = 0; s < steps; ++s) {
      tile.template step<D, Masked>(w, x, mask);
      w += Rows;
      x += stride;
    }
  }
  if (tail) {
    const auto *x = columns + static_cast<std::size_t>(job.panel.tailFirstRow) * stride;
    for (int s = 0; s < job.panel.tailSteps; ++s) {
      tile.template step<D, Masked>(w + s * Rows, x + static_cast<std::size_t>(s) * stride, mask);
    }
  }
}

// A gelu needs more registers than a tile leaves: it works on y, which lies in the first-level cache.
template <int Rows, int Vecs, bool Masked> void geluTile(float *y, std::size_t stride, int rows, Mask mask) {
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < Vecs; ++v) {
      float *at = y + static_cast<std::size_t>(r) * stride + v * kLanes;
      if (Masked && v == Vecs - 1) {
        store(at, gelu(load(at, mask)), mask);
      } else {
        store(at, gelu(load(at)));
      }
    }
  }
}

template <int Rows, int Vecs, int Steps, Dtype D, bool Masked> void multiplyTile(const TileJob &job, Mask mask) {
  const std::size_t stride = job.panel.yStride;
  Tile<Rows, Vecs> tile;
  if (job.fresh) {
    tile.clear();
  } else {
    tile.template read<Masked>(job.y, stride, job.rows, mask);
  }
  addBlocks<Rows, Vecs, Steps, D, Masked>(tile, job, mask);
  const bool finish = job.last && (job.panel.bias != nullptr || job.panel.activation != Activation::None);
  if (finish) {
    tile.activate(job.panel.bias == nullptr ? nullptr : job.panel.bias + job.row, job.panel.activation, job.rows);
  }
  if constexpr (D != Dtype::Float32) {
    if (job.last && job.half != nullptr) {
      tile.template writeHalf<D>(job.half, job.panel.halfStride, job.rows);
      return;
    }
  }
  tile.template write<Masked>(job.y, stride, job.rows, mask);
  if (finish && job.panel.activation == Activation::Gelu) {
    geluTile<Rows, Vecs, Masked>(job.y, stride, job.rows, mask);
  }
}

// A narrower tile for the columns that are left; of floats the last vector is masked.
template <int Rows, int Vecs, Dtype D> void multiplyRest(const TileJob &job, std::int64_t columns) {
  if constexpr (Vecs > 1) {
    if (columns <= (Vecs - 1) * kLanes) {
      multiplyRest<Rows, Vecs - 1, D>(job, columns);
      return;
    }
  }
  multiplyTile<Rows, Vecs, 0, D, D == Dtype::Float32>(job, firstLanes(columns - (Vecs - 1) * kLanes));
}

// All row tiles of one block row for one column tile, a chunk of blocks at a time.
template <int Rows, int Vecs, int Steps, Dtype D>
void multiplyBlockRow(const PanelJob &panel, std::int64_t blockRow, std::int64_t column) {
  const std::int64_t first = panel.offsets[blockRow], row0 = blockRow * panel.blockRows;
  const int blocks = static_cast<int>(panel.offsets[blockRow + 1] - first);
  const int rowTiles = (panel.blockRows + Rows - 1) / Rows;
  const int chunk = panel.chunkBlocks == 0 || rowTiles == 1 ? (blocks > 0 ? blocks : 1) : panel.chunkBlocks;
  const std::size_t tileValues = static_cast<std::size_t>(panel.steps) * Rows; // of one block
  const float *values =
      panel.values + static_cast<std::size_t>(first) * tileValues * static_cast<std::size_t>(rowTiles);
  const std::int64_t columns = panel.columns - column;
  const auto below = static_cast<std::size_t>(row0 - panel.firstBlockRow * panel.blockRows); // rows of results
  float *y = panel.y + (panel.half == nullptr ? below * panel.yStride : 0) + column;
  for (int begin = 0; begin == 0 || begin < blocks; begin += chunk) {
    const int count = blocks - begin < chunk ? blocks - begin : chunk;
    for (int t = 0; t < rowTiles; ++t) {
      const std::int64_t row = row0 + t * Rows;
      const std::int64_t inBlock = panel.blockRows - t * Rows, inMatrix = panel.rows - row;
      const std::int64_t rows = inBlock < inMatrix ? inBlock : inMatrix;
      if (rows <= 0) {
        break;
      }
      const std::size_t skipped =
          static_cast<std::size_t>(t) * static_cast<std::size_t>(blocks) + static_cast<std::size_t>(begin);
      const TileJob job{panel,
                        panel.firstRows + first + begin,
                        values + skipped * tileValues,
                        count,
                        begin == 0 && !panel.accumulate,
                        panel.last && begin + count == blocks,
                        static_cast<int>(rows < Rows ? rows : Rows),
                        row,
                        static_cast<const typename Format<D>::Element *>(panel.x) + column,
                        y + static_cast<std::size_t>(t * Rows) * panel.yStride,
                        panel.half == nullptr
                            ? nullptr
                            : panel.half + (below + static_cast<std::size_t>(t * Rows)) * panel.halfStride + column};
      if (columns >= Vecs * kLanes) {
        multiplyTile<Rows, Vecs, Steps, D, false>(job, Mask{});
      } else {
        multiplyRest<Rows, Vecs, D>(job, columns);
      }
    }
  }
}

template <int Rows, int Vecs, int Steps, Dtype D> void multiplyPanel(const PanelJob &panel) {
  for (std::int64_t blockRow = panel.firstBlockRow; blockRow < panel.lastBlockRow; ++blockRow) {
    for (std::int64_t column = 0; column < panel.columns; column += Vecs * kLanes) {
      multiplyBlockRow<Rows, Vecs, Steps, D>(panel, blockRow, column);
    }
  }
}
