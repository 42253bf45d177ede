// What each kernel is called with, one struct by value: a Product, then words of 8 bytes. Pointers are device
// addresses.
#ifndef POPSPARSE_PY_CUDA_ARGUMENTS_CUH
#define POPSPARSE_PY_CUDA_ARGUMENTS_CUH

#include <popsparse_device.cuh>

namespace popsparse_py::cuda {

enum Activation : int32_t { kNone = 0, kRelu = 1, kGelu = 2 };

// Y (m, n) = activation(W X + bias); X (k, n) with `xPitch` elements from row to row, a multiple of 16 bytes.
struct Product {
  TensorMap
      xMap;      // boxes of a panel's share of X (slab_ring.cuh), 128-byte swizzle; unused without Machine::kTensorMaps
  const void *x; // (k, n)
  const void *values;
  void *y;           // (m, n), yPitch elements from row to row
  const float *bias; // (m) or null
  int64_t xPitch, yPitch;
  int32_t m, k, n, activation;
  const int32_t *fault; // null, or a word that is not 0 where W's pattern was not sound: then all of Y is NaN
};
static_assert(sizeof(Product) == 256, "the launcher fills it in");

// The slabs of X that each cluster, or block of threads where there are none, needs: ascending; slabs null: every slab,
// in order. Elsewhere a slab is known by its position in this list.
struct SlabList {
  const int32_t *slabs;
  const uint32_t *begins; // (clusters + 1) where those of each begin
};

// Blocks of 16 x 16, 32 x 32 or 64 x 64 that lie at `offset * 16` elements in values, with `valuePitch` elements from
// row to row. A k row: position of the slab * rows of a slab + row of the slab.
struct RowsArguments {
  Product product;
  const uint2 *stream;    // per block: x = first k row | slot << 24, y = offset
  const uint32_t *begins; // (row groups * warps + 1) where the blocks of each warp begin in `stream`, ordered by slab
  const int32_t *rows;    // (row groups, warps, slots) first row of Y of each slot, -1: none
  int64_t valuePitch;
  SlabList list;
};

// Groups of 8 rows times 16 rows of X, gathered from slabs of which the first is less than a span before the last.
struct VectorsArguments {
  Product product;        // values: (entries, 32 lanes, 4) in the order of the lanes' fragments
  const uint32_t *stream; // (entries) position of the last slab that is needed | slot << 24
  const uint16_t *kRows;  // (entries, 16) rows of the ring: (position of the slab * 128 + row) % (stages * 128)
  const uint32_t *begins; // (row groups * warps + 1) those of a warp are ordered by their last slab
  const int32_t *rows;    // (row groups, warps, slots, 8) rows of Y, -1: none
  SlabList list;
};

// y[i] = values[sources[i]], or 0 where sources[i] is negative.
struct GatherArguments {
  Product product;
  const int32_t *sources;
  int64_t count;
};

// Blocks of side x side multiplied in float32 by multiply-adds.
struct ElementsArguments {
  Product product;
  const uint2 *stream;    // per block: x = first k row, y = offset in elements
  const uint32_t *begins; // (block rows + 1)
  const int32_t *rows;    // (block rows) in the order of the work, first row of Y
  int64_t valuePitch, blockRows;
};

// At most kDecodeColumns columns: blocks of 16 x 16 as in RowsArguments, split over k into ranges of `rangeRows`.
struct DecodeArguments {
  Product product;
  const uint2 *stream;    // per block: x = k row inside the range, y = offset
  const uint32_t *begins; // (ranges, block rows + 1)
  float *partials;        // (ranges, m, n), null where there is one range or a cluster adds them
  int64_t valuePitch, blockRows, ranges, rangeRows;
  const int32_t *lines; // as in DecodeVectorsArguments, lines of 16 rows: those of a block in its order
  int64_t linesOfBlock;
};

// At most kDecodeColumns columns: steps of 8 rows of Y, in groups of `side` (1, 4 or 8), each group times 16 rows of X
// of its own, split over k as in DecodeArguments.
struct DecodeVectorsArguments {
  Product product;     // values: (steps, 32 lanes, 4) in the order of the lanes' fragments
  const void *starts;  // uint16 (steps, 16 / side, 8 / side) rows of X in the range, first of `side`; kLastStep
  const uint2 *begins; // (ranges, warps + 1) where a warp begins: x = in the steps, y = in `rows`
  const int32_t *rows; // (.., 8 / side) first rows of Y, in the order of the steps, -1: none
  float *partials;     // (ranges, m, n), null where there is one range or a cluster adds them
  int64_t rangeRows;
  // Where the ranges are the blocks of a cluster, which adds what they give: (blocks along x, lines) first rows of Y,
  // -1: none; `rows` then number these lines, `side` rows each. Null elsewhere.
  const int32_t *lines;
  int64_t linesOfBlock;
};

// y (m, n) = activation(partials summed in their order + bias).
struct ReduceArguments {
  Product product;
  const float *partials; // (ranges, m, n)
  int64_t ranges;
};

// values = dY X^T at cells of 16 x 16 (16-bit elements); dY (m, n) is product.y, only read.
struct SampledArguments {
  Product product;        // x, y and their pitches, m, k, n; values is written
  const int32_t *panels;  // first rows of panels of 16 rows: for each CTA those of dY, then those of X
  const uint32_t *begins; // (CTAs, 3) where a CTA's panels begin in `panels`, how many of them are of dY, and how many
  const uint2 *cells;     // (CTAs, warps, slots) x = panel of dY | panel of X << 16, y = offset; x = ~0: none
  const int32_t *places;  // (cells, 256) elements of values, -1: none, with y = cell; null: cells lie at offset * 16
  int64_t valuePitch, stageBytes;
};

// The same in float32 by multiply-adds.
struct SampledElementsArguments {
  Product product;
  const int32_t *rows;     // (cells, 2) first rows of dY and of X, -1: none
  const uint32_t *offsets; // (cells) as y of SampledArguments' cells
  const int32_t *places;   // as above
  int64_t valuePitch, cells;
};

} // namespace popsparse_py::cuda

#endif
