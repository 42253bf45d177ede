// NumPy arrays from and to columns of integers, with the checks that a strict interface needs.
#ifndef POPSPARSE_PY_BINDINGS_ARRAYS_HPP
#define POPSPARSE_PY_BINDINGS_ARRAYS_HPP

#include <string>
#include <vector>

#include <pybind11/numpy.h>

#include "../model/errors.hpp"

namespace popsparse_py::bindings {

namespace py = pybind11;

inline std::string nameOf(const py::dtype &dtype) {
  return py::str(dtype).cast<std::string>();
}

// Throws TypeError for another dtype, ValueError unless the array is one-dimensional and C-contiguous.
inline void checkArray(const py::array &array, const py::dtype &dtype, const std::string &what) {
  if (!array.dtype().equal(dtype)) {
    throw py::type_error(model::text(what, ": expected an array of ", nameOf(dtype), ", got ", nameOf(array.dtype())));
  }
  if (array.ndim() != 1) {
    throw py::value_error(model::text(what, ": expected a one-dimensional array, got ", array.ndim(), " dimensions"));
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw py::value_error(what + ": expected a contiguous array");
  }
}

// A copy of the column. T: std::int64_t or std::int32_t, exactly the array's dtype.
template <class T> std::vector<T> column(const py::array &array, const std::string &what) {
  checkArray(array, py::dtype::of<T>(), what);
  const T *begin = static_cast<const T *>(array.data());
  return std::vector<T>(begin, begin + array.size());
}

} // namespace popsparse_py::bindings

#endif
