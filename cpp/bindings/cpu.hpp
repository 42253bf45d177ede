// Bindings of cpp/cpu.
#ifndef POPSPARSE_PY_BINDINGS_CPU_HPP
#define POPSPARSE_PY_BINDINGS_CPU_HPP

#include <pybind11/pybind11.h>

namespace popsparse_py::bindings {

void bindCpu(pybind11::module_ &module);

} // namespace popsparse_py::bindings

#endif
