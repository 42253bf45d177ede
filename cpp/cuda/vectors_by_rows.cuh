// The gathered kernel for X (n, k) and Y (n, m), PyTorch's orientation, and blocks of a multiple of 8: 8 rows of X^T
// that a step gathers at once are 16 bytes of each line of a slab.
#ifndef POPSPARSE_PY_CUDA_VECTORS_BY_ROWS_CUH
#define POPSPARSE_PY_CUDA_VECTORS_BY_ROWS_CUH

#include "vectors.cuh"

namespace popsparse_py::cuda {

// Elements of operands that lie by rows.
template <class Element> struct ByRows : Element {};

// One step: 8 rows of W times two times 8 neighbouring rows of X^T.
struct VectorsStepByRows : VectorsStep {
  POPSPARSE_DEVICE void load(const VectorsArguments &arguments, uint32_t i) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    values = loadOnce(static_cast<const uint2 *>(arguments.product.values) + static_cast<int64_t>(i) * kLanes + lane);
    place = loadConstant(arguments.stream + i);
    row = loadConstant(arguments.kRows + static_cast<int64_t>(i) * 16 + lane / 16 * 8);
  }

  POPSPARSE_DEVICE void left(uint32_t ring, int tile, uint32_t (&a)[kMultiplies][4]) const {
    using Shape = NarrowByRows;
    const int inSlab = row % Shape::kRows, line = 16 * tile + static_cast<int>(threadIdx.x) % 16;
    const int panel = row / Shape::kRows * Shape::kPanels + inSlab / Shape::kPanelRows;
    loadMatrices(
        slabChunk(ring + static_cast<uint32_t>(panel * Shape::kPanelBytes), line, inSlab % Shape::kPanelRows / 8),
        a[0]);
  }
};

template <class Element> struct VectorsScheme<ByRows<Element>> {
  using Step = VectorsStepByRows;
  using Shape = NarrowByRows;

  // 8 x 8 of Y, of which a lane holds two rows that are neighbours, in one column.
  static POPSPARSE_DEVICE void store(const Product &product, const int32_t *rows, int column, float first,
                                     float second) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    storePairOfColumn(product, loadConstant(rows + lane % 4 * 2), column + lane / 4, Element::pack(first, second));
  }
};

} // namespace popsparse_py::cuda

#endif
