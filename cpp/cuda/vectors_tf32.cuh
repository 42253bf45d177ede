// vectors.cuh for float32 in TF32: X is rounded on its way to MMA, values when they are packed.
#ifndef POPSPARSE_PY_CUDA_VECTORS_TF32_CUH
#define POPSPARSE_PY_CUDA_VECTORS_TF32_CUH

#include "vectors.cuh"

namespace popsparse_py::cuda {

// A lane holds the rows of X at 2 (lane % 4) and the next of each half of 16, the k that MMA names lane % 4 and 4 more.
struct Tf32VectorsStep {
  static constexpr int kMultiplies = 2;
  uint4 values;     // of this lane, rounded: two of each half
  uint32_t place;   // last slab | slot << 24
  uint32_t rows[2]; // of the ring, two of each half

  POPSPARSE_DEVICE void load(const VectorsArguments &arguments, uint32_t i) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    values = loadOnce(static_cast<const uint4 *>(arguments.product.values) + static_cast<int64_t>(i) * kLanes + lane);
    place = loadConstant(arguments.stream + i);
    const uint32_t *pairs =
        reinterpret_cast<const uint32_t *>(arguments.kRows) + static_cast<int64_t>(i) * 8 + lane % 4;
    rows[0] = loadConstant(pairs);
    rows[1] = loadConstant(pairs + 4);
  }

  // The rows of a half differ modulo 8, in the order of their places: 4 of them and 8 columns lie in different banks.
  POPSPARSE_DEVICE void left(uint32_t ring, int tile, uint32_t (&a)[kMultiplies][4]) const {
    const int column = static_cast<int>(threadIdx.x) % kLanes / 4, ofPanel = Tf32Slab::kPanelColumns / 16;
    const uint32_t panel = ring + static_cast<uint32_t>(tile / ofPanel * Tf32Slab::kPanelBytes + column % 4 * 4);
#pragma unroll
    for (int e = 0; e < 4 * kMultiplies; ++e) {
      const uint32_t pair = rows[e / 4];
      const int row = static_cast<int>(e % 4 / 2 ? pair >> 16 : pair & 0xffff);
      const int line =
          row + row / Tf32Slab::kRows * ((Tf32Slab::kPanels - 1) * Tf32Slab::kRows); // in units of 128 bytes
      a[e / 4][e % 4] = Tf32::round(loadShared(slabChunk(panel, line, tile % ofPanel * 4 + e % 2 * 2 + column / 4)));
    }
  }

  POPSPARSE_DEVICE uint2 right(int half) const {
    return half == 0 ? uint2{values.x, values.y} : uint2{values.z, values.w};
  }
};

template <> struct VectorsScheme<Tf32> {
  using Step = Tf32VectorsStep;
  using Shape = Tf32Slab;

  // 8 x 8 of Y, of which a lane holds two rows in one column.
  static POPSPARSE_DEVICE void store(const Product &product, const int32_t *rows, int column, float first,
                                     float second) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes, own = column + lane / 4;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = loadConstant(rows + lane % 4 * 2 + i);
      if (row >= 0 && row < product.m && own < product.n) {
        static_cast<float *>(product.y)[row * product.yPitch + own] = i == 0 ? first : second;
      }
    }
  }
};

} // namespace popsparse_py::cuda

#endif
