// Panels of x from any dtype and strides to packed floats, and panels of results back.
// Included by kernels.cpp inside the namespace of its instruction set.

template <Dtype D> struct Format;

template <> struct Format<Dtype::Float32> {
  using Element = float;
  static POPSPARSE_INLINE Vec read(const float *from) { return load(from); }
  static POPSPARSE_INLINE void write(float *to, Vec value) { store(to, value); }
  static POPSPARSE_INLINE void write(float *to, Vec first, Vec second) {
    store(to, first);
    store(to + kLanes, second);
  }
};
template <> struct Format<Dtype::Float16> {
  using Element = std::uint16_t;
  static POPSPARSE_INLINE Vec read(const std::uint16_t *from) { return loadFloat16(from); }
  static POPSPARSE_INLINE void write(std::uint16_t *to, Vec value) { storeFloat16(to, value); }
  static POPSPARSE_INLINE void write(std::uint16_t *to, Vec first, Vec second) {
    storeFloat16(to, first);
    storeFloat16(to + kLanes, second);
  }
};
template <> struct Format<Dtype::Bfloat16> {
  using Element = std::uint16_t;
  static POPSPARSE_INLINE Vec read(const std::uint16_t *from) { return loadBfloat16(from); }
  static POPSPARSE_INLINE void write(std::uint16_t *to, Vec value) { storeBfloat16(to, value); }
  static POPSPARSE_INLINE void write(std::uint16_t *to, Vec first, Vec second) { storeBfloat16(to, first, second); }
};

// Any number of elements that lie `stride` apart, through a full vector of them.
template <Dtype D>
POPSPARSE_INLINE Vec readStrided(const typename Format<D>::Element *from, std::ptrdiff_t stride, int count) {
  typename Format<D>::Element elements[kLanes] = {};
  for (int i = 0; i < count; ++i) {
    elements[i] = from[i * stride];
  }
  return Format<D>::read(elements);
}

template <Dtype D>
POPSPARSE_INLINE void writeStrided(typename Format<D>::Element *to, std::ptrdiff_t stride, int count, Vec value) {
  typename Format<D>::Element elements[kLanes];
  Format<D>::write(elements, value);
  for (int i = 0; i < count; ++i) {
    to[i * stride] = elements[i];
  }
}

template <Dtype D> void widen(const void *source, std::int64_t count, float *out) {
  const auto *from = static_cast<const typename Format<D>::Element *>(source);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(out + i, Format<D>::read(from + i));
  }
  if (i < count) {
    store(out + i, readStrided<D>(from + i, 1, static_cast<int>(count - i)), firstLanes(count - i));
  }
}

template <Dtype D> void gatherRows(const GatherJob &job) {
  using Element = typename Format<D>::Element;
  for (std::int64_t row = job.firstRow; row < job.lastRow; ++row) {
    const Element *from =
        static_cast<const Element *>(job.x.data) + row * job.x.rowStride + job.firstColumn * job.x.columnStride;
    float *to = job.panel + static_cast<std::size_t>(row - job.firstRow) * job.stride;
    std::int64_t j = 0;
    if (job.x.columnStride == 1) {
      for (; j + kLanes <= job.columns; j += kLanes) {
        store(to + j, Format<D>::read(from + j));
      }
    }
    for (; j < static_cast<std::int64_t>(job.stride); j += kLanes) {
      const std::int64_t left = job.columns - j;
      const int count = static_cast<int>(left < 0 ? 0 : left < kLanes ? left : kLanes);
      store(to + j, readStrided<D>(from + j * job.x.columnStride, job.x.columnStride, count));
    }
  }
}

// Square tiles of kLanes rows and columns. read(c, r, count) gives `count` rows from r on of column c, then zeros;
// strip(c) gives what writes the vectors of columns [c, c + kLanes): write(r, vector).
template <class Read, class Strip>
POPSPARSE_INLINE void transposeTiles(std::int64_t rows, std::int64_t columns, const Read &read, const Strip &strip) {
  for (std::int64_t c = 0; c < columns; c += kLanes) {
    const auto write = strip(c);
    const int width = static_cast<int>(columns - c < kLanes ? columns - c : kLanes);
    for (std::int64_t r = 0; r < rows; r += kLanes) {
      const int height = static_cast<int>(rows - r < kLanes ? rows - r : kLanes);
      Vec tile[kLanes];
      if (width == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          tile[i] = read(c + i, r, height);
        }
      } else {
        for (int i = 0; i < kLanes; ++i) {
          tile[i] = i < width ? read(c + i, r, height) : zero();
        }
      }
      transpose(tile);
      if (height == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          write(r + i, tile[i]);
        }
      } else {
        for (int i = 0; i < height; ++i) {
          write(r + i, tile[i]);
        }
      }
    }
  }
}

