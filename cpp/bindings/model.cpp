#include "model.hpp"

#include <string>
#include <tuple>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "../model/control.hpp"
#include "../model/errors.hpp"
#include "../model/machine.hpp"
#include "../model/vertices.hpp"
#include "arrays.hpp"

namespace popsparse_py::bindings {

namespace {

using model::Machine;

using PyCopies = std::tuple<std::size_t, std::size_t, py::array, py::array, py::array>;
using PyField = std::tuple<std::string, std::size_t, py::array, py::array>;
using PyScalar = std::tuple<std::string, py::array>;
using PyVertices = std::tuple<std::string, py::array, std::vector<PyField>, std::vector<PyScalar>>;

py::array::ShapeContainer shapeOf(std::int64_t length) {
  return {static_cast<py::ssize_t>(length)};
}

std::size_t addVariable(Machine &machine, const std::string &name, const std::string &dtype, std::int64_t length,
                        const py::array &begins, const py::array &tiles, const std::string &live) {
  if (live != "always" && live != "temp") {
    throw model::ProgramError(model::text("variable '", name, "': expected live 'always' or 'temp', got '", live, "'"));
  }
  return machine.addVariable(
      {name, model::elementFromName(dtype), length, column<std::int64_t>(begins, name + " begins"),
       column<std::int32_t>(tiles, name + " tiles"), live == "temp" ? model::Lifetime::Temp : model::Lifetime::Always});
}

std::size_t addExchange(Machine &machine, const std::string &name, const std::vector<PyCopies> &copies) {
  model::Exchange exchange;
  for (const auto &[source, destination, sourceBegin, destinationBegin, length] : copies) {
    exchange.copies.push_back({source, destination, column<std::int64_t>(sourceBegin, name + " source_begin"),
                               column<std::int64_t>(destinationBegin, name + " destination_begin"),
                               column<std::int64_t>(length, name + " length")});
  }
  return machine.addExchange(name, std::move(exchange));
}

model::VertexSet vertexSet(const PyVertices &vertices) {
  const auto &[vertex, tiles, fields, scalars] = vertices;
  model::VertexSet set{vertex, column<std::int32_t>(tiles, vertex + " tiles"), {}, {}};
  for (const auto &[field, variable, begin, length] : fields) {
    set.fields.push_back({field, variable, column<std::int64_t>(begin, field + " begin"),
                          column<std::int64_t>(length, field + " length")});
  }
  for (const auto &[field, values] : scalars) {
    set.scalars.push_back({field, column<std::int64_t>(values, field)});
  }
  return set;
}

std::size_t addCompute(Machine &machine, const std::string &name, const std::vector<PyVertices> &vertices) {
  model::Compute compute;
  for (const PyVertices &set : vertices) {
    compute.vertices.push_back(vertexSet(set));
  }
  return machine.addCompute(name, std::move(compute));
}

std::size_t addControl(Machine &machine, const std::string &name, const std::string &kind, std::size_t variable,
                       std::int64_t count, const std::vector<std::vector<std::size_t>> &bodies) {
  return machine.addControl(name, {model::controlKindFromName(kind), variable, count, bodies});
}

py::array executions(const Machine &machine) {
  const std::vector<std::int64_t> &counts = machine.executions();
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(counts.size()), counts.data());
}

py::array tileBytes(const Machine &machine) {
  const std::vector<std::int64_t> bytes = machine.tileBytes();
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(bytes.size()), bytes.data());
}

void write(Machine &machine, std::size_t id, const py::array &contents) {
  const model::Variable &variable = machine.variable(id);
  checkArray(contents, py::dtype(model::elementName(variable.element)), variable.name);
  if (contents.size() != variable.length) {
    throw py::value_error(
        model::text(variable.name, ": expected ", variable.length, " elements, got ", contents.size()));
  }
  const void *data = contents.data();
  const py::gil_scoped_release release;
  machine.write(id, data);
}

