// One row of single elements times some columns, shared by the codelets that read work lists and buckets.
#ifndef POPSPARSE_PY_CODELETS_ELEMENT_KERNELS_HPP
#define POPSPARSE_PY_CODELETS_ELEMENT_KERNELS_HPP

#include <poplar/HalfFloat.hpp>

#include "meta_info.hpp"

namespace popsparse_py {

constexpr unsigned kElementColumns = 16; // sums held at a time

// outputs (width <= kElementColumns) = sum over count nonzeros of values[j] * x[offsets[j] * 8 bytes], summed in float
// in list order and rounded to P once.
template <class T, class P>
void dotColumns(P *outputs, const T *values, const unsigned short *offsets, unsigned count, const T *x,
                unsigned width) {
  float sums[kElementColumns] = {};
  for (unsigned j = 0; j < count; ++j) {
    const float value = static_cast<float>(values[j]);
    const T *slice = x + offsets[j] * (kOffsetBytes / static_cast<unsigned>(sizeof(T)));
    for (unsigned c = 0; c < width; ++c) {
      sums[c] += value * static_cast<float>(slice[c]);
    }
  }
  for (unsigned c = 0; c < width; ++c) {
    outputs[c] = static_cast<P>(sums[c]);
  }
}

} // namespace popsparse_py

#endif
