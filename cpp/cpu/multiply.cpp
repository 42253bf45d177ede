#include "multiply.hpp"

#include <algorithm>
#include <vector>

#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

constexpr std::int64_t kGroupRows = 64; // rows of results that wait in the first-level cache to be converted
constexpr std::int64_t kSharesPerThread = 4;

constexpr std::int64_t kPackedColumns = 128; // of a panel where the schedule names no width

bool readable(const DenseView &x) {
  return x.dtype == Dtype::Float32 && x.columnStride == 1 && x.rowStride >= 0;
}

bool aligned(const DenseView &x) {
  const auto floats = static_cast<std::ptrdiff_t>(kLineBytes / sizeof(float));
  return reinterpret_cast<std::uintptr_t>(x.data) % kLineBytes == 0 && x.rowStride % floats == 0;
}

struct Product {
  const PackedMatrix &w;
  const DenseView &x;
  const OutputView &y;
  const Epilogue &epilogue;
  PanelFunction panel;
  std::int64_t n, panelColumns;
  bool pack;   // x goes through packed panels
  bool direct; // results are written where they belong

  std::size_t panelStride() const {
    return roundedUp(static_cast<std::size_t>(panelColumns), static_cast<std::size_t>(w.kernels().lanes));
  }
  std::size_t packedFloats() const { return pack ? static_cast<std::size_t>(w.columns()) * panelStride() : 0; }
  // Block rows whose results are converted together.
  std::int64_t groupBlockRows() const {
    return w.bands() > 1 ? w.rowsOfBlocks() : std::max<std::int64_t>(1, kGroupRows / w.blockRows());
  }
  std::size_t resultFloats() const {
    const std::int64_t blockRows = std::min(groupBlockRows(), w.rowsOfBlocks());
    return direct ? 0 : static_cast<std::size_t>(blockRows * w.blockRows()) * panelStride();
  }
};

struct Panel {
  std::int64_t firstColumn, columns;
  const float *x;
  std::size_t stride;
};

void packRows(const Product &product, std::int64_t firstColumn, std::int64_t columns, float *panel, std::int64_t first,
              std::int64_t last) {
  float *to = panel + static_cast<std::size_t>(first) * product.panelStride();
  product.w.kernels().gather({product.x, first, last, firstColumn, columns, to, product.panelStride()});
}

void runBands(const Product &product, const Panel &panel, std::int64_t first, std::int64_t last, float *y,
              std::size_t yStride) {
  for (std::int64_t band = 0; band < product.w.bands(); ++band) {
    PanelJob job = product.w.job(band);
    job.firstBlockRow = first;
    job.lastBlockRow = last;
    job.x = panel.x;
    job.xStride = panel.stride;
    job.y = y;
    job.yStride = yStride;
    job.columns = panel.columns;
    job.accumulate = band > 0;
    job.last = band + 1 == product.w.bands();
    job.activation = product.epilogue.activation;
    job.bias = product.epilogue.bias;
    product.panel(job);
  }
}

// Block rows [first, last) of one panel.
void runRows(const Product &product, const Panel &panel, std::int64_t first, std::int64_t last, float *results) {
  const std::int64_t blockRows = product.w.blockRows();
  if (product.direct) {
    float *y = static_cast<float *>(product.y.data) + first * blockRows * product.y.rowStride + panel.firstColumn;
    runBands(product, panel, first, last, y, static_cast<std::size_t>(product.y.rowStride));
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

Panel panelAt(const Product &product, std::int64_t firstColumn, const float *packed) {
  const std::int64_t columns = std::min(product.panelColumns, product.n - firstColumn);
  if (product.pack) {
    return {firstColumn, columns, packed, product.panelStride()};
  }
  return {firstColumn, columns, static_cast<const float *>(product.x.data) + firstColumn,
          static_cast<std::size_t>(product.x.rowStride)};
}

// Each thread takes whole panels, packed for itself alone.
void runByPanels(const Product &product, int threads, std::int64_t panels, float *scratch) {
  const std::size_t packedFloats = product.packedFloats(), own = packedFloats + product.resultFloats();
  parallelFor(threads, panels, [&](std::int64_t task, int participant) {
    float *packed = scratch + static_cast<std::size_t>(participant) * own;
    const Panel panel = panelAt(product, task * product.panelColumns, packed);
    if (product.pack) {
      packRows(product, panel.firstColumn, panel.columns, packed, 0, product.w.columns());
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
    const Panel panel = panelAt(product, task * product.panelColumns, scratch);
    if (product.pack) {
      const std::int64_t rows = product.w.columns();
      parallelFor(threads, parts, [&](std::int64_t part, int) {
        packRows(product, panel.firstColumn, panel.columns, scratch, rows * part / parts, rows * (part + 1) / parts);
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
  const Schedule &schedule = w.schedule();
  const bool pack = schedule.packPanels || !readable(x) || (schedule.packMisaligned && !aligned(x));
  const std::int64_t most = schedule.panelColumns > 0 ? schedule.panelColumns : pack ? kPackedColumns : n;
  const PanelJob shape = w.job(0);
  const Product product{w,
                        x,
                        y,
                        epilogue,
                        w.kernels().panel(schedule.tileRows, schedule.tileVectors, shape.blockRows, shape.steps),
                        n,
                        std::min(n, most),
                        pack,
                        y.dtype == Dtype::Float32 && y.columnStride == 1 && y.rowStride >= 0};
  const std::int64_t panels = (n + product.panelColumns - 1) / product.panelColumns;
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