// For an x whose columns are contiguous.
template <Dtype D> void gatherColumns(const GatherJob &job) {
  using Element = typename Format<D>::Element;
  const Element *from = static_cast<const Element *>(job.x.data) + job.firstRow + job.firstColumn * job.x.columnStride;
  transposeTiles(
      job.lastRow - job.firstRow, job.columns,
      [&](std::int64_t column, std::int64_t row, int height) __attribute__((always_inline)) {
        const Element *at = from + column * job.x.columnStride + row;
        return height == kLanes ? Format<D>::read(at) : readStrided<D>(at, 1, height);
      },
      [&](std::int64_t column) __attribute__((always_inline)) {
        return [ to = job.panel + column, stride = job.stride ](std::int64_t row, Vec value)
            __attribute__((always_inline)) {
          store(to + static_cast<std::size_t>(row) * stride, value);
        };
      });
}

// For a y whose columns are contiguous.
template <Dtype D> void scatterColumns(const ScatterJob &job) {
  using Element = typename Format<D>::Element;
  const std::int64_t rows = job.lastRow - job.firstRow;
  Element *to = static_cast<Element *>(job.y.data) + job.firstRow + job.firstColumn * job.y.columnStride;
  transposeTiles(
      job.columns, rows,
      [&](std::int64_t row, std::int64_t column, int width) __attribute__((always_inline)) {
        const float *at = job.panel + static_cast<std::size_t>(row) * job.stride + column;
        return width == kLanes ? load(at) : load(at, firstLanes(width));
      },
      [&](std::int64_t row) __attribute__((always_inline)) {
        const int height = static_cast<int>(rows - row < kLanes ? rows - row : kLanes);
        return [ strip = to + row, stride = job.y.columnStride, height ](std::int64_t column, Vec value)
            __attribute__((always_inline)) {
          if (height == kLanes) {
            Format<D>::write(strip + column * stride, value);
          } else {
            writeStrided<D>(strip + column * stride, 1, height, value);
          }
        };
      });
}

template <Dtype D> void gatherPanel(const GatherJob &job) {
  if (job.x.rowStride == 1 && job.x.columnStride != 1 && job.columns > 1) {
    gatherColumns<D>(job);
  } else {
    gatherRows<D>(job);
  }
}

template <Dtype D> void scatterRows(const ScatterJob &job);

template <Dtype D> void scatterPanel(const ScatterJob &job) {
  if (job.y.rowStride == 1 && job.y.columnStride != 1 && job.columns > 1) {
    scatterColumns<D>(job);
  } else {
    scatterRows<D>(job);
  }
}

template <Dtype D> void scatterRows(const ScatterJob &job) {
  using Element = typename Format<D>::Element;
  for (std::int64_t row = job.firstRow; row < job.lastRow; ++row) {
    const float *from = job.panel + static_cast<std::size_t>(row - job.firstRow) * job.stride;
    Element *to = static_cast<Element *>(job.y.data) + row * job.y.rowStride + job.firstColumn * job.y.columnStride;
    std::int64_t j = 0;
    if (job.y.columnStride == 1) {
      for (; j + 2 * kLanes <= job.columns; j += 2 * kLanes) {
        Format<D>::write(to + j, load(from + j), load(from + j + kLanes));
      }
    }
    for (; j + kLanes <= job.columns; j += kLanes) {
      writeStrided<D>(to + j * job.y.columnStride, job.y.columnStride, kLanes, load(from + j));
    }
    if (j < job.columns) {
      const Mask mask = firstLanes(job.columns - j);
      writeStrided<D>(to + j * job.y.columnStride, job.y.columnStride, static_cast<int>(job.columns - j),
                      load(from + j, mask));
    }
  }
}
