// Y = W X with blocks of less than 16 rows (16-bit elements): X transposed is the left operand of MMA, so that a step
// is 8 rows of W times any 16 rows of a few slabs of X. Values come packed in the order of the lanes (gather.cuh).
#ifndef POPSPARSE_PY_CUDA_VECTORS_CUH
#define POPSPARSE_PY_CUDA_VECTORS_CUH

#include "epilogue.cuh"
#include "slab_ring.cuh"

namespace popsparse_py::cuda {

// One step: 8 rows of W times 16 rows of X, by kMultiplies products of MMA.
struct VectorsStep {
  static constexpr int kMultiplies = 1;
  uint2 values;   // of this lane
  uint32_t place; // last slab | slot << 24
  int row;        // of the ring, whose address this lane names

  POPSPARSE_DEVICE void load(const VectorsArguments &arguments, uint32_t i) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    values = loadOnce(static_cast<const uint2 *>(arguments.product.values) + static_cast<int64_t>(i) * kLanes + lane);
    place = loadConstant(arguments.stream + i);
    row = loadConstant(arguments.kRows + static_cast<int64_t>(i) * 16 + lane % 8 + lane / 16 * 8);
  }

  // The left operand: 16 columns of X from 16 * tile on; ring: address of its first row.
  POPSPARSE_DEVICE void left(uint32_t ring, int tile, uint32_t (&a)[kMultiplies][4]) const {
    const int half = static_cast<int>(threadIdx.x) % 16 / 8;
    loadMatricesTransposed(slabChunk(ring, row, 2 * tile + half), a[0]);
  }

  POPSPARSE_DEVICE uint2 right(int) const { return values; }
};

// How a type of elements is multiplied: a step, and the slabs of X.
template <class Element> struct VectorsScheme {
  using Step = VectorsStep;
  using Shape = NarrowSlab;

  // 8 x 8 of Y, of which a lane holds two rows (pair) in one column; transposed, two columns of `row`.
  static POPSPARSE_DEVICE void store(const Product &product, const int32_t *rows, int column, float first,
                                     float second) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    storePair(product, loadConstant(rows + lane / 4), column + lane % 4 * 2,
              transposeMatrix(Element::pack(first, second)));
  }
};

template <class Element, class Machine> struct VectorsProduct {
  using Step = typename VectorsScheme<Element>::Step;
  using Shape = typename VectorsScheme<Element>::Shape;
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

  POPSPARSE_DEVICE void multiply(const Step &step, uint32_t ring) {
    const int slot = static_cast<int>(step.place >> 24);
    uint32_t a[kTiles][Step::kMultiplies][4];
#pragma unroll
    for (int j = 0; j < kTiles; ++j) {
      step.left(ring, j, a[j]);
    }
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      if (slot == s) { // the same for the whole warp
#pragma unroll
        for (int i = 0; i < Step::kMultiplies; ++i) {
#pragma unroll
          for (int j = 0; j < kTiles; ++j) {
            const uint2 b = step.right(i);
            Element::multiply(sums[s][j], a[j][i], b.x, b.y);
          }
        }
      }
    }
  }

  POPSPARSE_DEVICE void stream(const VectorsArguments &arguments, Ring &ring, uint32_t begin, uint32_t end) {
    Step steps[kAhead];
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
        const Step step = steps[p];
        if (i + p + kAhead < end) {
          steps[p].load(arguments, i + p + kAhead);
        }
        ring.template reach<Ring::kSpan>(static_cast<int>(step.place & 0xffffff));
        multiply(step, ring.memory(0));
      }
    }
  }

  POPSPARSE_DEVICE void store(const VectorsArguments &arguments, int warp, int firstColumn) {
    const Product &product = arguments.product;
    const int pair = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int32_t *rows = arguments.rows + (static_cast<int64_t>(warp) * kSlots + s) * 8;
      const float bias0 = biasOf(product, loadConstant(rows + pair));
      const float bias1 = biasOf(product, loadConstant(rows + pair + 1));
#pragma unroll
      for (int j = 0; j < 2 * kTiles; ++j) {
        const float *both = sums[s][j / 2] + 2 * (j % 2);
        VectorsScheme<Element>::store(product, rows, firstColumn + 8 * j,
                                      activated(both[0] + bias0, product.activation),
                                      activated(both[1] + bias1, product.activation));
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
