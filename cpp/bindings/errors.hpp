// The one place where C++ errors become Python errors.
#ifndef POPSPARSE_PY_BINDINGS_ERRORS_HPP
#define POPSPARSE_PY_BINDINGS_ERRORS_HPP

namespace popsparse_py::bindings {

// ProgramError and TileMemoryError arrive as those of popsparse_planner.errors; standard exceptions as pybind11 maps
// them.
void registerErrors();

} // namespace popsparse_py::bindings

#endif
