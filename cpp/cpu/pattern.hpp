// Where the blocks of a matrix lie.
#ifndef POPSPARSE_PY_CPU_PATTERN_HPP
#define POPSPARSE_PY_CPU_PATTERN_HPP

#include <cstdint>
#include <vector>

namespace popsparse_py::cpu {

constexpr std::int64_t kBandColumns =
    224; // few enough that their rows of x stay near, enough for full vectors of results

// Block rows in order, columns ascending within each. Blocks at the edges of a ragged shape reach beyond it.
struct Pattern {
  std::int64_t rows = 0, columns = 0; // m, k
  std::int32_t blockRows = 1, blockColumns = 1;
  std::vector<std::int64_t> offsets;     // (rowsOfBlocks() + 1)
  std::vector<std::int32_t> blockColumn; // (offsets.back())

  std::int64_t rowsOfBlocks() const { return (rows + blockRows - 1) / blockRows; }
  std::int64_t columnsOfBlocks() const { return (columns + blockColumns - 1) / blockColumns; }
  std::int64_t blocks() const { return static_cast<std::int64_t>(blockColumn.size()); }
  std::int64_t blockElements() const { return std::int64_t{blockRows} * blockColumns; }

  // A dense pattern of single elements is also kept cut into bands of kBandColumns columns, so that their part of an x
  // stays near: (bands + 1, rows) first block of each row in each band. Else empty.
  std::vector<std::int64_t> bandOffsets;
  void cutBands();

  // Throws std::invalid_argument, naming the first entry that is wrong; everything that follows relies on it.
  void check() const;
};

} // namespace popsparse_py::cpu

#endif
