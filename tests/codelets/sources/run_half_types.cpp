// Runs third_party/half_types.cpp: functions of half against the same in float, short vectors as elements and by cast.
#include "third_party/half_types.cpp"

#include "instance.hpp"
#include "registry_entry.hpp"

using popsparse_py::model::describe;
using popsparse_py::model::Element;
using popsparse_py::model::field;

void checkFunctions() {
  using V = Functions<half>;
  Instance vertex(describe<V>("Functions<half>", {field<V>("x", &V::x), field<V>("y", &V::y), field<V>("out", &V::out),
                                                  field<V>("kinds", &V::kinds)}));
  std::vector<half> x(9, static_cast<half>(0.625f)), y(9, static_cast<half>(0.375f)), out(9);
  std::vector<int> kinds(4);
  vertex.vector("x", x);
  vertex.vector("y", y);
  vertex.vector("out", out);
  vertex.vector("kinds", kinds);
  vertex.run();
  for (unsigned i = 0; i < out.size(); ++i) {
    const float exact = apply<float>(i, 0.625f, 0.375f);
    CHECK(std::fabs(static_cast<float>(out[i]) - exact) <= 0.004f);
  }
  CHECK(kinds[0] == 16 && kinds[1] == 1 && kinds[2] == 1 && kinds[3] == 1);
}

void checkVectorTypes() {
  using V = VectorTypes;
  Instance vertex(
      describe<V>("VectorTypes", {field<V>("in", &V::in), field<V>("packed", &V::packed), field<V>("pairs", &V::pairs),
                                  field<V>("quads", &V::quads), field<V>("halves", &V::halves),
                                  field<V>("counts", &V::counts), field<V>("factor", &V::factor)}));
  CHECK(vertex.field("packed").element == Element::Half4 && vertex.field("pairs").element == Element::Float2);
  alignas(16) half in[4] = {1, 2, 3, 4}, halves[4] = {};
  alignas(16) half4 packed[1] = {half4{1, 1, 1, 1}};
  alignas(16) float2 pairs[1] = {};
  alignas(16) float quads[4] = {};
  alignas(16) int counts[4] = {};
  vertex.vector("in", in, 4);
  vertex.vector("packed", packed, 1);
  vertex.vector("pairs", pairs, 1);
  vertex.vector("quads", quads, 4);
  vertex.vector("halves", halves, 4);
  vertex.vector("counts", counts, 4);
  vertex.scalar("factor", 0.5);
  vertex.run();
  CHECK(static_cast<float>(halves[0]) == 1.0f && static_cast<float>(halves[1]) == 1.5f);
  CHECK(static_cast<float>(halves[2]) == 4.5f && static_cast<float>(halves[3]) == 5.0f);
  CHECK(pairs[0][0] == 2.0f && pairs[0][1] == 3.0f && quads[0] == 0.5f && quads[3] == 3.5f);
  CHECK(counts[0] == 2 && counts[1] == 3 && counts[3] == 5);
}

int main() {
  checkFunctions();
  checkVectorTypes();
  return 0;
}
