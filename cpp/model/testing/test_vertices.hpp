// Small vertices that keep or break one rule of the machine each, for the tests of the model. vertexNames() does not
// list them.
#ifndef POPSPARSE_PY_MODEL_TESTING_TEST_VERTICES_HPP
#define POPSPARSE_PY_MODEL_TESTING_TEST_VERTICES_HPP

#include <string>

#include "../registry.hpp"

namespace popsparse_py::model {

// nullptr if there is none of that name.
const VertexInfo *findTestVertex(const std::string &name);

} // namespace popsparse_py::model

#endif
