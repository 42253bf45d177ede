// Y = W X by multiply-adds in float32, for blocks of any size: a warp owns `side` rows of Y and 128 columns.
#ifndef POPSPARSE_PY_CUDA_ELEMENTS_CUH
#define POPSPARSE_PY_CUDA_ELEMENTS_CUH

#include "epilogue.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

constexpr int kElementsWarps = 4;
constexpr int kElementsThreads = kElementsWarps * kLanes;
constexpr int kElementsColumns = 4 * kLanes; // of a warp

struct Float32 {
  using Stored = float;
  static POPSPARSE_DEVICE float widen(float value) { return value; }

  // Four neighbours of a row of X.
  static POPSPARSE_DEVICE void loadFour(const float *from, float (&to)[4]) {
    const float4 found = loadConstant(reinterpret_cast<const float4 *>(from));
    to[0] = found.x, to[1] = found.y, to[2] = found.z, to[3] = found.w;
  }

  static POPSPARSE_DEVICE void storeFour(const Product &product, int row, int column, const float (&values)[4]) {
    float *y = static_cast<float *>(product.y) + row * product.yPitch + column;
    if (column + 3 < product.n && (product.yPitch & 3) == 0) {
      *reinterpret_cast<float4 *>(y) = float4{values[0], values[1], values[2], values[3]};
      return;
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (column + c < product.n) {
        y[c] = values[c];
      }
    }
  }
};

// 16-bit elements, widened before they are multiplied.
template <class Element> struct Widened {
  using Stored = uint16_t;
  static POPSPARSE_DEVICE float widen(uint16_t value) { return Element::widen(value); }

  static POPSPARSE_DEVICE void loadFour(const uint16_t *from, float (&to)[4]) {
    const uint2 found = loadConstant(reinterpret_cast<const uint2 *>(from));
    to[0] = widen(static_cast<uint16_t>(found.x)), to[1] = widen(static_cast<uint16_t>(found.x >> 16));
    to[2] = widen(static_cast<uint16_t>(found.y)), to[3] = widen(static_cast<uint16_t>(found.y >> 16));
  }

  static POPSPARSE_DEVICE void storeFour(const Product &product, int row, int column, const float (&values)[4]) {
    storePair(product, row, column, Element::pack(values[0], values[1]));
    storePair(product, row, column + 2, Element::pack(values[2], values[3]));
  }
};

template <class Element, int side, bool transposed> struct ElementsProduct {
  using Stored = typename Element::Stored;
  float sums[side][4];

  // Adds rows [row, row + depth) of X times their part of W; weights: [row of Y][of X].
  template <int depth>
  POPSPARSE_DEVICE void add(const Product &product, int row, int column, const float (&weights)[side][depth]) {
#pragma unroll
    for (int d = 0; d < depth; ++d) {
      if (row + d >= product.k) { // a block may reach beyond the edge of W
        break;
      }
      float x[4];
      Element::loadFour(static_cast<const Stored *>(product.x) + (row + d) * product.xPitch + column, x);
#pragma unroll
      for (int i = 0; i < side; ++i) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          sums[i][c] += weights[i][d] * x[c];
        }
      }
    }
  }

  POPSPARSE_DEVICE void addBlock(const ElementsArguments &arguments, uint2 place, int column) {
    const Stored *values = static_cast<const Stored *>(arguments.product.values) + place.y;
    const int row = static_cast<int>(place.x);
    if constexpr (side == 1) {
      const float weights[1][1] = {{Element::widen(loadConstant(values))}};
      add(arguments.product, row, column, weights);
    } else {
#pragma unroll 1
      for (int d = 0; d < side; d += 4) {
        float weights[side][4];
        loadWeights(values, arguments.valuePitch, d, weights);
        add(arguments.product, row + d, column, weights);
      }
    }
  }

  // All rows of W's block and 4 of its columns from d on; of the transpose.
  static POPSPARSE_DEVICE void loadWeights(const Stored *values, int64_t pitch, int d, float (&weights)[side][4]) {
    if constexpr (transposed) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
#pragma unroll
        for (int i = 0; i < side; i += 4) {
          float four[4];
          Element::loadFour(values + (d + e) * pitch + i, four);
#pragma unroll
          for (int f = 0; f < 4; ++f) {
            weights[i + f][e] = four[f];
          }
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < side; ++i) {
        Element::loadFour(values + i * pitch + d, weights[i]);
      }
    }
  }
};

// Grid: (ceil(n / kElementsColumns), ceil(block rows / kElementsWarps)). See ElementsArguments.
template <class Element, int side, bool transposed>
POPSPARSE_DEVICE void multiplyElements(const ElementsArguments &arguments) {
  const Product &product = arguments.product;
  const int thread = static_cast<int>(threadIdx.x);
  const int place = static_cast<int>(blockIdx.y) * kElementsWarps + thread / kLanes;
  const int column = static_cast<int>(blockIdx.x) * kElementsColumns + thread % kLanes * 4;
  if (place >= arguments.blockRows || column >= product.n) {
    return;
  }
  ElementsProduct<Element, side, transposed> block{};
  const uint32_t end = loadConstant(arguments.begins + place + 1);
#pragma unroll 1
  for (uint32_t i = loadConstant(arguments.begins + place); i < end; ++i) {
    block.addBlock(arguments, loadConstant(arguments.stream + i), column);
  }
  const int first = loadConstant(arguments.rows + place);
#pragma unroll
  for (int i = 0; i < side; ++i) {
    if (first + i < product.m) {
      const float bias = biasOf(product, first + i);
      float values[4];
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        values[c] = activated(block.sums[i][c] + bias, product.activation);
      }
      Element::storeFour(product, first + i, column, values);
    }
  }
}

} // namespace popsparse_py::cuda

#endif
