#include "pattern.hpp"

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace popsparse_py::cpu {

namespace {

constexpr std::int64_t kBlocksForBands = 40; // of a row in a band: fewer leave vectors of results half empty
constexpr std::int64_t kMostBlockSide = 4096;
constexpr std::int64_t kMostRows = std::numeric_limits<std::int32_t>::max() - kMostBlockSide;

template <class... Parts> [[noreturn]] void refuse(const Parts &...parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::invalid_argument(message.str());
}

void checkShape(const Pattern &pattern) {
  if (pattern.rows < 0 || pattern.columns < 0 || pattern.rows > kMostRows || pattern.columns > kMostRows) {
    refuse("a pattern has 0 to ", kMostRows, " rows and columns, got ", pattern.rows, " x ", pattern.columns);
  }
  const std::int64_t rows = pattern.blockRows, columns = pattern.blockColumns;
  if (rows < 1 || columns < 1 || rows > kMostBlockSide || columns > kMostBlockSide) {
    refuse("a block has 1 to ", kMostBlockSide, " rows and columns, got ", rows, " x ", columns);
  }
}

void checkRow(const Pattern &pattern, std::size_t row) {
  const std::int64_t count = pattern.columnsOfBlocks();
  std::int64_t before = -1;
  for (auto q = static_cast<std::size_t>(pattern.offsets[row]); q < static_cast<std::size_t>(pattern.offsets[row + 1]);
       ++q) {
    const std::int64_t column = pattern.blockColumn[q];
    if (column < 0 || column >= count) {
      refuse("block ", q, ": block column ", column, " is not one of the ", count, " of the matrix");
    }
    if (column <= before) {
      refuse("block ", q, ": block column ", column, " does not come after ", before, " in block row ", row);
    }
    before = column;
  }
}

} // namespace

void Pattern::check() const {
  checkShape(*this);
  const auto count = static_cast<std::size_t>(rowsOfBlocks());
  if (offsets.size() != count + 1) {
    refuse("expected ", count + 1, " row offsets for ", count, " block rows, got ", offsets.size());
  }
  if (offsets.front() != 0 || offsets.back() != blocks()) {
    refuse("row offsets must go from 0 to the ", blocks(), " blocks, got ", offsets.front(), " to ", offsets.back());
  }
  for (std::size_t row = 0; row < count; ++row) {
    if (offsets[row] > offsets[row + 1]) {
      refuse("row offset ", row + 1, " is ", offsets[row + 1], ", less than the one before, ", offsets[row]);
    }
  }
  for (std::size_t row = 0; row < count; ++row) {
    checkRow(*this, row);
  }
}

void Pattern::cutBands() {
  const std::int64_t bands = (columns + kBandColumns - 1) / kBandColumns;
  bandOffsets.clear();
  if (blockElements() != 1 || bands < 2 || rows == 0 || blocks() < kBlocksForBands * rows * bands) {
    return;
  }
  bandOffsets.reserve(static_cast<std::size_t>((bands + 1) * rows));
  bandOffsets.assign(offsets.begin(), offsets.end() - 1);
  for (std::int64_t band = 1; band <= bands; ++band) {
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
      const auto end = blockColumn.begin() + offsets[row + 1];
      const auto begin = blockColumn.begin() + bandOffsets[static_cast<std::size_t>((band - 1) * rows) + row];
      bandOffsets.push_back(std::lower_bound(begin, end, band * kBandColumns) - blockColumn.begin());
    }
  }
}

} // namespace popsparse_py::cpu
