// Bias, activation and the store of results.
#ifndef POPSPARSE_PY_CUDA_EPILOGUE_CUH
#define POPSPARSE_PY_CUDA_EPILOGUE_CUH

#include "arguments.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

// Whether the pattern was found unsound when it was encoded: then no result may look like one.
POPSPARSE_DEVICE bool hasFault(const Product &product) {
  return product.fault != nullptr && loadConstant(product.fault) != 0;
}

// What is added to every element of a row of Y.
POPSPARSE_DEVICE float biasOf(const Product &product, int row) {
  if (hasFault(product)) {
    return notANumber();
  }
  return product.bias != nullptr && row >= 0 && row < product.m ? loadConstant(product.bias + row) : 0.0f;
}

POPSPARSE_DEVICE float activated(float value, int activation) {
  if (activation == kRelu) {
    return value < 0.0f ? 0.0f : value; // keeps a NaN
  }
  return activation == kGelu ? 0.5f * value * (1.0f + erff(value * 0.70710678f)) : value;
}

// Two neighbours in memory, in 16-bit elements, of which `left` are to be written.
POPSPARSE_DEVICE void storeNeighbours(uint16_t *y, bool aligned, int left, uint32_t both) {
  if (left > 1 && aligned) {
    *reinterpret_cast<uint32_t *>(y) = both;
    return;
  }
  y[0] = static_cast<uint16_t>(both);
  if (left > 1) {
    y[1] = static_cast<uint16_t>(both >> 16);
  }
}

// Two neighbours of a row of Y; what lies beyond Y is left out.
POPSPARSE_DEVICE void storePair(const Product &product, int row, int column, uint32_t both) {
  if (row >= 0 && row < product.m && column < product.n) {
    uint16_t *y = static_cast<uint16_t *>(product.y) + row * product.yPitch + column;
    storeNeighbours(y, (product.yPitch & 1) == 0, product.n - column, both);
  }
}

// Two neighbours of a row of Y (n, m), which are of one column of Y here; what lies beyond is left out.
POPSPARSE_DEVICE void storePairOfColumn(const Product &product, int row, int column, uint32_t both) {
  if (row >= 0 && row < product.m && column < product.n) {
    uint16_t *y = static_cast<uint16_t *>(product.y) + column * product.yPitch + row;
    storeNeighbours(y, (product.yPitch & 1) == 0, product.m - row, both);
  }
}

// Two neighbours of a row of Y, an even column and the next.
template <class Element>
POPSPARSE_DEVICE void storeTwo(const Product &product, int row, int column, float first, float second) {
  storePair(product, row, column, Element::pack(first, second));
}

template <>
POPSPARSE_DEVICE void storeTwo<Tf32>(const Product &product, int row, int column, float first, float second) {
  const bool inside = row >= 0 && row < product.m && column < product.n;
  if (!inside) {
    return;
  }
  float *y = static_cast<float *>(product.y) + row * product.yPitch + column;
  if (column + 1 < product.n && (product.yPitch & 1) == 0) {
    *reinterpret_cast<float2 *>(y) = float2{first, second};
    return;
  }
  y[0] = first;
  if (column + 1 < product.n) {
    y[1] = second;
  }
}

// Tiles of 8 columns of one row of Y from the sums of MMA, of which a lane holds two neighbours in each of two rows.
template <class Element, int tiles>
POPSPARSE_DEVICE void storeRow(const Product &product, int row, int column, const float (&sums)[tiles][4], int half) {
  const float bias = biasOf(product, row);
#pragma unroll
  for (int j = 0; j < tiles; ++j) {
    const float first = activated(sums[j][2 * half] + bias, product.activation);
    const float second = activated(sums[j][2 * half + 1] + bias, product.activation);
    storeTwo<Element>(product, row, column + 8 * j, first, second);
  }
}

// Tiles of 8 columns of 16 rows of Y (n, m) from the sums of MMA. row: of the lane's first two sums, -1: none, `on`
// before that of the others; pair: first of two neighbouring rows that the lane gets in place of one, `on` before the
// others.
template <class Element, int tiles>
POPSPARSE_DEVICE void storeTurned(const Product &product, int row, int pair, int on, int firstColumn,
                                  const float (&sums)[tiles][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float bias = biasOf(product, row < 0 ? -1 : row + half * on);
    const int there = pair + half * on;
#pragma unroll
    for (int j = 0; j < tiles; ++j) {
      const float first = activated(sums[j][2 * half] + bias, product.activation);
      const float second = activated(sums[j][2 * half + 1] + bias, product.activation);
      const uint32_t both = transposeMatrix(Element::pack(first, second));
      storePairOfColumn(product, row < 0 ? -1 : there, firstColumn + 8 * j + lane / 4, both);
    }
  }
}

} // namespace popsparse_py::cuda

#endif
