// What the drivers hand to the kernels: plain data only, because this header is seen by files of every instruction set.
#ifndef POPSPARSE_PY_CPU_JOBS_HPP
#define POPSPARSE_PY_CPU_JOBS_HPP

#include <cstddef>
#include <cstdint>

namespace popsparse_py::cpu {

enum class Dtype : std::uint8_t { Float32, Float16, Bfloat16 };
enum class Activation : std::uint8_t { None, Relu, Gelu };

// Elements from one dense array; strides count elements.
struct DenseView {
  const void *data;
  Dtype dtype;
  std::ptrdiff_t rowStride, columnStride;
};

struct OutputView {
  void *data;
  Dtype dtype;
  std::ptrdiff_t rowStride, columnStride;
};

// y[row, :] += W[row, :] x for some block rows and the columns of one panel.
// Values of a block row with L blocks: [row tile][L blocks][steps][tile rows], padded with zeros to whole row tiles.
struct PanelJob {
  const std::int64_t *offsets;   // (block rows + 1) first block of each
  const std::int32_t *firstRows; // (blocks) first row of x that the block multiplies
  const float *values;
  std::int64_t firstBlockRow, lastBlockRow; // [first, last)
  std::int32_t blockRows;                   // rows of a block
  std::int32_t steps;                       // columns of a block
  std::int32_t tailFirstRow;                // a block that starts here has only tailSteps columns; -1: there is none
  std::int32_t tailSteps;
  std::int32_t chunkBlocks; // blocks that all row tiles of a block row use before the next ones; 0: all
  const void *x;            // elements of the kernel's dtype; columns: whole vectors of them unless they are float
  std::size_t xStride;
  float *y; // row 0 of firstBlockRow
  std::size_t yStride;
  // Where finished sums go, row 0 of firstBlockRow, in the kernel's 16-bit dtype: y then only has room for one block
  // row of unfinished ones. Null: results stay in y.
  std::uint16_t *half;
  std::size_t halfStride;
  std::int64_t columns;
  std::int64_t rows; // of W: rows from here on do not exist
  bool accumulate;   // y holds an earlier part of the sum
  bool last;         // the sum is complete: apply bias and activation
  Activation activation;
  const float *bias; // (rows) or null
};

// y = activation(x W^T + bias), x and y with a row for each sample: rows of W lie along the vectors, so that nothing is
// transposed. Values as in PanelJob, with a vector of rows in a row tile.
struct RowsJob {
  const std::int64_t *offsets;
  const std::int32_t *firstRows; // (blocks) first element of a row of x that the block multiplies
  const float *values;
  std::int64_t firstBlockRow, lastBlockRow;
  std::int32_t blockRows, steps; // blockRows: whole vectors
  std::int32_t tailFirstRow, tailSteps;
  const float *x;
  std::size_t xStride;
  OutputView y; // (rows of W, samples), the rows contiguous
  std::int64_t samples, rows;
  Activation activation;
  const float *bias; // (rows) or null
};

// out[r * columns + c] = sum over n of dy[row r] * x[row c], for `rows` rows of dy and any number of rows of x.
struct SampleJob {
  const float *dy; // first row
  std::size_t dyStride;
  std::int32_t rows; // that exist
  const float *x;
  std::size_t xStride;
  const std::int32_t *firstRows; // (blocks) first row of x of each block
  std::int64_t blocks;
  std::int32_t blockRows, steps; // shape of a block of `out`
  std::int32_t tailFirstRow, tailSteps;
  std::int64_t columns; // n
  float *out;           // (blocks, blockRows, steps)
  bool accumulate;
};

// The same for whole blocks, with a row of dy and of x for each of n samples.
struct SampleRowsJob {
  const float *dy; // first column: that of the first row of the blocks
  std::size_t dyStride;
  const float *x;
  std::size_t xStride;
  const std::int32_t *firstRows; // (blocks) first column of x of each block
  std::int64_t blocks;
  std::int32_t blockRows, steps; // whole vectors
  std::int64_t samples;
  float *out;
  bool accumulate;
};

// Rows [firstRow, lastRow) of x, columns [firstColumn, firstColumn + columns), as float into panel.
struct GatherJob {
  DenseView x;
  std::int64_t firstRow, lastRow, firstColumn, columns;
  float *panel; // row 0 of firstRow; padded with zeros up to stride
  std::size_t stride;
};

// A panel of results, written to y with its dtype and strides.
struct ScatterJob {
  const float *panel;
  std::size_t stride;
  std::int64_t firstRow, lastRow, firstColumn, columns;
  OutputView y;
};

} // namespace popsparse_py::cpu

#endif
