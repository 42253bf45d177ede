// Y = W X with blocks of less than 16 rows (16-bit elements): X transposed is the left operand of MMA, so that a step
// is 8 rows of W times any 16 rows of a few slabs of X. Values come packed in the order of the lanes (gather.cuh).
#ifndef POPSPARSE_PY_CUDA_VECTORS_CUH
#define POPSPARSE_PY_CUDA_VECTORS_CUH

#include "epilogue.cuh"
#include "slab_ring.cuh"

namespace popsparse_py::cuda {

// One step: 8 rows of W times 16 rows of X.
struct VectorsStep {
  uint2 values;   // of this lane
  uint32_t place; // last slab | slot << 24
  int row;        // of the ring, whose address this lane names

  POPSPARSE_DEVICE void load(const VectorsArguments &arguments, uint32_t i) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    values = loadOnce(static_cast<const uint2 *>(arguments.product.values) + static_cast<int64_t>(i) * kLanes + lane);
    place = loadConstant(arguments.stream + i);
    row = loadConstant(arguments.kRows + static_cast<int64_t>(i) * 16 + lane % 8 + lane / 16 * 8);
  }
};

template <class Element, class Machine> struct VectorsProduct {
  using Shape = NarrowSlab;
  using Ring = SlabRing<Machine, Shape>;
  static constexpr int kTiles = Shape::kColumns / 16;
  static constexpr int kSlots = Machine::kAccumulators / (kTiles * 4);
  static constexpr int kAhead = 4; // steps under way
  float sums[kSlots][kTiles][4];   // rows are columns of X

  POPSPARSE_DEVICE void clear() {
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          sums[s][j][e] = 0.0f;
        }
      }
    }
  }

  // ring: address of its first row.
  POPSPARSE_DEVICE void multiply(const VectorsStep &step, uint32_t ring) {
    const int half = static_cast<int>(threadIdx.x) % 16 / 8, slot = static_cast<int>(step.place >> 24);
    uint32_t a[kTiles][4];
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      loadMatricesTransposed(slabChunk(ring, step.row, 2 * j + half), a[j]);
    }
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      if (slot == s) { // the same for the whole warp
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          Element::multiply(sums[s][j], a[j], step.values.x, step.values.y);
        }
      }
    }
  }

  POPSPARSE_DEVICE void stream(const VectorsArguments &arguments, Ring &ring, uint32_t begin, uint32_t end) {
    VectorsStep steps[kAhead];
#pragma unroll
    for (int p = 0; p < kAhead; ++p) {
      if (begin + p < end) {
        steps[p].load(arguments, begin + p);
      }
    }
    for (uint32_t i = begin; i < end; i += kAhead) {
#pragma unroll
      for (int p = 0; p < kAhead; ++p) {
        if (i + p >= end) {
          break;
        }
        const VectorsStep step = steps[p];
        if (i + p + kAhead < end) {
          steps[p].load(arguments, i + p + kAhead);
        }
        ring.template reach<Ring::kSpan>(static_cast<int>(step.place & 0xffffff));
        multiply(step, ring.memory(0));
      }
    }
  }

  // A lane holds two rows of Y in one column; transposed, two columns of one row.
  POPSPARSE_DEVICE void store(const VectorsArguments &arguments, int warp, int firstColumn) {
    const Product &product = arguments.product;
    const int lane = static_cast<int>(threadIdx.x) % kLanes, column = firstColumn + lane % 4 * 2;
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int32_t *rows = arguments.rows + (static_cast<int64_t>(warp) * kSlots + s) * 8;
      const int row = loadConstant(rows + lane / 4);
      const float bias0 = biasOf(product, loadConstant(rows + lane % 4 * 2));
      const float bias1 = biasOf(product, loadConstant(rows + lane % 4 * 2 + 1));
#pragma unroll
      for (int j = 0; j < 2 * kTiles; ++j) {
        const float *pair = sums[s][j / 2] + 2 * (j % 2);
        const uint32_t both = Element::pack(activated(pair[0] + bias0, product.activation),
                                            activated(pair[1] + bias1, product.activation));
        storePair(product, row, column + 8 * j, transposeMatrix(both));
      }
    }
  }
};

// Grid: (ceil(n / columns of a slab), row groups). See VectorsArguments.
template <class Element, class Machine> POPSPARSE_DEVICE void multiplyVectors(const VectorsArguments &arguments) {
  using Work = VectorsProduct<Element, Machine>;
  overSlabs<Machine, typename Work::Shape>(arguments.product, arguments.list, [&](auto &ring, int warp, int column) {
    const int place = static_cast<int>(blockIdx.y) * kConsumerWarps + warp;
    Work product;
    product.clear();
    product.stream(arguments, ring, loadConstant(arguments.begins + place), loadConstant(arguments.begins + place + 1));
    ring.template finish<Work::Ring::kSpan>();
    product.store(arguments, place, column);
  });
}

} // namespace popsparse_py::cuda

#endif
