// dy x^T at the blocks of a pattern.
#ifndef POPSPARSE_PY_CPU_SAMPLED_HPP
#define POPSPARSE_PY_CPU_SAMPLED_HPP

#include "kernels.hpp"
#include "pattern.hpp"

namespace popsparse_py::cpu {

// dy: (pattern.rows, n), x: (pattern.columns, n), out: (blocks, blockRows, blockColumns), contiguous; what a block has
// beyond a ragged shape becomes 0. The result does not depend on `threads`. The pattern must be checked.
// Throws std::bad_alloc.
void sampledProduct(const Pattern &pattern, const Kernels &kernels, const DenseView &dy, const DenseView &x,
                    std::int64_t n, void *out, Dtype outDtype, int threads);

} // namespace popsparse_py::cpu

#endif
