// The lists of the kernels for dY X^T at W's blocks (sampled.cuh, sampled_elements.cuh).
#ifndef POPSPARSE_PY_CUDA_ENCODE_CELLS_CUH
#define POPSPARSE_PY_CUDA_ENCODE_CELLS_CUH

#include "encode.cuh"
#include "sampled.cuh"

namespace popsparse_py::cuda {

enum CellPhase : int { kCountBands = 3, kBeginsOfBands, kLead, kScatterCells };

class CellEncoder {
public:
  POPSPARSE_DEVICE explicit CellEncoder(const EncodeCellsArguments &given)
      : arguments(given), units(given.product, given.pattern), bandRows(static_cast<int>(given.bandRows)),
        cellsAtOnce(static_cast<int>(given.cellsAtOnce)), bands(ceilDiv(units.rows, bandRows)) {}

  POPSPARSE_DEVICE void run(int phase) const {
    switch (phase) {
    case kClear:
      return clear();
    case kMark:
      return units.mark(team);
    case kCount:
      for (int row = team.warp; row < units.rows; row += team.warps) {
        units.count(row, team);
      }
      return;
    case kCountBands:
      for (int band = team.warp; band < bands; band += team.warps) {
        countBand(band);
      }
      return;
    case kBeginsOfBands:
      return writeBegins(arguments.begins, bands, units.fault(), team,
                         [&](int band) { return static_cast<uint32_t>(ceilDiv(cellsOf(band), cellsAtOnce)); });
    case kLead:
      return overCells([&](const Cell &cell, int, int) { lead(cell); });
    case kScatterCells:
      return overCells([&](const Cell &cell, int block, int) { write(cell, block); });
    default:
      return;
    }
  }

private:
  const EncodeCellsArguments &arguments;
  Team team;
  Units units;
  int bandRows, cellsAtOnce, bands;

  // A cell: its row and column, its group, its number there, and whether it is the group's last.
  struct Cell {
    int row, column, band, group, number;
    bool last;
  };

  POPSPARSE_DEVICE int rowsOf(int band) const {
    const int left = units.rows - band * bandRows;
    return left < bandRows ? left : bandRows;
  }

  POPSPARSE_DEVICE uint32_t cellsOf(int band) const { return cellsBefore(band, units.columns, 0); }

  // Cells of a band in earlier columns, or in this one and before row `row` of the band.
  POPSPARSE_DEVICE uint32_t cellsBefore(int band, int column, int row) const {
    uint32_t found = 0;
#pragma unroll 1
    for (int r = 0; r < rowsOf(band); ++r) {
      found += units.unitsBefore(band * bandRows + r, r < row ? column + 1 : column);
    }
    return found;
  }

  POPSPARSE_DEVICE void clear() const {
    units.clear(team);
    if (arguments.cells != nullptr) {
      fill(arguments.counts, 3 * arguments.groups, 0u, team);
      fill(arguments.cells, arguments.groups * kSampledWarps * kSampledSlots, uint2{kNoCell, 0}, team);
    } else {
      fill(arguments.rows, 2 * arguments.groups, -1, team);
    }
    if (arguments.places != nullptr) {
      fill(arguments.places, arguments.groups * cellsAtOnce * kPanelRows * kPanelRows, -1, team);
    }
  }

  // The columns in which a band has cells, counted by a warp.
  POPSPARSE_DEVICE void countBand(int band) const {
    uint32_t all = 0;
    const int64_t first = static_cast<int64_t>(band) * units.words;
    for (int begin = 0; begin < units.words; begin += kLanes) {
      const int word = begin + team.lane;
      uint32_t bits = 0;
      for (int r = 0; word < units.words && r < rowsOf(band); ++r) {
        bits |= loadWritten(arguments.pattern.units + static_cast<int64_t>(band * bandRows + r) * units.words + word);
      }
      const uint32_t found = populationCount(bits), earlier = sumOfLanesBefore(found);
      if (word < units.words) {
        store(arguments.bands + first + word, bits);
        store(arguments.bandsBefore + first + band + word, all + earlier);
      }
      all += sumOfLanes(found);
    }
  }

  // Columns before this one in which the band has cells.
  POPSPARSE_DEVICE uint32_t columnsBefore(int band, int column) const {
    const int64_t word = static_cast<int64_t>(band) * units.words + column / kWordBits;
    const uint32_t below = (1u << column % kWordBits) - 1;
    return loadWritten(arguments.bandsBefore + word + band) +
           populationCount(loadWritten(arguments.bands + word) & below);
  }

