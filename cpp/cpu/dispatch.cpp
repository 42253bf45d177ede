#include "dispatch.hpp"

#include <stdexcept>

namespace popsparse_py::cpu {

namespace {

// The compiler's support routine asks cpuid for the instructions and xgetbv for the registers that the system saves.
std::vector<const Kernels *> tiers() {
  std::vector<const Kernels *> found;
#ifdef POPSPARSE_CPU_X86
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    found.push_back(&avx512Kernels());
  }
  if (hasAvx2) { // each CPU with AVX2 has F16C
    found.push_back(&avx2Kernels());
  }
#endif
  found.push_back(&baselineKernels());
  return found;
}

} // namespace

std::vector<std::string> tierNames() {
  std::vector<std::string> names;
  for (const Kernels *kernels : tiers()) {
    names.emplace_back(kernels->name);
  }
  return names;
}

const Kernels &kernelsOf(const std::string &tier) {
  std::string known;
  for (const Kernels *kernels : tiers()) {
    if (tier.empty() || tier == kernels->name) {
      return *kernels;
    }
    known += (known.empty() ? "" : ", ") + std::string(kernels->name);
  }
  throw std::invalid_argument("this machine has no instruction tier '" + tier + "': expected one of " + known);
}

} // namespace popsparse_py::cpu
