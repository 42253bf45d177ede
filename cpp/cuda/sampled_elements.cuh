// values = dY X^T at W's blocks, float32 by multiply-adds: a warp owns a cell of 16 x 16, a lane 2 x 4 of it.
#ifndef POPSPARSE_PY_CUDA_SAMPLED_ELEMENTS_CUH
#define POPSPARSE_PY_CUDA_SAMPLED_ELEMENTS_CUH

#include "elements.cuh"

namespace popsparse_py::cuda {

// Columns [column, column + 4) of a row, zeros beyond the edges.
POPSPARSE_DEVICE void loadClipped(const void *matrix, int64_t pitch, int row, int rows, int column, int columns,
                                  float (&to)[4]) {
  const float *from = static_cast<const float *>(matrix) + row * pitch + column;
  if (row < rows && column + 3 < columns) {
    Float32::loadFour(from, to);
    return;
  }
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    to[c] = row < rows && column + c < columns ? loadConstant(from + c) : 0.0f;
  }
}

// Grid: (1, ceil(cells / kElementsWarps)). See SampledElementsArguments.
POPSPARSE_DEVICE void multiplySampledElements(const SampledElementsArguments &arguments) {
  const Product &product = arguments.product;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t cell = static_cast<int64_t>(blockIdx.y) * kElementsWarps + threadIdx.x / kLanes;
  if (cell >= arguments.cells) {
    return;
  }
  const int first = loadConstant(arguments.rows + 2 * cell);
  if (first < 0) { // no cell, for the whole warp
    return;
  }
  const int dyRow = first + lane / 4;
  const int xRow = loadConstant(arguments.rows + 2 * cell + 1) + lane % 4 * 4;
  float sums[2][4] = {};
#pragma unroll 1
  for (int column = 0; column < product.n; column += 4) {
    float dy[2][4], x[4][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      loadClipped(product.y, product.yPitch, dyRow + 8 * i, product.m, column, product.n, dy[i]);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      loadClipped(product.x, product.xPitch, xRow + j, product.k, column, product.n, x[j]);
    }
#pragma unroll
    for (int e = 0; e < 32; ++e) {
      sums[e / 16][e / 4 % 4] += dy[e / 16][e % 4] * x[e / 4 % 4][e % 4];
    }
  }
  float *values = static_cast<float *>(const_cast<void *>(product.values));
  const int64_t offset = loadConstant(arguments.offsets + cell);
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    const int row = lane / 4 + e / 4 * 8, column = lane % 4 * 4 + e % 4;
    const int64_t place = arguments.places == nullptr
                              ? offset * 16 + row * arguments.valuePitch + column
                              : loadConstant(arguments.places + offset * 256 + row * 16 + column);
    if (place >= 0) {
      values[place] = sums[e / 4][e % 4];
    }
  }
}

} // namespace popsparse_py::cuda

#endif
