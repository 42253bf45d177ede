// The vertices that a program may name.
#ifndef POPSPARSE_PY_MODEL_VERTICES_HPP
#define POPSPARSE_PY_MODEL_VERTICES_HPP

#include <string>

#include "registry.hpp"

#ifdef POPSPARSE_TEST_VERTICES
#include "testing/test_vertices.hpp"
#endif

namespace popsparse_py::model {

// A registered vertex, or one of the test vertices where they are built in; nullptr if there is none of that name.
inline const VertexInfo *lookUpVertex(const std::string &name) {
  const VertexInfo *info = findVertex(name);
#ifdef POPSPARSE_TEST_VERTICES
  info = info == nullptr ? findTestVertex(name) : info;
#endif
  return info;
}

} // namespace popsparse_py::model

#endif
