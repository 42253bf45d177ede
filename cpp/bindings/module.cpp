// popsparse_py._core: arrays, names and integers in and out of the C++ parts; no logic.
#include <pybind11/pybind11.h>

#include "cpu.hpp"
#include "cuda.hpp"
#include "errors.hpp"
#include "model.hpp"

namespace {

// Throws ImportError where this build would meet an unknown instruction.
void requireCpu() {
#ifdef POPSPARSE_F16C
  if (!__builtin_cpu_supports("avx2")) {
    throw pybind11::import_error("popsparse_py was built for a CPU with AVX2 and F16C, which this one lacks; "
                                 "build it here with --config-settings=cmake.define.POPSPARSE_F16C=OFF");
  }
#endif
}

} // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() =
      "Native core of popsparse_py: the embedded tile machine, its vertex registry, and the kernels of the host.";
  requireCpu();
  popsparse_py::bindings::registerErrors();
  popsparse_py::bindings::bindCpu(module);
  popsparse_py::bindings::bindCuda(module);
  popsparse_py::bindings::bindModel(module);
}
