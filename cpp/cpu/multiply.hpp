// y = activation(W x + bias) on the host.
#ifndef POPSPARSE_PY_CPU_MULTIPLY_HPP
#define POPSPARSE_PY_CPU_MULTIPLY_HPP

#include "packed_matrix.hpp"

namespace popsparse_py::cpu {

struct Epilogue {
  const float *bias = nullptr; // (rows of W)
  Activation activation = Activation::None;
};

// x: (columns of w, n), y: (rows of w, n). The result does not depend on `threads`. Throws std::bad_alloc.
void multiply(const PackedMatrix &w, const DenseView &x, const OutputView &y, std::int64_t n, const Epilogue &epilogue,
              int threads);

} // namespace popsparse_py::cpu

#endif
