// Bindings of the CUDA launcher.
#ifndef POPSPARSE_PY_BINDINGS_CUDA_HPP
#define POPSPARSE_PY_BINDINGS_CUDA_HPP

#include <pybind11/pybind11.h>

namespace popsparse_py::bindings {

void bindCuda(pybind11::module_ &module);

} // namespace popsparse_py::bindings

#endif
