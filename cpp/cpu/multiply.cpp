#include "multiply.hpp"

#include <algorithm>
#include <vector>

#include "multiply_rows.hpp"
#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

constexpr std::int64_t kResultBytes = 16384; // of results that wait in the first-level cache to be converted
constexpr std::int64_t kResultColumns = 256; // of a panel whose results wait
constexpr std::int64_t kSharesPerThread = 4;

constexpr std::int64_t kPackedColumns = 128; // of a panel where the schedule names no width

bool byRows(std::ptrdiff_t rowStride, std::ptrdiff_t columnStride) {
  return columnStride == 1 && rowStride >= 0;
}

bool aligned(const DenseView &x) {
  const auto floats = static_cast<std::ptrdiff_t>(kLineBytes / sizeof(float));
  return reinterpret_cast<std::uintptr_t>(x.data) % kLineBytes == 0 && x.rowStride % floats == 0;
}

// Columns of x, from the first on, that kernels read where they lie; the others go through packed panels.
std::int64_t columnsInPlace(const PackedMatrix &w, const DenseView &x, std::int64_t n) {
  const Schedule &schedule = w.schedule();
  if (schedule.packPanels || !byRows(x.rowStride, x.columnStride)) {
    return 0;
  }
  if (x.dtype == Dtype::Float32) {
    return schedule.packMisaligned && !aligned(x) ? 0 : n;
  }
  return w.bands() > 1 ? 0 : n - n % w.kernels().lanes; // halves cannot be masked, and rows of a band are used often
}

struct Product {
  const PackedMatrix &w;
  const DenseView &x;
  const OutputView &y;
  const Epilogue &epilogue;
  std::int64_t n, inPlace, panelColumns;
  bool direct;                 // results are written where they belong
  bool inHalf;                 // the same, in 16 bits, by kernels that read x in the same dtype
  PanelFunction panel, packed; // of x where it lies, of packed panels

  std::int64_t panelsInPlace() const { return (inPlace + panelColumns - 1) / panelColumns; }
  std::int64_t panels() const { return panelsInPlace() + (n - inPlace + panelColumns - 1) / panelColumns; }
  std::size_t stride(std::int64_t columns) const {
    return roundedUp(static_cast<std::size_t>(columns), static_cast<std::size_t>(w.kernels().lanes));
  }
  std::size_t panelStride() const { return stride(panelColumns); }
  std::size_t packedStride() const { return stride(std::min(panelColumns, n - inPlace)); }
  std::size_t packedFloats() const { return static_cast<std::size_t>(w.columns()) * packedStride(); }
  // Block rows whose results are converted together.
  std::int64_t groupBlockRows() const {
    const std::int64_t rowBytes = static_cast<std::int64_t>(panelStride() * sizeof(float)) * w.blockRows();
    return w.bands() > 1 ? w.rowsOfBlocks() : std::max<std::int64_t>(1, kResultBytes / rowBytes);
  }
  std::size_t resultFloats() const {
    const std::int64_t blockRows = std::min(groupBlockRows(), w.rowsOfBlocks());
    return direct ? 0 : static_cast<std::size_t>(blockRows * w.blockRows()) * panelStride();
  }
};

struct Panel {
  std::int64_t firstColumn, columns;
  PanelFunction run;
  const void *x;
  std::size_t stride;
  bool packed;
};

void packRows(const Product &product, const Panel &panel, float *to, std::int64_t first, std::int64_t last) {
  to += static_cast<std::size_t>(first) * panel.stride;
  product.w.kernels().gather({product.x, first, last, panel.firstColumn, panel.columns, to, panel.stride});
}

void runBand(const Product &product, const Panel &panel, PanelJob job, std::int64_t first, std::int64_t last, float *y,
             std::size_t yStride) {
  job.firstBlockRow = first;
  job.lastBlockRow = last;
  job.x = panel.x;
  job.xStride = panel.stride;
  job.y = y;
  job.yStride = yStride;
  job.columns = panel.columns;
  job.activation = product.epilogue.activation;
  job.bias = product.epilogue.bias;
  panel.run(job);
}

void runBands(const Product &product, const Panel &panel, std::int64_t first, std::int64_t last, float *y,
              std::size_t yStride) {
  for (std::int64_t band = 0; band < product.w.bands(); ++band) {
    PanelJob job = product.w.job(band);
    job.accumulate = band > 0;
    job.last = band + 1 == product.w.bands();
    runBand(product, panel, job, first, last, y, yStride);
  }
}

// Finished sums of a panel in place go straight to y; a block row of unfinished ones has to wait in `waiting`.
void runRowsInHalf(const Product &product, const Panel &panel, std::int64_t first, std::int64_t last, float *waiting) {
  PanelJob job = product.w.job(0);
  job.half = static_cast<std::uint16_t *>(product.y.data) + first * product.w.blockRows() * product.y.rowStride +
             panel.firstColumn;
  job.halfStride = static_cast<std::size_t>(product.y.rowStride);
  job.last = true;
  runBand(product, panel, job, first, last, waiting, product.panelStride());
}

