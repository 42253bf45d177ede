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

  // sums += w (Rows) outer x (Vecs * kLanes)
  template <bool Masked> POPSPARSE_INLINE void step(const float *w, const float *x, Mask mask) {
    Vec row[Vecs];
#pragma GCC unroll 16
    for (int v = 0; v < Vecs; ++v) {
      row[v] = Masked && v == Vecs - 1 ? load(x + v * kLanes, mask) : load(x + v * kLanes);
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
  int rows;         // of this row tile that exist
  std::int64_t row; // of W, of the tile's first row
  const float *x;   // first column of this tile
  float *y;         // likewise, first row of this tile
};

template <int Rows, int Vecs, int Steps, bool Masked>
POPSPARSE_INLINE void addBlocks(Tile<Rows, Vecs> &tile, const TileJob &job, Mask mask) {
  const std::size_t stride = job.panel.xStride;
  const int steps = Steps != 0 ? Steps : job.panel.steps;
  const bool tail = job.blocks > 0 && job.firstRows[job.blocks - 1] == job.panel.tailFirstRow;
  const float *w = job.values;
  for (int q = 0; q < job.blocks - (tail ? 1 : 0); ++q) {
    const float *x = job.x + static_cast<std::size_t>(job.firstRows[q]) * stride;
#pragma GCC unroll 4
    for (int s = 0; s < steps; ++s) {
      tile.template step<Masked>(w, x, mask);
      w += Rows;
      x += stride;
    }
  }
  if (tail) {
    const float *x = job.x + static_cast<std::size_t>(job.panel.tailFirstRow) * stride;
    for (int s = 0; s < job.panel.tailSteps; ++s) {
      tile.template step<Masked>(w + s * Rows, x + static_cast<std::size_t>(s) * stride, mask);
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

template <int Rows, int Vecs, int Steps, bool Masked> void multiplyTile(const TileJob &job, Mask mask) {
  const std::size_t stride = job.panel.yStride;
  Tile<Rows, Vecs> tile;
  if (job.fresh) {
    tile.clear();
  } else {
    tile.template read<Masked>(job.y, stride, job.rows, mask);
  }
  addBlocks<Rows, Vecs, Steps, Masked>(tile, job, mask);
  const bool finish = job.last && (job.panel.bias != nullptr || job.panel.activation != Activation::None);
  if (finish) {
    tile.activate(job.panel.bias == nullptr ? nullptr : job.panel.bias + job.row, job.panel.activation, job.rows);
  }
  tile.template write<Masked>(job.y, stride, job.rows, mask);
  if (finish && job.panel.activation == Activation::Gelu) {
    geluTile<Rows, Vecs, Masked>(job.y, stride, job.rows, mask);
  }
}

// A narrower tile for the columns that are left; the last vector is masked.
template <int Rows, int Vecs> void multiplyRest(const TileJob &job, std::int64_t columns) {
  if constexpr (Vecs > 1) {
    if (columns <= (Vecs - 1) * kLanes) {
      multiplyRest<Rows, Vecs - 1>(job, columns);
      return;
    }
  }
  multiplyTile<Rows, Vecs, 0, true>(job, firstLanes(columns - (Vecs - 1) * kLanes));
}

// All row tiles of one block row for one column tile, a chunk of blocks at a time.
template <int Rows, int Vecs, int Steps>
void multiplyBlockRow(const PanelJob &panel, std::int64_t blockRow, std::int64_t column) {
  const std::int64_t first = panel.offsets[blockRow], row0 = blockRow * panel.blockRows;
  const int blocks = static_cast<int>(panel.offsets[blockRow + 1] - first);
  const int rowTiles = (panel.blockRows + Rows - 1) / Rows;
  const int chunk = panel.chunkBlocks == 0 || rowTiles == 1 ? (blocks > 0 ? blocks : 1) : panel.chunkBlocks;
  const std::size_t tileValues = static_cast<std::size_t>(panel.steps) * Rows; // of one block
  const float *values =
      panel.values + static_cast<std::size_t>(first) * tileValues * static_cast<std::size_t>(rowTiles);
  const std::int64_t columns = panel.columns - column;
  float *y = panel.y + static_cast<std::size_t>(row0 - panel.firstBlockRow * panel.blockRows) * panel.yStride + column;
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
                        panel.x + column,
                        y + static_cast<std::size_t>(t * Rows) * panel.yStride};
      if (columns >= Vecs * kLanes) {
        multiplyTile<Rows, Vecs, Steps, false>(job, Mask{});
      } else {
        multiplyRest<Rows, Vecs>(job, columns);
      }
    }
  }
}

template <int Rows, int Vecs, int Steps> void multiplyPanel(const PanelJob &panel) {
  for (std::int64_t blockRow = panel.firstBlockRow; blockRow < panel.lastBlockRow; ++blockRow) {
    for (std::int64_t column = 0; column < panel.columns; column += Vecs * kLanes) {
      multiplyBlockRow<Rows, Vecs, Steps>(panel, blockRow, column);
    }
  }
}
