#include "sampled.hpp"

#include <algorithm>
#include <vector>

#include "aligned.hpp"
#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

constexpr std::int64_t kPanelColumns = 256;    // of x and dy that are used together
constexpr std::int64_t kBandPanelColumns = 64; // the same where the pattern is cut into bands
constexpr std::int64_t kPanelSamples = 256;
constexpr std::int64_t kSharesPerThread = 4; // parts of the block rows

struct Sampling {
  const Pattern &pattern;
  const Kernels &kernels;
  const DenseView &dy, &x;
  std::int64_t n;
  int threads;
  const std::int32_t *firstRows; // (blocks) first row of x of each block
  float *sums;                   // (blocks, block rows, block columns)
};

// Rows of floats, either the caller's own or a packed copy.
struct Rows {
  const float *data;
  std::size_t stride;
};

std::ptrdiff_t elementBytes(const DenseView &view) {
  return view.dtype == Dtype::Float32 ? 4 : 2;
}

bool readable(const DenseView &view) {
  return view.dtype == Dtype::Float32 && view.columnStride == 1 && view.rowStride >= 0;
}

std::size_t packedStride(const Kernels &kernels, std::int64_t columns) {
  return roundedUp(static_cast<std::size_t>(columns), static_cast<std::size_t>(kernels.lanes));
}

// Columns [first, first + columns) of a view of `rows` rows, copied to `packed` if that is not null.
Rows panelOf(const DenseView &view, std::int64_t rows, std::int64_t first, std::int64_t columns, const Kernels &kernels,
             float *packed, int threads) {
  if (packed == nullptr) {
    return {static_cast<const float *>(view.data) + first, static_cast<std::size_t>(view.rowStride)};
  }
  const std::size_t stride = packedStride(kernels, columns);
  parallelFor(threads, threads, [&](std::int64_t part, int) {
    const std::int64_t begin = rows * part / threads, end = rows * (part + 1) / threads;
    kernels.gather({view, begin, end, first, columns, packed + static_cast<std::size_t>(begin) * stride, stride});
  });
  return {packed, stride};
}

std::vector<std::int32_t> firstRowsOf(const Pattern &pattern) {
  std::vector<std::int32_t> rows(pattern.blockColumn.size());
  std::transform(pattern.blockColumn.begin(), pattern.blockColumn.end(), rows.begin(),
                 [&](std::int32_t column) { return column * pattern.blockColumns; });
  return rows;
}

struct Panels {
  Rows dy, x;
  std::int64_t columns;
  bool accumulate; // what earlier columns gave
};

SampleJob jobOf(const Pattern &pattern, std::int64_t row, const Panels &panels) {
  const auto &[dy, x, columns, accumulate] = panels;
  const std::int64_t row0 = row * pattern.blockRows;
  const auto tail = static_cast<std::int32_t>(pattern.columns % pattern.blockColumns);
  SampleJob job{};
  job.dy = dy.data + static_cast<std::size_t>(row0) * dy.stride;
  job.dyStride = dy.stride;
  job.rows = static_cast<std::int32_t>(std::min<std::int64_t>(pattern.blockRows, pattern.rows - row0));
  job.x = x.data;
  job.xStride = x.stride;
  job.blockRows = pattern.blockRows;
  job.steps = pattern.blockColumns;
  job.tailFirstRow = tail == 0 ? -1 : static_cast<std::int32_t>(pattern.columns - tail);
  job.tailSteps = tail;
  job.columns = columns;
  job.accumulate = accumulate;
  return job;
}

// Block rows [first, last) of a panel: all their blocks, or band after band.
void sampleRows(const Sampling &sampling, const Panels &panels, std::int64_t first, std::int64_t last) {
  const Pattern &pattern = sampling.pattern;
  const bool banded = !pattern.bandOffsets.empty();
  const auto rows = static_cast<std::size_t>(pattern.rowsOfBlocks());
  const std::size_t bands = banded ? pattern.bandOffsets.size() / rows - 1 : 1;
  for (std::size_t band = 0; band < bands; ++band) {
    const std::int64_t *begin = banded ? pattern.bandOffsets.data() + band * rows : pattern.offsets.data();
    const std::int64_t *end = banded ? begin + rows : begin + 1;
    for (std::int64_t row = first; row < last; ++row) {
      SampleJob job = jobOf(pattern, row, panels);
      job.firstRows = sampling.firstRows + begin[row];
      job.blocks = end[row] - begin[row];
      job.out = sampling.sums + begin[row] * pattern.blockElements();
      sampling.kernels.sample(job);
    }
  }
}

