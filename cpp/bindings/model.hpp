// Bindings of cpp/model.
#ifndef POPSPARSE_PY_BINDINGS_MODEL_HPP
#define POPSPARSE_PY_BINDINGS_MODEL_HPP

#include <pybind11/pybind11.h>

namespace popsparse_py::bindings {

void bindModel(pybind11::module_ &module);

} // namespace popsparse_py::bindings

#endif
