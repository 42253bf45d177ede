// rows.cuh for float32 in TF32: both operands are rounded on their way from memory to MMA, sums are float32.
#ifndef POPSPARSE_PY_CUDA_ROWS_TF32_CUH
#define POPSPARSE_PY_CUDA_ROWS_TF32_CUH

#include "rows.cuh"

namespace popsparse_py::cuda {

// As RowsBlock, in steps of 8 along k. A lane's two columns of W are neighbours, not the two 4 columns apart that MMA
// names: k is taken in another order, the same for X.
template <int side, bool transposed> struct Tf32Block {
  static constexpr int kPieces = side / 16, kDepth = 8, kAhead = side == 16 ? 2 : 1;
  static constexpr bool kKeepsX = side == 16, kInPlace = true; // as registers allow
  uint32_t parts[side / kDepth][kPieces][4];                   // in the order of the left operand, not rounded yet

  POPSPARSE_DEVICE void load(const void *values, uint32_t offset, int64_t pitch) {
#pragma unroll
    for (int step = 0; step < side / kDepth; ++step) {
      loadStep(step, values, offset, pitch);
    }
  }

  POPSPARSE_DEVICE void loadStep(int step, const void *values, uint32_t offset, int64_t pitch) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes, column = kDepth * step + 2 * (lane % 4);
    const uint32_t *first = static_cast<const uint32_t *>(values) + static_cast<int64_t>(offset) * 16;
#pragma unroll
    for (int r = 0; r < 2 * kPieces; ++r) {
      const int row = 8 * r + lane / 4;
      uint32_t(&to)[4] = parts[step][r / 2];
      if constexpr (transposed) {
        to[r % 2] = loadConstant(first + column * pitch + row);
        to[r % 2 + 2] = loadConstant(first + (column + 1) * pitch + row);
      } else {
        const uint2 pair = loadOnce(reinterpret_cast<const uint2 *>(first + row * pitch + column));
        to[r % 2] = pair.x, to[r % 2 + 2] = pair.y;
      }
    }
  }

  POPSPARSE_DEVICE void operand(int rows, int step, uint32_t (&a)[4]) const {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      a[e] = Tf32::round(parts[step][rows][e]);
    }
  }

  // Rows [first, first + 8) of a slab, rounded: 4 rows and 8 columns at a time, all in different banks.
  template <class Shape, int tiles>
  static POPSPARSE_DEVICE void loadX(uint32_t slab, int first, uint32_t (&to)[tiles][2]) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes, row = first + 2 * (lane % 4), column = lane / 4;
#pragma unroll
    for (int j = 0; j < tiles; ++j) {
      const uint32_t panel = slab + static_cast<uint32_t>(j / 4 * Shape::kPanelBytes + column % 4 * 4);
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        to[j][e] = Tf32::round(loadShared(slabChunk(panel, row + e, j % 4 * 2 + column / 4)));
      }
    }
  }

  static POPSPARSE_DEVICE int yRow(int second) { return static_cast<int>(threadIdx.x) % kLanes / 4 + 8 * second; }
};

template <int side, bool transposed> struct RowsScheme<Tf32, side, transposed, false> {
  using Block = Tf32Block<side, transposed>;
};

} // namespace popsparse_py::cuda

#endif