  // visit(cell, block, which) for each cell that each block covers.
  template <class Visit> POPSPARSE_DEVICE void overCells(const Visit &visit) const {
    const int b = static_cast<int>(arguments.pattern.blockSize);
    const int along = b % kPanelRows == 0 ? b / kPanelRows : (b + kPanelRows - 2) / kPanelRows + 1; // at most
    const int count = units.fault() ? 0 : units.used() * along * along;
#pragma unroll 1
    for (int i = team.thread; i < count; i += team.threads) {
      const int block = i / (along * along), which = i % (along * along);
      const int out = loadConstant(arguments.pattern.out + block) * b,
                in = loadConstant(arguments.pattern.in + block) * b;
      const int row = out / kPanelRows + which / along, column = in / kPanelRows + which % along;
      if (row * kPanelRows < out + b && column * kPanelRows < in + b && row < units.rows && column < units.columns) {
        const int band = row / bandRows;
        const auto number = static_cast<int>(cellsBefore(band, column, row % bandRows));
        const int group = static_cast<int>(loadWritten(arguments.begins + band)) + number / cellsAtOnce;
        const bool last = number % cellsAtOnce == cellsAtOnce - 1 || number + 1 == static_cast<int>(cellsOf(band));
        visit(Cell{row, column, band, group, number % cellsAtOnce, last}, block, which);
      }
    }
  }

  // The first cell of a group says what the group's panels begin with.
  POPSPARSE_DEVICE void lead(const Cell &cell) const {
    if (cell.number != 0 || arguments.cells == nullptr) {
      return;
    }
    const int64_t begin = static_cast<int64_t>(cell.group) * (bandRows + cellsAtOnce);
    store(arguments.firstColumns + cell.group, columnsBefore(cell.band, cell.column));
    store(arguments.counts + 3 * cell.group, static_cast<uint32_t>(begin));
    store(arguments.counts + 3 * cell.group + 1, static_cast<uint32_t>(rowsOf(cell.band)));
    for (int r = 0; r < rowsOf(cell.band); ++r) {
      store(arguments.panels + begin + r, (cell.band * bandRows + r) * kPanelRows);
    }
  }

  POPSPARSE_DEVICE void write(const Cell &cell, int block) const {
    const int64_t number = static_cast<int64_t>(cell.group) * cellsAtOnce + cell.number;
    const auto offset = arguments.places == nullptr ? offsetOf(cell, block) : static_cast<uint32_t>(number);
    if (arguments.places != nullptr) {
      writePlaces(cell, block, arguments.places + number * kPanelRows * kPanelRows);
    }
    if (arguments.cells == nullptr) {
      store(arguments.rows + 2 * number, cell.row * kPanelRows);
      store(arguments.rows + 2 * number + 1, cell.column * kPanelRows);
      store(arguments.offsets + number, offset);
      return;
    }
    const int ofDy = rowsOf(cell.band);
    const uint32_t panel = static_cast<uint32_t>(ofDy) + columnsBefore(cell.band, cell.column) -
                           loadWritten(arguments.firstColumns + cell.group);
    store(arguments.panels + static_cast<int64_t>(cell.group) * (bandRows + cellsAtOnce) + panel,
          cell.column * kPanelRows);
    const int warp = cell.number % kSampledWarps, slot = cell.number / kSampledWarps;
    store(arguments.cells + (static_cast<int64_t>(cell.group) * kSampledWarps + warp) * kSampledSlots + slot,
          uint2{static_cast<uint32_t>(cell.row % bandRows) | panel << 16, offset});
    if (cell.last) {
      store(arguments.counts + 3 * cell.group + 2, panel + 1);
    }
  }

  // Where a part of a block lies, in units of 16 elements.
  POPSPARSE_DEVICE uint32_t offsetOf(const Cell &cell, int block) const {
    const int64_t b = arguments.pattern.blockSize;
    const int64_t row = cell.row * kPanelRows % b, column = cell.column * kPanelRows % b;
    return static_cast<uint32_t>((block * b * b + row * b + column) / kPanelRows);
  }

  // The elements of a block that lie in a cell.
  POPSPARSE_DEVICE void writePlaces(const Cell &cell, int block, int32_t *places) const {
    const int b = static_cast<int>(arguments.pattern.blockSize);
    const int out = loadConstant(arguments.pattern.out + block) * b - cell.row * kPanelRows;
    const int in = loadConstant(arguments.pattern.in + block) * b - cell.column * kPanelRows;
#pragma unroll 1
    for (int r = out < 0 ? 0 : out; r < kPanelRows && r < out + b; ++r) {
#pragma unroll 1
      for (int c = in < 0 ? 0 : in; c < kPanelRows && c < in + b; ++c) {
        store(places + r * kPanelRows + c, (block * b + r - out) * b + c - in);
      }
    }
  }
};

// Grid: any number of blocks; one, or one cluster, where it runs more than one phase. See EncodeCellsArguments.
template <class Machine> POPSPARSE_DEVICE void encodeCells(const EncodeCellsArguments &arguments) {
  const CellEncoder encoder(arguments);
  runPhases<Machine>(arguments.pattern, [&](int phase) { encoder.run(phase); });
}

} // namespace popsparse_py::cuda

#endif
