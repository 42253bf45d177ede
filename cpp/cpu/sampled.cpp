#include "sampled.hpp"

#include <algorithm>
#include <vector>

#include "aligned.hpp"
#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

constexpr std::int64_t kPanelColumns = 256; // of x that stay in the second-level cache
constexpr std::int64_t kUsesForOuter = 48;  // multiply-adds per element of dy and x that pay for panels of them
constexpr std::int64_t kSharesPerThread = 4;

struct Sampling {
  const Pattern &pattern;
  const Kernels &kernels;
  const DenseView &dy, &x;
  std::int64_t n;
  int threads;
};

// Rows of floats, either the caller's own or a packed copy.
struct Rows {
  const float *data;
  std::size_t stride;
};

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

SampleJob jobOf(const Pattern &pattern, const std::int32_t *firstRows, std::int64_t row, const Rows &dy, const Rows &x,
                float *out) {
  const std::int64_t first = pattern.offsets[static_cast<std::size_t>(row)];
  const std::int64_t row0 = row * pattern.blockRows;
  const auto tail = static_cast<std::int32_t>(pattern.columns % pattern.blockColumns);
  SampleJob job{};
  job.dy = dy.data + static_cast<std::size_t>(row0) * dy.stride;
  job.dyStride = dy.stride;
  job.rows = static_cast<std::int32_t>(std::min<std::int64_t>(pattern.blockRows, pattern.rows - row0));
  job.x = x.data;
  job.xStride = x.stride;
  job.firstRows = firstRows + first;
  job.blocks = pattern.offsets[static_cast<std::size_t>(row) + 1] - first;
  job.blockRows = pattern.blockRows;
  job.steps = pattern.blockColumns;
  job.tailFirstRow = tail == 0 ? -1 : static_cast<std::int32_t>(pattern.columns - tail);
  job.tailSteps = tail;
  job.out = out + first * pattern.blockElements();
  return job;
}

// Columns of a panel; room for `stride` of them.
struct Columns {
  std::int64_t first, count, stride;
};

// Panels of dy or x for outer(): whole groups of rows, and a vector more, because kernels read whole vectors.
std::size_t blockPanelFloats(std::int64_t rows, std::int32_t steps, const Kernels &kernels) {
  const auto grain = static_cast<std::size_t>(std::max(steps, kernels.lanes));
  return roundedUp(static_cast<std::size_t>(rows), grain) * kOuterColumns + grain;
}

// Rows from `rows` up to `paddedRows` are zeros.
void packBlocks(const DenseView &view, std::int64_t rows, std::int64_t paddedRows, const Columns &columns,
                std::int32_t steps, const Kernels &kernels, float *panel, int threads) {
  const std::int64_t grain = std::max(steps, kernels.lanes), grains = (rows + grain - 1) / grain;
  const std::int64_t whole = rows / grain * grain, end = (paddedRows + grain - 1) / grain * grain;
  std::fill_n(panel + whole * columns.stride, (end - whole) * columns.stride, 0.0f);
  parallelFor(threads, threads, [&](std::int64_t part, int) {
    const std::int64_t begin = grains * part / threads * grain;
    const std::int64_t last = std::min(rows, grains * (part + 1) / threads * grain);
    if (begin < last) {
      kernels.gatherBlocks({view, begin, last, columns.first, columns.count, columns.stride, steps, panel});
    }
  });
}

// The rows of dy in the form that outer() wants.
Rows outerDy(const Sampling &sampling, std::int32_t tileRows, const Columns &columns, std::int64_t paddedRows) {
  static thread_local FloatBuffer buffer;
  const auto &[pattern, kernels, dy, x, n, threads] = sampling;
  if (tileRows == kRowsAsTheyLie) {
    const std::size_t floats = static_cast<std::size_t>(pattern.rows) * packedStride(kernels, columns.count);
    float *copied = readable(dy) ? nullptr : buffer.reserve(floats);
    return panelOf(dy, pattern.rows, columns.first, columns.count, kernels, copied, threads);
  }
  float *panel = buffer.reserve(blockPanelFloats(paddedRows, tileRows, kernels));
  packBlocks(dy, pattern.rows, paddedRows, columns, tileRows, kernels, panel, threads);
  return {panel, static_cast<std::size_t>(columns.stride)};
}

