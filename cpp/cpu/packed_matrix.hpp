// A block-sparse matrix in the order in which the kernels read it.
#ifndef POPSPARSE_PY_CPU_PACKED_MATRIX_HPP
#define POPSPARSE_PY_CPU_PACKED_MATRIX_HPP

#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "kernels.hpp"
#include "pattern.hpp"

namespace popsparse_py::cpu {

// How a matrix is laid out and multiplied; chosen by the plan.
struct Schedule {
  std::int32_t tileRows = 1, tileVectors = 1; // of the sums that a kernel holds in registers
  std::int32_t chunkBlocks = 0;               // see PanelJob
  std::int32_t bandBlocks = 0;   // block columns whose part of x is used by all block rows before the next; 0: all
  std::int64_t panelColumns = 0; // columns of x taken at a time; 0: all
  bool packPanels = false;       // copy each panel of x to contiguous memory
  bool packMisaligned = false;   // the same, only where rows of x do not begin on cache lines
  bool byRows = false;           // x and y have a row for each sample; tileRows is the tier's vector
};

// W (or its transpose) with its values as float, see PanelJob for their order. Blocks of one band of block columns
// after the other; within a band, of one block row after the other.
class PackedMatrix {
public:
  // Throws std::invalid_argument if pattern or schedule are wrong. Values: setValues.
  PackedMatrix(Pattern pattern, bool transposed, const Schedule &schedule, const Kernels &kernels);

  // values: (blocks, blockRows, blockColumns) of the pattern as it was given.
  void setValues(const void *values, Dtype dtype, int threads);

  std::int64_t rows() const { return rows_; } // m, or k if transposed
  std::int64_t columns() const { return columns_; }
  std::int64_t blocks() const { return static_cast<std::int64_t>(order_.size()); }
  std::int64_t elements() const { return blocks() * blockRows_ * steps_; }
  std::int64_t rowsOfBlocks() const { return (rows_ + blockRows_ - 1) / blockRows_; }
  std::int32_t blockRows() const { return blockRows_; }
  std::int64_t bands() const { return bands_; }
  std::int64_t packedBytes() const;
  const Schedule &schedule() const { return schedule_; }
  const Kernels &kernels() const { return *kernels_; }
  // Block rows [result[i], result[i + 1]) hold about equal shares of the blocks.
  std::vector<std::int64_t> shares(std::int64_t parts) const;
  // The parts of a job that depend on the matrix alone.
  PanelJob job(std::int64_t band) const;

private:
  void arrange(const Pattern &pattern);
  void packBlock(const float *block, std::int64_t packed, std::int64_t segment, std::int64_t segmentBlocks);
  void packElements(const float *values, std::int64_t first, std::int64_t last);
  void packSegments(const float *values, std::int64_t first, std::int64_t last);
  std::int64_t rowTiles() const { return (blockRows_ + schedule_.tileRows - 1) / schedule_.tileRows; }
  std::int64_t packedBlockFloats() const { return rowTiles() * schedule_.tileRows * steps_; }

  bool transposed_;
  Schedule schedule_;
  const Kernels *kernels_;
  std::int64_t rows_, columns_, bands_;
  std::int32_t blockRows_, steps_;
  std::vector<std::int64_t> offsets_;   // (bands, block rows + 1)
  std::vector<std::int64_t> rowBlocks_; // (block rows + 1) blocks before each block row, over all bands
  std::vector<std::int32_t> firstRows_; // (blocks) of x
  std::vector<std::int64_t> order_;     // (blocks) position in the pattern
  FloatBuffer values_;
};

} // namespace popsparse_py::cpu

#endif
