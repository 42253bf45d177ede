// Prints the registry, one line per vertex and per field: what tests compare with the codelets' text.
#include <cstdio>

#include "registry.hpp"

using namespace popsparse_py::model;

int main() {
  const char *directions[] = {"in", "out", "inout", "value"};
  for (const std::string &name : vertexNames()) {
    const VertexInfo &vertex = *findVertex(name);
    std::printf("vertex %s %u %u\n", name.c_str(), vertex.workers, vertex.ipuBytes);
    for (const FieldInfo &field : vertex.fields) {
      std::printf("field %s %s %s %u %u %u\n", field.name.c_str(), directions[static_cast<int>(field.direction)],
                  elementName(field.element), field.nesting, field.minAlign, field.ipuBytes);
    }
  }
  return findVertex("popsparse_py::Zero<double>") == nullptr && findVertex("") == nullptr ? 0 : 1;
}