// Block rows [first, last) of one panel.
void runRows(const Product &product, const Panel &panel, std::int64_t first, std::int64_t last, float *results) {
  const std::int64_t blockRows = product.w.blockRows();
  if (product.direct) {
    float *y = static_cast<float *>(product.y.data) + first * blockRows * product.y.rowStride + panel.firstColumn;
    runBands(product, panel, first, last, y, static_cast<std::size_t>(product.y.rowStride));
    return;
  }
  if (product.inHalf && !panel.packed) {
    runRowsInHalf(product, panel, first, last, results);
    return;
  }
  for (std::int64_t begin = first; begin < last; begin += product.groupBlockRows()) {
    const std::int64_t end = std::min(last, begin + product.groupBlockRows());
    runBands(product, panel, begin, end, results, product.panelStride());
    product.w.kernels().scatter({results, product.panelStride(), begin * blockRows,
                                 std::min(end * blockRows, product.w.rows()), panel.firstColumn, panel.columns,
                                 product.y});
  }
}

Panel panelAt(const Product &product, std::int64_t task, const float *packed) {
  const std::int64_t before = product.panelsInPlace();
  if (task >= before) {
    const std::int64_t first = product.inPlace + (task - before) * product.panelColumns;
    const std::int64_t columns = std::min(product.panelColumns, product.n - first);
    return {first, columns, product.packed, packed, product.packedStride(), true};
  }
  const std::int64_t first = task * product.panelColumns;
  const std::int64_t columns = std::min(product.panelColumns, product.inPlace - first);
  const std::size_t elementBytes = product.x.dtype == Dtype::Float32 ? 4 : 2;
  const auto *x = static_cast<const std::uint8_t *>(product.x.data) + static_cast<std::size_t>(first) * elementBytes;
  return {first, columns, product.panel, x, static_cast<std::size_t>(product.x.rowStride), false};
}

// Each thread takes whole panels, packed for itself alone.
void runByPanels(const Product &product, int threads, std::int64_t panels, float *scratch) {
  const std::size_t packedFloats = product.packedFloats(), own = packedFloats + product.resultFloats();
  parallelFor(threads, panels, [&](std::int64_t task, int participant) {
    float *packed = scratch + static_cast<std::size_t>(participant) * own;
    const Panel panel = panelAt(product, task, packed);
    if (panel.packed) {
      packRows(product, panel, packed, 0, product.w.columns());
    }
    runRows(product, panel, 0, product.w.rowsOfBlocks(), packed + packedFloats);
  });
}

// All threads work on one panel after the other, each on some block rows.
void runByRows(const Product &product, int threads, std::int64_t panels, float *scratch) {
  const std::int64_t parts = std::min<std::int64_t>(product.w.rowsOfBlocks(), threads * kSharesPerThread);
  const std::vector<std::int64_t> bounds = product.w.shares(parts);
  float *results = scratch + product.packedFloats();
  for (std::int64_t task = 0; task < panels; ++task) {
    const Panel panel = panelAt(product, task, scratch);
    if (panel.packed) {
      const std::int64_t rows = product.w.columns();
      parallelFor(threads, parts, [&](std::int64_t part, int) {
        packRows(product, panel, scratch, rows * part / parts, rows * (part + 1) / parts);
      });
    }
    parallelFor(threads, parts, [&](std::int64_t part, int participant) {
      const auto i = static_cast<std::size_t>(part);
      runRows(product, panel, bounds[i], bounds[i + 1],
              results + static_cast<std::size_t>(participant) * product.resultFloats());
    });
  }
}

} // namespace

void multiply(const PackedMatrix &w, const DenseView &x, const OutputView &y, std::int64_t n, const Epilogue &epilogue,
              int threads) {
  if (n == 0 || w.rows() == 0) {
    return;
  }
  if (w.schedule().byRows && y.rowStride == 1) {
    multiplyRows(w, x, y, n, epilogue, threads);
    return;
  }
  const Schedule &schedule = w.schedule();
  const std::int64_t inPlace = columnsInPlace(w, x, n);
  const bool direct = y.dtype == Dtype::Float32 && byRows(y.rowStride, y.columnStride);
  const std::int64_t widest = direct ? n : kResultColumns;
  const std::int64_t wanted = schedule.panelColumns > 0 ? schedule.panelColumns : inPlace > 0 ? widest : kPackedColumns;
  const std::int64_t lanes = w.kernels().lanes; // halves cannot be masked
  const std::int64_t most = (std::min(n, wanted) + lanes - 1) / lanes * lanes;
  const PanelJob shape = w.job(0);
  const auto kernel = [&](Dtype dtype) {
    return w.kernels().panel(schedule.tileRows, schedule.tileVectors, shape.blockRows, shape.steps, dtype);
  };
  const bool inHalf = y.dtype == x.dtype && x.dtype != Dtype::Float32 && byRows(y.rowStride, y.columnStride) &&
                      epilogue.activation != Activation::Gelu; // which works on floats
  const Product product{
      w, x, y, epilogue, n, inPlace, std::min(n, most), direct, inHalf, kernel(x.dtype), kernel(Dtype::Float32)};
  const std::int64_t panels = product.panels();
  static thread_local FloatBuffer buffer;
  if (threads == 1 || panels >= 2 * threads) {
    const auto users = static_cast<std::size_t>(std::min<std::int64_t>(threads, panels));
    runByPanels(product, threads, panels, buffer.reserve(users * (product.packedFloats() + product.resultFloats())));
  } else {
    const auto users = static_cast<std::size_t>(threads);
    runByRows(product, threads, panels, buffer.reserve(product.packedFloats() + users * product.resultFloats()));
  }
}

} // namespace popsparse_py::cpu