py::array read(const Machine &machine, std::size_t id) {
  const model::Variable &variable = machine.variable(id);
  py::array contents(py::dtype(model::elementName(variable.element)), shapeOf(variable.length));
  void *data = contents.mutable_data();
  const py::gil_scoped_release release;
  machine.read(id, data);
  return contents;
}

// Ctrl-C stops the run between two steps.
void run(Machine &machine) {
  const py::gil_scoped_release release;
  machine.run([]() {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
  });
}

const char *directionName(model::Direction direction) {
  switch (direction) {
  case model::Direction::In:
    return "in";
  case model::Direction::Out:
    return "out";
  case model::Direction::InOut:
    return "inout";
  default:
    return "value";
  }
}

py::list vertexFields(const std::string &name) {
  const model::VertexInfo *info = model::lookUpVertex(name);
  if (info == nullptr) {
    throw model::ProgramError(model::text("no vertex '", name, "' is registered"));
  }
  using namespace py::literals;
  py::list fields;
  for (const model::FieldInfo &field : info->fields) {
    fields.append(py::dict("name"_a = field.name, "direction"_a = directionName(field.direction),
                           "element"_a = model::elementName(field.element), "layout"_a = field.layout,
                           "min_align"_a = field.minAlign, "interleaved"_a = field.interleaved,
                           "nesting"_a = field.nesting, "ipu_bytes"_a = field.ipuBytes));
  }
  return fields;
}

} // namespace

void bindModel(py::module_ &module) {
  module.def("vertex_names", &model::vertexNames, "Names of all vertices, sorted.");
  module.def(
      "vertex_fields", &vertexFields, py::arg("name"),
      "Fields of a vertex in order: dicts of name, direction (in, out, inout, value), element, layout, min_align, "
      "interleaved, nesting, ipu_bytes.");
  using namespace py::literals;
  py::class_<Machine>(module, "Model", "Strict functional model of many tiles; see cpp/model/machine.hpp.")
      .def(py::init<std::int32_t, std::int64_t, unsigned, unsigned>(), "num_tiles"_a, "tile_bytes"_a, "workers"_a = 6,
           "threads"_a = 0)
      .def("add_variable", &addVariable, "name"_a, "dtype"_a, "length"_a, "begins"_a, "tiles"_a, "live"_a,
           "Index of a new variable; begins int64, tiles int32, live 'always' or 'temp'.")
      .def(
          "add_exchange", &addExchange, "name"_a, "copies"_a,
          "Index of a new step; copies: (source, destination, source_begin, destination_begin, length), int64 columns.")
      .def("add_compute", &addCompute, "name"_a, "vertices"_a,
           "Index of a new step; vertices: (vertex, tiles int32, [(field, variable, begin, length)], [(scalar, "
           "values)]).")
      .def("add_control", &addControl, "name"_a, "kind"_a, "variable"_a, "count"_a, "bodies"_a,
           "Index of a new step 'repeat', 'while', 'if' or 'switch' over steps already added: lists of their indices.")
      .def("executions", &executions, "int64, how often each step was made in the last run.")
      .def(
          "reserve",
          [](Machine &machine, const py::array &bytes) {
            machine.reserve(column<std::int64_t>(bytes, "bytes_per_tile"));
          },
          "bytes_per_tile"_a, "Counts int64 bytes on each tile into its memory; calls add up.")
      .def("compile", &Machine::compile, py::call_guard<py::gil_scoped_release>(), "All static checks.")
      .def("tile_bytes", &tileBytes, "int64 bytes that each tile needs at its fullest step.")
      .def("write", &write, "variable"_a, "contents"_a, "Sets a whole variable from a 1-D array of its dtype.")
      .def("read", &read, "variable"_a, "A copy of a whole variable; an element that was never written is an error.")
      .def("run", &run, "Runs all steps once.");
}

} // namespace popsparse_py::bindings
