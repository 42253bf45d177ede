#include "cuda.hpp"

#include <string>
#include <tuple>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "../cuda/driver.hpp"

namespace popsparse_py::bindings {

namespace py = pybind11;

namespace {

using Words = std::vector<std::uint64_t>;
// x, values, y, bias: device addresses; elements from row to row of x and y; m, k, n; activation; address of fault.
using PyProduct = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::int64_t, std::int64_t,
                             std::int32_t, std::int32_t, std::int32_t, std::int32_t, std::uint64_t>;
// Rows and columns of the boxes of x (0, 0: no tensor map), its elements (see Boxes), blocks of a cluster, and whether
// x is (n, k).
using PyBoxes = std::tuple<std::uint32_t, std::uint32_t, int, unsigned, bool>;
using PyGrid = std::tuple<unsigned, unsigned, unsigned, unsigned>; // blocks x, blocks y, threads, shared bytes

py::dict factsOf(const cuda::Device &device) {
  const cuda::Facts &facts = device.facts();
  return py::dict(py::arg("name") = facts.name, py::arg("driver") = facts.driver, py::arg("major") = facts.major,
                  py::arg("minor") = facts.minor, py::arg("multiprocessors") = facts.multiprocessors,
                  py::arg("shared_bytes") = facts.sharedBytes);
}

void upload(cuda::Device &device, std::uint64_t to, const py::buffer &from, std::uint64_t stream) {
  const py::buffer_info info = from.request();
  const py::gil_scoped_release release;
  device.upload(to, info.ptr, static_cast<std::size_t>(info.size * info.itemsize), stream);
  device.synchronize(stream);
}

void download(cuda::Device &device, const py::buffer &to, std::uint64_t from, std::uint64_t stream) {
  const py::buffer_info info = to.request(true);
  const py::gil_scoped_release release;
  device.download(info.ptr, from, static_cast<std::size_t>(info.size * info.itemsize), stream);
}

void launch(cuda::Device &device, std::uint64_t function, const PyGrid &grid, const PyProduct &given,
            const PyBoxes &pyBoxes, const Words &rest, std::uint64_t stream) {
  const auto [blocksX, blocksY, threads, sharedBytes] = grid;
  cuda::Product product;
  std::tie(product.x, product.values, product.y, product.bias, product.xPitch, product.yPitch, product.m, product.k,
           product.n, product.activation, product.fault) = given;
  const auto [rows, columns, element, cluster, byRows] = pyBoxes;
  if (element < 0 || element > 2) {
    throw std::invalid_argument("elements of boxes are float16 (0), bfloat16 (1) or float32 (2)");
  }
  const py::gil_scoped_release release;
  device.launch(function, {blocksX, blocksY, threads, sharedBytes, cluster}, product, {element, byRows, rows, columns},
                rest, stream);
}

} // namespace

void bindCuda(py::module_ &module) {
  py::class_<cuda::Device>(module, "CudaDevice")
      .def(py::init<const std::string &, int>(), py::arg("library"), py::arg("ordinal"))
      .def_property_readonly("facts", &factsOf)
      .def(
          "load_module", [](cuda::Device &device, const py::bytes &image) { device.loadModule(image); },
          py::arg("image"))
      .def("function", &cuda::Device::function, py::arg("name"), py::arg("shared_bytes"))
      .def("allocate", &cuda::Device::allocate, py::arg("num_bytes"))
      .def("free", &cuda::Device::free, py::arg("pointer"))
      .def("upload", &upload, py::arg("to"), py::arg("source"), py::arg("stream"))
      .def("download", &download, py::arg("to"), py::arg("source"), py::arg("stream"))
      .def("copy_rows", &cuda::Device::copyRows, py::arg("to"), py::arg("to_pitch"), py::arg("source"),
           py::arg("source_pitch"), py::arg("row_bytes"), py::arg("rows"), py::arg("stream"))
      .def("synchronize", &cuda::Device::synchronize, py::arg("stream"), py::call_guard<py::gil_scoped_release>())
      .def("launch", &launch, py::arg("function"), py::arg("grid"), py::arg("product"), py::arg("boxes"),
           py::arg("rest"), py::arg("stream"));
}

} // namespace popsparse_py::bindings
