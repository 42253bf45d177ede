// y = activation(W x + bias) where x and y hold a row for each sample.
#ifndef POPSPARSE_PY_CPU_MULTIPLY_ROWS_HPP
#define POPSPARSE_PY_CPU_MULTIPLY_ROWS_HPP

#include "multiply.hpp"

namespace popsparse_py::cpu {

// As multiply(), for a matrix whose schedule is by rows and a y whose rows of W are contiguous.
void multiplyRows(const PackedMatrix &w, const DenseView &x, const OutputView &y, std::int64_t n,
                  const Epilogue &epilogue, int threads);

} // namespace popsparse_py::cpu

#endif
