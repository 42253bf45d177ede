#include "errors.hpp"

#include <pybind11/pybind11.h>

#include "../cuda/driver.hpp"
#include "../model/errors.hpp"

namespace popsparse_py::bindings {

namespace py = pybind11;

namespace {

// Raises popsparse_planner.errors.<kind>(message, **numbers).
void raise(const char *kind, const std::exception &error, const py::dict &numbers) {
  try {
    const py::object type = py::module_::import("popsparse_planner.errors").attr(kind);
    const py::object instance = type(error.what(), **numbers);
    PyErr_SetObject(type.ptr(), instance.ptr());
  } catch (py::error_already_set &failure) {
    failure.restore();
  }
}

} // namespace

void registerErrors() {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(pointer);
    } catch (const model::ProgramError &error) {
      raise("ProgramError", error, py::dict());
    } catch (const model::TileMemoryError &error) {
      using namespace py::literals;
      raise("TileMemoryError", error,
            py::dict("tile"_a = error.tile, "needed_bytes"_a = error.neededBytes, "tile_bytes"_a = error.tileBytes));
    } catch (const cuda::UnavailableError &error) {
      raise("TargetUnavailableError", error, py::dict());
    } catch (const cuda::MemoryError &error) {
      using namespace py::literals;
      raise("DeviceMemoryError", error,
            py::dict("needed_bytes"_a = error.neededBytes, "free_bytes"_a = error.freeBytes));
    }
  });
}

} // namespace popsparse_py::bindings
