#include "multiply_rows.hpp"

#include <algorithm>
#include <vector>

#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

// Floats of x that all block rows use before the next samples: few where a W in the second-level cache may be read
// often.
constexpr std::int64_t kPanelFloats = 32768, kPanelFloatsOfLargeW = 131072;
constexpr std::int64_t kLargeBytes = 524288; // of W
constexpr std::int64_t kFewestSamples = 32;  // of a panel
constexpr std::int64_t kFewestCrowded = 128;
constexpr std::ptrdiff_t kCrowdedFloats = 512;
constexpr std::int64_t kSharesPerThread = 4;

// Whether kernels read x where it lies: not where many samples share the few sets of a cache that a power of two
// leaves.
bool readable(const DenseView &x, std::int64_t n) {
  const bool crowded = n > kFewestCrowded && x.columnStride % kCrowdedFloats == 0;
  return x.dtype == Dtype::Float32 && x.rowStride == 1 && x.columnStride >= 0 && !crowded;
}

// A line beyond a power of two: samples that lie one apart share the sets of a cache.
std::size_t packedStride(const PackedMatrix &w) {
  const std::size_t line = kLineBytes / sizeof(float);
  return roundedUp(static_cast<std::size_t>(w.columns()), line) + line;
}

// Samples [first, first + samples) of x as floats in rows.
void pack(const PackedMatrix &w, const DenseView &x, std::int64_t first, std::int64_t samples, float *panel,
          int threads) {
  const std::size_t stride = packedStride(w);
  const DenseView rows{x.data, x.dtype, x.columnStride, x.rowStride};
  parallelFor(threads, threads, [&](std::int64_t part, int) {
    const std::int64_t begin = samples * part / threads, end = samples * (part + 1) / threads;
    float *to = panel + static_cast<std::size_t>(begin) * stride;
    w.kernels().gather({rows, first + begin, first + end, 0, w.columns(), to, stride});
  });
}

RowsJob jobOf(const PackedMatrix &w, const Epilogue &epilogue) {
  const PanelJob from = w.job(0);
  RowsJob job{};
  job.offsets = from.offsets;
  job.firstRows = from.firstRows;
  job.values = from.values;
  job.blockRows = from.blockRows;
  job.steps = from.steps;
  job.tailFirstRow = from.tailFirstRow;
  job.tailSteps = from.tailSteps;
  job.rows = from.rows;
  job.activation = epilogue.activation;
  job.bias = epilogue.bias;
  return job;
}

} // namespace

void multiplyRows(const PackedMatrix &w, const DenseView &x, const OutputView &y, std::int64_t n,
                  const Epilogue &epilogue, int threads) {
  static thread_local FloatBuffer buffer;
  const std::int64_t floats = w.packedBytes() > kLargeBytes ? kPanelFloatsOfLargeW : kPanelFloats;
  const std::int64_t most = std::max(kFewestSamples, floats / std::max<std::int64_t>(1, w.columns()));
  const std::int64_t samples = std::min(n, most);
  const bool inPlace = readable(x, n);
  float *panel = inPlace ? nullptr : buffer.reserve(static_cast<std::size_t>(samples) * packedStride(w));
  const std::int64_t parts = threads == 1 ? 1 : std::min<std::int64_t>(w.rowsOfBlocks(), threads * kSharesPerThread);
  const std::vector<std::int64_t> bounds = w.shares(parts);
  const std::size_t elementBytes = y.dtype == Dtype::Float32 ? 4 : 2;
  RowsJob job = jobOf(w, epilogue);
  for (std::int64_t first = 0; first < n; first += samples) {
    job.samples = std::min(samples, n - first);
    if (inPlace) {
      job.x = static_cast<const float *>(x.data) + first * x.columnStride;
      job.xStride = static_cast<std::size_t>(x.columnStride);
    } else {
      pack(w, x, first, job.samples, panel, threads);
      job.x = panel;
      job.xStride = packedStride(w);
    }
    job.y = y;
    job.y.data = static_cast<std::uint8_t *>(y.data) + static_cast<std::size_t>(first * y.columnStride) * elementBytes;
    parallelFor(threads, parts, [&](std::int64_t part, int) {
      RowsJob own = job;
      own.firstBlockRow = bounds[static_cast<std::size_t>(part)];
      own.lastBlockRow = bounds[static_cast<std::size_t>(part) + 1];
      w.kernels().multiplyRows(own);
    });
  }
}

} // namespace popsparse_py::cpu