void sample(const Sampling &sampling) {
  const auto &[pattern, kernels, dy, x, n, threads, firstRows, sums] = sampling;
  const std::int64_t width = pattern.bandOffsets.empty() ? kPanelColumns : kBandPanelColumns;
  const auto stride = packedStride(kernels, std::min(n, width));
  static thread_local FloatBuffer packedDy, packedX;
  // Rows of x that lie a power of two apart would share the sets of a cache, so a wide x is copied too.
  float *copiedDy = readable(dy) ? nullptr : packedDy.reserve(static_cast<std::size_t>(pattern.rows) * stride);
  float *copiedX =
      readable(x) && n <= width ? nullptr : packedX.reserve(static_cast<std::size_t>(pattern.columns) * stride);
  const std::int64_t rows = pattern.rowsOfBlocks(), parts = std::min<std::int64_t>(rows, threads * kSharesPerThread);
  for (std::int64_t first = 0; first < n; first += width) {
    const std::int64_t columns = std::min(n - first, width);
    const Panels panels{panelOf(dy, pattern.rows, first, columns, kernels, copiedDy, threads),
                        panelOf(x, pattern.columns, first, columns, kernels, copiedX, threads), columns, first > 0};
    parallelFor(threads, parts, [&](std::int64_t part, int) {
      sampleRows(sampling, panels, rows * part / parts, rows * (part + 1) / parts);
    });
  }
}

// Whether dy and x hold a row for each sample and blocks are whole vectors: then nothing need be transposed.
bool suitsRows(const Pattern &pattern, const Kernels &kernels, const DenseView &dy, const DenseView &x) {
  const bool whole = pattern.rows % pattern.blockRows == 0 && pattern.columns % pattern.blockColumns == 0;
  const bool vectors = pattern.blockRows % kernels.lanes == 0 && pattern.blockColumns % kernels.lanes == 0;
  return whole && vectors && dy.rowStride == 1 && x.rowStride == 1;
}

// Samples [first, first + samples) as rows of floats, where they lie if `packed` is null.
Rows samplesOf(const DenseView &view, std::int64_t columns, std::int64_t first, std::int64_t samples,
               const Kernels &kernels, float *packed, int threads) {
  const DenseView rows{static_cast<const std::uint8_t *>(view.data) + first * view.columnStride * elementBytes(view),
                       view.dtype, view.columnStride, view.rowStride};
  return panelOf(rows, samples, 0, columns, kernels, packed, threads);
}

void sampleByRows(const Sampling &sampling) {
  const auto &[pattern, kernels, dy, x, n, threads, firstRows, sums] = sampling;
  static thread_local FloatBuffer packedDy, packedX;
  const auto copied = [&, samples = static_cast<std::size_t>(std::min(n, kPanelSamples))](
                          FloatBuffer &buffer, const DenseView &view, std::int64_t columns) {
    const bool inPlace = view.dtype == Dtype::Float32 && view.columnStride >= 0;
    return inPlace ? nullptr : buffer.reserve(samples * packedStride(sampling.kernels, columns));
  };
  float *copiedDy = copied(packedDy, dy, pattern.rows), *copiedX = copied(packedX, x, pattern.columns);
  const std::int64_t rows = pattern.rowsOfBlocks(), parts = std::min<std::int64_t>(rows, threads * kSharesPerThread);
  for (std::int64_t first = 0; first < n; first += kPanelSamples) {
    const std::int64_t samples = std::min(n - first, kPanelSamples);
    const Rows dyRows = samplesOf(dy, pattern.rows, first, samples, kernels, copiedDy, threads);
    const Rows xRows = samplesOf(x, pattern.columns, first, samples, kernels, copiedX, threads);
    parallelFor(threads, parts, [&](std::int64_t part, int) {
      const Pattern &places = sampling.pattern;
      for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
        const std::int64_t begin = places.offsets[static_cast<std::size_t>(row)];
        const std::int64_t blocks = places.offsets[static_cast<std::size_t>(row) + 1] - begin;
        sampling.kernels.sampleRows({dyRows.data + row * places.blockRows, dyRows.stride, xRows.data, xRows.stride,
                                     sampling.firstRows + begin, blocks, places.blockRows, places.blockColumns, samples,
                                     sampling.sums + begin * places.blockElements(), first > 0});
      }
    });
  }
}

} // namespace

void sampledProduct(const Pattern &pattern, const Kernels &kernels, const DenseView &dy, const DenseView &x,
                    std::int64_t n, void *out, Dtype outDtype, int threads) {
  const std::int64_t elements = pattern.blocks() * pattern.blockElements();
  if (elements == 0) {
    return;
  }
  FloatBuffer results;
  const bool direct = outDtype == Dtype::Float32;
  float *sums = direct ? static_cast<float *>(out) : results.reserve(static_cast<std::size_t>(elements));
  if (n == 0 || pattern.rows % pattern.blockRows != 0 || pattern.columns % pattern.blockColumns != 0) {
    std::fill_n(sums, elements, 0.0f);
  }
  std::vector<std::int32_t> firstRows;
  if (pattern.blockColumns > 1) {
    firstRows = firstRowsOf(pattern);
  }
  const std::int32_t *places = pattern.blockColumns > 1 ? firstRows.data() : pattern.blockColumn.data();
  const Sampling sampling{pattern, kernels, dy, x, n, threads, places, sums};
  suitsRows(pattern, kernels, dy, x) ? sampleByRows(sampling) : sample(sampling);
  if (!direct) {
    kernels.scatter({sums, 0, 0, 1, 0, elements, {out, outDtype, 0, 1}});
  }
}

} // namespace popsparse_py::cpu
