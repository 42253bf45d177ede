// Which kernels this machine can run.
#ifndef POPSPARSE_PY_CPU_DISPATCH_HPP
#define POPSPARSE_PY_CPU_DISPATCH_HPP

#include <string>
#include <vector>

#include "kernels.hpp"

namespace popsparse_py::cpu {

// Names of the tiers of this machine, the fastest first: "avx512", "avx2", "baseline" ("neon" on AArch64).
std::vector<std::string> tierNames();

// The kernels of a tier; "" is the fastest. Throws std::invalid_argument for a tier that the machine lacks.
const Kernels &kernelsOf(const std::string &tier);

} // namespace popsparse_py::cpu

#endif
