// NumPy arrays as the views that cpp/cpu reads and writes; every extent is checked here.
#ifndef POPSPARSE_PY_BINDINGS_CPU_VIEWS_HPP
#define POPSPARSE_PY_BINDINGS_CPU_VIEWS_HPP

#include <limits>
#include <string>

#include <pybind11/numpy.h>

#include "../cpu/jobs.hpp"
#include "../cpu/pattern.hpp"
#include "arrays.hpp"

namespace popsparse_py::bindings {

// float32, float16, or uint16 for the bits of bfloat16; TypeError for another dtype.
inline cpu::Dtype floatDtype(const py::array &array, const char *what) {
  if (array.dtype().kind() == 'f' && array.itemsize() == 4 && array.dtype().byteorder() != '>') {
    return cpu::Dtype::Float32;
  }
  if (array.dtype().kind() == 'f' && array.itemsize() == 2 && array.dtype().byteorder() != '>') {
    return cpu::Dtype::Float16;
  }
  if (array.dtype().kind() == 'u' && array.itemsize() == 2 && array.dtype().byteorder() != '>') {
    return cpu::Dtype::Bfloat16;
  }
  throw py::type_error(
      model::text(what, ": expected float32, float16 or uint16 (bfloat16), got ", nameOf(array.dtype())));
}

inline void checkShape(const py::array &array, std::int64_t rows, std::int64_t columns, const char *what) {
  if (array.ndim() != 2 || array.shape(0) != rows || array.shape(1) != columns) {
    throw py::value_error(model::text(what, ": expected an array of ", rows, " x ", columns));
  }
  if ((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) {
    throw py::value_error(model::text(what, ": expected elements at multiples of their size"));
  }
}

// Stride in elements; an axis of one element (or none) counts as contiguous.
inline std::ptrdiff_t strideOf(const py::array &array, int axis, std::ptrdiff_t contiguous) {
  return array.shape(axis) > 1 ? array.strides(axis) / array.itemsize() : contiguous;
}

// Any strides. View: cpu::DenseView or cpu::OutputView.
template <class View, class Data>
View viewOf(const py::array &array, Data *data, std::int64_t rows, std::int64_t columns, const char *what) {
  checkShape(array, rows, columns, what);
  const cpu::Dtype dtype = floatDtype(array, what);
  for (int axis = 0; axis < 2; ++axis) {
    if (array.shape(axis) > 1 && array.strides(axis) % array.itemsize() != 0) {
      throw py::value_error(model::text(what, ": strides must be whole elements"));
    }
  }
  return {data, dtype, strideOf(array, 0, static_cast<std::ptrdiff_t>(columns)), strideOf(array, 1, 1)};
}

inline cpu::DenseView inputView(const py::array &array, std::int64_t rows, std::int64_t columns, const char *what) {
  return viewOf<cpu::DenseView>(array, array.data(), rows, columns, what);
}

// Also refuses a read-only array and one whose elements share memory.
inline cpu::OutputView outputView(py::array &array, std::int64_t rows, std::int64_t columns, const char *what) {
  if (!array.writeable()) {
    throw py::value_error(model::text(what, ": expected a writable array"));
  }
  const auto view = viewOf<cpu::OutputView>(array, array.mutable_data(), rows, columns, what);
  const bool byRows = view.columnStride == 1 && view.rowStride >= columns;
  const bool byColumns = view.rowStride == 1 && view.columnStride >= rows;
  if (rows > 0 && columns > 0 && !byRows && !byColumns) {
    throw py::value_error(model::text(what, ": expected rows or columns that are contiguous"));
  }
  return view;
}

// offsets: int64 (block rows + 1), columns: int32 (blocks). Copied, because another thread could change the arrays.
inline cpu::Pattern patternFrom(std::int64_t rows, std::int64_t columns, std::int32_t blockRows,
                                std::int32_t blockColumns, const py::array &offsets, const py::array &blockColumn) {
  cpu::Pattern pattern;
  pattern.rows = rows;
  pattern.columns = columns;
  pattern.blockRows = blockRows;
  pattern.blockColumns = blockColumns;
  pattern.offsets = column<std::int64_t>(offsets, "row offsets");
  pattern.blockColumn = column<std::int32_t>(blockColumn, "block columns");
  pattern.check();
  pattern.cutBands();
  return pattern;
}

// values: (blocks, block rows, block columns), C-contiguous.
inline void checkValues(const py::array &values, std::int64_t blocks, std::int64_t blockRows,
                        std::int64_t blockColumns) {
  if (values.ndim() != 3 || values.shape(0) != blocks || values.shape(1) != blockRows ||
      values.shape(2) != blockColumns || (values.flags() & py::array::c_style) == 0 ||
      (values.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) {
    throw py::value_error(
        model::text("values: expected a contiguous array of ", blocks, " x ", blockRows, " x ", blockColumns));
  }
}

} // namespace popsparse_py::bindings

#endif
