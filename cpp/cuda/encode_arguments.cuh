// What the kernels that encode a pattern on the device are called with. Every array has a size that follows from the
// shape, the block size and the number of slots, never from the pattern.
#ifndef POPSPARSE_PY_CUDA_ENCODE_ARGUMENTS_CUH
#define POPSPARSE_PY_CUDA_ENCODE_ARGUMENTS_CUH

#include "arguments.cuh"

namespace popsparse_py::cuda {

// Bits of the fault word: what was wrong with a pattern.
enum Fault : uint32_t { kBeyondCapacity = 1, kOutsideGrid = 2, kTwice = 4 };

// A pattern, and the grid of units that its blocks cover: pieces of blocks, or groups of rows and cells, which blocks
// may share. Kernels run phases [first, last) with all their threads; several run in one block, or in one cluster.
struct PatternArguments {
  const int32_t *out, *in; // (slots) where each block lies along Y and along X, in blocks
  const int32_t *nnz;      // (1) slots that count
  int64_t slots, blockSize;
  int64_t unitRows, unitColumns; // of Y and of X, in a unit
  int64_t classes;               // columns of units of one class, by their number modulo this, stand together
  uint32_t *units;               // (rows of units, words) a bit for each unit that a block covers
  uint32_t *blocks;              // the same for whole blocks, null where no two blocks share a unit
  uint32_t *before;              // (rows of units, words + 1) units of the row in earlier words
  uint32_t *fault;               // (2) what is wrong (Fault), and slots that count
  int64_t first, last;
};

// Rows of units dealt to owners: warps, warpgroups, or whoever multiplies block rows. Each `share` rows, one behind the
// other, go to `shareOwners` owners.
struct DealArguments {
  uint32_t *work;   // (rows of units) how much there is to do
  int32_t *place;   // (rows of units) owner * slots + slot
  int32_t *order;   // (owners * slots) row of units, -1: none
  uint32_t *begins; // (ranges * (owners + 1)), for one range owners + 1
  int64_t owners, slots, share, shareOwners;
  int64_t ranked; // 1: the heaviest rows of a share first, to and fro; 0: in their order
};

// The lists of RowsArguments, ElementsArguments or DecodeArguments; units are pieces of side x side.
struct EncodeStreamArguments {
  Product product; // m, k: rows of Y and of X
  PatternArguments pattern;
  DealArguments dealt;
  int32_t *rows; // (owners * slots) first row of Y, -1: none; may be null
  uint2 *stream; // (slots of the pattern * pieces of a block)
  int64_t ranges, rangeUnits;
  int64_t transposed; // 0 or 1
  int64_t offsetUnit; // elements that the stream counts offsets in
  // The slabs of X that each cluster of the product needs; null: rows of X are named as they are numbered.
  uint32_t *slabBits;   // (clusters, words)
  uint32_t *slabStarts; // (clusters * words + 1) slabs of earlier words
  int32_t *slabs;       // (clusters * slabs of X) as SlabList, and
  uint32_t *slabBegins; // (clusters + 1)
  int64_t slabRows, clusterOwners;
};

// The lists of VectorsArguments; units are 8 rows of Y times side rows of X. A step takes two units of each class, all
// of one window: rows of X that the ring holds at once.
struct EncodeVectorsArguments {
  Product product;
  PatternArguments pattern;
  DealArguments dealt;
  int32_t *rows;         // (owners * slots, 8)
  uint32_t *stepsBefore; // (rows of units, windows + 1) steps in earlier windows << 3 | largest class of this one
  uint32_t *stream;      // (most steps)
  uint16_t *kRows;       // (most steps, 16)
  uint32_t *codes;       // (slots of the pattern * pieces of a block) where values go: see packValues
  uint32_t *packed;      // (most steps, 64) two values each
  int64_t steps, windowRows, slabRows, ringRows;
  int64_t transposed; // 0 or 1
};

// Values put where the gathered kernel reads them: product.values (slots, b, b) to product.y. A code names the step,
// the row of Y and the column of the first value of a piece: step * 128 + row * 16 + column; ~0: beyond X or Y.
struct PackArguments {
  Product product; // fault: not 0 where there are no codes
  const uint32_t *codes;
  const uint32_t *used; // (1) slots that count
  int64_t blockSize, side;
  int64_t transposed; // 0 or 1
};

// The lists of SampledArguments, or of SampledElementsArguments; units are cells of 16 x 16, those of a band of rows
// ordered by column, then row. Each block of threads of the product, a group, takes `cellsAtOnce` of them.
struct EncodeCellsArguments {
  Product product; // m, k: rows of dY and of X
  PatternArguments pattern;
  uint32_t *bands;        // (bands, words) columns in which a row of the band has a cell
  uint32_t *bandsBefore;  // (bands, words + 1) such columns in earlier words
  uint32_t *begins;       // (bands + 1) groups of earlier bands
  uint32_t *firstColumns; // (groups) such columns of the band before the group's first cell
  int32_t *panels;        // (groups, bandRows + cellsAtOnce)
  uint32_t *counts;       // (groups, 3) as SampledArguments' begins
  uint2 *cells;           // (groups, cells of a block of threads) x = ~0: none; null for the other kernel
  int32_t *rows;          // (groups, 2) and
  uint32_t *offsets;      // (groups) of the other kernel, whose groups are one cell; rows -1: none
  int32_t *places;        // (groups * cellsAtOnce, 256); null: cells are whole parts of blocks
  int64_t bandRows, cellsAtOnce, groups;
};

} // namespace popsparse_py::cuda

#endif
