#include "cpu.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "../cpu/dispatch.hpp"
#include "../cpu/multiply.hpp"
#include "../cpu/sampled.hpp"
#include "cpu_views.hpp"

namespace popsparse_py::bindings {

namespace {

constexpr int kMostThreads = 1024;

// The fields of cpu::Schedule in their order.
using PySchedule = std::tuple<std::int32_t, std::int32_t, std::int32_t, std::int32_t, std::int64_t, bool, bool, bool>;

int checkedThreads(int threads) {
  if (threads < 1 || threads > kMostThreads) {
    throw py::value_error(model::text("threads: expected 1 to ", kMostThreads, ", got ", threads));
  }
  return threads;
}

cpu::Activation activationOf(const std::string &name) {
  if (name == "none" || name == "relu" || name == "gelu") {
    return name == "none" ? cpu::Activation::None : name == "relu" ? cpu::Activation::Relu : cpu::Activation::Gelu;
  }
  throw py::value_error("activation: expected none, relu or gelu, got " + name);
}

// What Python calls CpuMatrix: the packed matrix and the shape in which its values come.
struct CpuMatrix {
  cpu::PackedMatrix packed;
  std::int64_t blocks, blockRows, blockColumns;
};

std::unique_ptr<CpuMatrix> makeMatrix(cpu::Pattern pattern, bool transposed, const PySchedule &schedule,
                                      const std::string &tier) {
  const auto &[tileRows, tileVectors, chunkBlocks, bandBlocks, panelColumns, packPanels, packMisaligned, byRows] =
      schedule;
  const cpu::Kernels &kernels = cpu::kernelsOf(tier);
  const py::gil_scoped_release release;
  const std::int64_t blocks = pattern.blocks(), blockRows = pattern.blockRows, blockColumns = pattern.blockColumns;
  const cpu::Schedule chosen{tileRows,     tileVectors, chunkBlocks,    bandBlocks,
                             panelColumns, packPanels,  packMisaligned, byRows};
  return std::unique_ptr<CpuMatrix>(new CpuMatrix{cpu::PackedMatrix(std::move(pattern), transposed, chosen, kernels),
                                                  blocks, blockRows, blockColumns});
}

void setValues(CpuMatrix &matrix, const py::array &values, int threads) {
  checkValues(values, matrix.blocks, matrix.blockRows, matrix.blockColumns);
  const cpu::Dtype dtype = floatDtype(values, "values");
  const void *data = values.data();
  checkedThreads(threads);
  const py::gil_scoped_release release;
  matrix.packed.setValues(data, dtype, threads);
}

void multiply(const CpuMatrix &matrix, const py::array &x, py::array y, const py::object &bias,
              const std::string &activation, int threads) {
  const std::int64_t n = x.ndim() == 2 ? x.shape(1) : 0;
  const cpu::DenseView xView = inputView(x, matrix.packed.columns(), n, "x");
  const cpu::OutputView yView = outputView(y, matrix.packed.rows(), n, "y");
  cpu::Epilogue epilogue{nullptr, activationOf(activation)};
  if (!bias.is_none()) {
    const auto shifts = bias.cast<py::array>();
    checkArray(shifts, py::dtype::of<float>(), "bias");
    if (shifts.size() != matrix.packed.rows()) {
      throw py::value_error(model::text("bias: expected ", matrix.packed.rows(), " elements, got ", shifts.size()));
    }
    epilogue.bias = static_cast<const float *>(shifts.data());
  }
  checkedThreads(threads);
  const py::gil_scoped_release release;
  cpu::multiply(matrix.packed, xView, yView, n, epilogue, threads);
}

// Memory of torch tensors, whose views as NumPy arrays would take longer to make than a small product. The caller has
// checked shapes, element types and strides; 0 is the address of an empty tensor only.
template <class Data> Data *atAddress(std::uintptr_t address, cpu::Dtype dtype, const char *what) {
  const std::uintptr_t bytes = dtype == cpu::Dtype::Float32 ? 4 : 2;
  if (address == 0 || address % bytes != 0) {
    throw py::value_error(model::text(what, ": expected the address of elements of ", bytes, " bytes, got ", address));
  }
  return reinterpret_cast<Data *>(address); // NOLINT: that is the purpose
}

cpu::Dtype dtypeOf(const std::string &name) {
  if (name == "float32" || name == "float16" || name == "bfloat16") {
    return name == "float32" ? cpu::Dtype::Float32 : name == "float16" ? cpu::Dtype::Float16 : cpu::Dtype::Bfloat16;
  }
  throw py::value_error("dtype: expected float32, float16 or bfloat16, got " + name);
}

// values: (blocks, b, b), contiguous.
void setValuesAt(CpuMatrix &matrix, std::uintptr_t values, const std::string &dtype, int threads) {
  if (matrix.blocks == 0) {
    return;
  }
  const cpu::Dtype elements = dtypeOf(dtype);
  const auto *data = atAddress<const void>(values, elements, "values");
  checkedThreads(threads);
  const py::gil_scoped_release release;
  matrix.packed.setValues(data, elements, threads);
}

// x: (samples, columns of W) with any strides, y: (samples, rows of W), contiguous; bias: (rows of W) floats, or 0.
void multiplySamples(const CpuMatrix &matrix, std::uintptr_t x, std::ptrdiff_t sampleStride,
                     std::ptrdiff_t featureStride, std::uintptr_t y, std::int64_t samples, std::uintptr_t bias,
                     const std::string &dtype, int threads) {
  if (samples <= 0) {
    return;
  }
  const cpu::Dtype elements = dtypeOf(dtype);
  const cpu::DenseView xView{atAddress<const void>(x, elements, "x"), elements, featureStride, sampleStride};
  const cpu::OutputView yView{atAddress<void>(y, elements, "y"), elements, 1, matrix.packed.rows()};
  const auto *shifts = bias == 0 ? nullptr : atAddress<const float>(bias, cpu::Dtype::Float32, "bias");
  checkedThreads(threads);
  const py::gil_scoped_release release;
  cpu::multiply(matrix.packed, xView, yView, samples, {shifts, cpu::Activation::None}, threads);
}

void sample(const cpu::Pattern &pattern, const py::array &dy, const py::array &x, py::array out, int threads,
            const std::string &tier) {
  const std::int64_t n = x.ndim() == 2 ? x.shape(1) : 0;
  const cpu::Kernels &kernels = cpu::kernelsOf(tier);
  const cpu::DenseView dyView = inputView(dy, pattern.rows, n, "dy"), xView = inputView(x, pattern.columns, n, "x");
  checkValues(out, pattern.blocks(), pattern.blockRows, pattern.blockColumns);
  const cpu::Dtype dtype = floatDtype(out, "out");
  void *data = out.mutable_data();
  checkedThreads(threads);
  const py::gil_scoped_release release;
  cpu::sampledProduct(pattern, kernels, dyView, xView, n, data, dtype, threads);
}

std::int64_t peakFlops(std::int64_t rounds, const std::string &tier) {
  const cpu::Kernels &kernels = cpu::kernelsOf(tier);
  const py::gil_scoped_release release;
  return kernels.peakFlops(rounds);
}

// Rows of the widest tile that a tier has for each number of tile rows, and its lanes.
py::dict tierFacts(const std::string &tier) {
  const cpu::Kernels &kernels = cpu::kernelsOf(tier);
  py::dict vectors;
  for (const int rows : {1, 2, 4, 8, 16}) {
    vectors[py::int_(rows)] = kernels.maxVectors(rows);
  }
  return py::dict(py::arg("name") = kernels.name, py::arg("lanes") = kernels.lanes, py::arg("max_vectors") = vectors);
}

} // namespace

void bindCpu(py::module_ &module) {
  py::class_<cpu::Pattern>(module, "CpuPattern")
      .def(py::init(&patternFrom), py::arg("rows"), py::arg("columns"), py::arg("block_rows"), py::arg("block_columns"),
           py::arg("offsets"), py::arg("block_column"));
  py::class_<CpuMatrix>(module, "CpuMatrix")
      .def(py::init(&makeMatrix), py::arg("pattern"), py::arg("transposed"), py::arg("schedule"), py::arg("tier"))
      .def("set_values", &setValues, py::arg("values"), py::arg("threads"))
      .def("multiply", &multiply, py::arg("x"), py::arg("y"), py::arg("bias"), py::arg("activation"),
           py::arg("threads"))
      .def("set_values_at", &setValuesAt, py::arg("values"), py::arg("dtype"), py::arg("threads"))
      .def("multiply_samples", &multiplySamples, py::arg("x"), py::arg("sample_stride"), py::arg("feature_stride"),
           py::arg("y"), py::arg("samples"), py::arg("bias"), py::arg("dtype"), py::arg("threads"))
      .def_property_readonly("packed_bytes", [](const CpuMatrix &matrix) { return matrix.packed.packedBytes(); });
  module.def("cpu_sample", &sample, py::arg("pattern"), py::arg("dy"), py::arg("x"), py::arg("out"), py::arg("threads"),
             py::arg("tier"));
  module.def("cpu_tiers", &cpu::tierNames);
  module.def("cpu_tier_facts", &tierFacts, py::arg("tier"));
  module.def("cpu_peak_flops", &peakFlops, py::arg("rounds"), py::arg("tier"));
}

} // namespace popsparse_py::bindings