OuterJob outerJob(const Pattern &pattern, std::int64_t row, const Rows &dy, const float *xPanel, const Columns &columns,
                  float *sums) {
  const std::int64_t begin = pattern.offsets[static_cast<std::size_t>(row)], row0 = row * pattern.blockRows;
  return {dy.data + static_cast<std::size_t>(row0) * dy.stride,
          dy.stride,
          pattern.rows - row0,
          xPanel,
          pattern.blockColumn.data() + begin,
          pattern.offsets[static_cast<std::size_t>(row) + 1] - begin,
          pattern.blockRows,
          pattern.blockColumns,
          columns.stride,
          columns.count,
          sums + begin * pattern.blockElements(),
          columns.first > 0};
}

void sampleByOuterProducts(const Sampling &sampling, std::int32_t tileRows, float *sums) {
  static thread_local FloatBuffer buffer;
  const auto &[pattern, kernels, dy, x, n, threads] = sampling;
  const std::int64_t paddedRows = pattern.rowsOfBlocks() * pattern.blockRows;
  const std::int64_t paddedColumns = pattern.columnsOfBlocks() * pattern.blockColumns;
  float *xPanel = buffer.reserve(blockPanelFloats(paddedColumns, pattern.blockColumns, kernels));
  const std::int64_t rows = pattern.rowsOfBlocks(), parts = std::min<std::int64_t>(rows, threads * kSharesPerThread);
  for (std::int64_t first = 0; first < n; first += kOuterColumns) {
    const std::int64_t count = std::min(n - first, kOuterColumns);
    const Columns columns{first, count, static_cast<std::int64_t>(packedStride(kernels, count))};
    const Rows dyRows = outerDy(sampling, tileRows, columns, paddedRows);
    packBlocks(x, pattern.columns, paddedColumns, columns, pattern.blockColumns, kernels, xPanel, threads);
    parallelFor(threads, parts, [&](std::int64_t part, int) {
      for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
        kernels.outer(outerJob(pattern, row, dyRows, xPanel, columns, sums));
      }
    });
  }
}

// Sums along n, folded at the end: for blocks without a kernel of outer products, and for very few of them.
void sampleByDots(const Sampling &sampling, float *sums) {
  const auto &[pattern, kernels, dy, x, n, threads] = sampling;
  const auto stride = packedStride(kernels, std::min(n, kPanelColumns));
  static thread_local FloatBuffer packedDy, packedX;
  // Rows of x that lie a power of two apart would share the sets of a cache, so a wide x is copied too.
  float *copiedDy = readable(dy) ? nullptr : packedDy.reserve(static_cast<std::size_t>(pattern.rows) * stride);
  float *copiedX =
      readable(x) && n <= kPanelColumns ? nullptr : packedX.reserve(static_cast<std::size_t>(pattern.columns) * stride);
  const std::vector<std::int32_t> firstRows = firstRowsOf(pattern);
  const std::int64_t rows = pattern.rowsOfBlocks(), parts = std::min<std::int64_t>(rows, threads * kSharesPerThread);
  for (std::int64_t first = 0; first < n; first += kPanelColumns) {
    const std::int64_t columns = std::min(n - first, kPanelColumns);
    const Rows dyPanel = panelOf(dy, pattern.rows, first, columns, kernels, copiedDy, threads);
    const Rows xPanel = panelOf(x, pattern.columns, first, columns, kernels, copiedX, threads);
    parallelFor(threads, parts, [&](std::int64_t part, int) {
      for (std::int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) {
        SampleJob job = jobOf(pattern, firstRows.data(), row, dyPanel, xPanel, sums);
        job.columns = columns;
        job.accumulate = first > 0;
        kernels.sample(job);
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
  const Sampling sampling{pattern, kernels, dy, x, n, threads};
  const std::int32_t tileRows = kernels.outerRows(pattern.blockRows, pattern.blockColumns);
  if (tileRows != 0 && elements >= kUsesForOuter * (pattern.rows + pattern.columns)) {
    sampleByOuterProducts(sampling, tileRows, sums);
  } else {
    sampleByDots(sampling, sums);
  }
  if (!direct) {
    kernels.scatter({sums, 0, 0, 1, 0, elements, {out, outDtype, 0, 1}});
  }
}

} // namespace popsparse_py::cpu
