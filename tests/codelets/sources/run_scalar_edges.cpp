// Runs third_party/scalar_edges.cpp: private and const fields, a constructor that is never defined.
#include "third_party/scalar_edges.cpp"

#include "instance.hpp"
#include "registry_entry.hpp"

using popsparse_py::model::describe;
using popsparse_py::model::Direction;
using popsparse_py::model::Element;
using popsparse_py::model::field;

template <class V> popsparse_py::model::VertexInfo describeScale(const char *name) {
  return describe<V>(name, {field<V>("scale", &V::scale), field<V>("in", &V::in), field<V>("calls", &V::calls),
                            field<V>("out", &V::out), field<V>("square", &V::square), field<V>("shift", &V::shift),
                            field<V>("limit", &V::limit)});
}

template <class T, bool clear> void checkRun(unsigned callsAfter) {
  using V = others::ScaleAndCount<T, clear>;
  Instance vertex(describeScale<V>("others::ScaleAndCount"));
  std::vector<T> scale{static_cast<T>(0.5f)}, out{static_cast<T>(-1.0f)};
  std::vector<float> in{3.0f}, square{0.0f};
  std::vector<unsigned> calls{2};
  vertex.vector("scale", scale);
  vertex.vector("in", in);
  vertex.vector("calls", calls);
  vertex.vector("out", out);
  vertex.vector("square", square);
  vertex.scalar("shift", 0.25);
  vertex.scalar("limit", 2);
  CHECK(vertex.info.workers == 1);
  vertex.run();
  CHECK(static_cast<float>(out[0]) == 1.75f);
  CHECK(calls[0] == callsAfter);
  CHECK(square[0] == 9.0f + static_cast<float>(callsAfter));

  CHECK(vertex.field("scale").direction == Direction::In && vertex.field("calls").direction == Direction::InOut);
  CHECK(vertex.field("out").direction == Direction::Out && vertex.field("shift").direction == Direction::Value);
  CHECK(vertex.field("calls").element == Element::U32 && vertex.field("limit").element == Element::U16);
  CHECK(vertex.field("in").nesting == 0 && vertex.field("in").ipuBytes == 4);
  CHECK(vertex.field("in").layout == popsparse_py::model::kScalarLayout);
  CHECK(vertex.field("shift").ipuBytes == sizeof(T) && vertex.field("limit").ipuBytes == 2);
  CHECK(vertex.info.ipuBytes == (sizeof(T) == 4 ? 28u : 24u)); // 5 pointers, shift, limit
}

int main() {
  checkRun<float, true>(1);
  checkRun<half, false>(3);
  return 0;
}
