// Products of one block with some columns, shared by the codelets that read buckets. Sums are float; k ascends.
#ifndef POPSPARSE_PY_CODELETS_BLOCK_KERNELS_HPP
#define POPSPARSE_PY_CODELETS_BLOCK_KERNELS_HPP

#include <poplar/HalfFloat.hpp>

namespace popsparse_py {

constexpr unsigned kKernelColumns = 8; // columns summed at a time, for which each weight is converted once

// sums (width, B) += block (B, B) row-major times x (width, B), k inner; Transposed: times the block's transpose.
template <class T, unsigned B, bool Transposed> void addBlock(float *sums, const T *block, const T *x, unsigned width) {
  for (unsigned k = 0; k < B; ++k) {
    float weights[B];
    for (unsigned i = 0; i < B; ++i) {
      weights[i] = static_cast<float>(Transposed ? block[k * B + i] : block[i * B + k]);
    }
    for (unsigned c = 0; c < width; ++c) {
      const float value = static_cast<float>(x[c * B + k]);
      for (unsigned i = 0; i < B; ++i) {
        sums[c * B + i] += weights[i] * value;
      }
    }
  }
}

// outputs (width, B) += the same product, summed in float before it is added.
template <class T, class P, unsigned B, bool Transposed>
void accumulateBlock(P *outputs, const T *block, const T *x, unsigned width) {
  float sums[kKernelColumns * B] = {};
  addBlock<T, B, Transposed>(sums, block, x, width);
  for (unsigned i = 0; i < width * B; ++i) {
    outputs[i] = static_cast<P>(static_cast<float>(outputs[i]) + sums[i]);
  }
}

// outputs (B, B) row-major += sum over `columns` of dy (columns, B) times x (columns, B), columns ascending.
template <class T, unsigned B> void accumulateSampled(float *outputs, const T *dy, const T *x, unsigned columns) {
  for (unsigned i = 0; i < B; ++i) {
    float sums[B] = {};
    for (unsigned c = 0; c < columns; ++c) {
      const float value = static_cast<float>(dy[c * B + i]);
      for (unsigned k = 0; k < B; ++k) {
        sums[k] += value * static_cast<float>(x[c * B + k]);
      }
    }
    for (unsigned k = 0; k < B; ++k) {
      outputs[i * B + k] += sums[k];
    }
  }
}

} // namespace popsparse_py

#endif
