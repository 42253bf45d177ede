// Runs third_party/supervisor.cpp: one call of compute() does the work of all workers.
#include "third_party/supervisor.cpp"

#include "instance.hpp"
#include "registry_entry.hpp"

using popsparse_py::model::describe;
using popsparse_py::model::field;

template <class V> void checkRound(const char *name, float expected) {
  Instance vertex(describe<V>(name, {field<V>("data", &V::data), field<V>("count", &V::count)}));
  std::vector<float> data(13, 2.75f);
  vertex.vector("data", data);
  vertex.scalar("count", 12);
  CHECK(vertex.info.workers == 1 && vertex.info.ipuBytes == 8);
  vertex.run();
  CHECK(data[0] == expected && data[11] == expected && data[12] == 2.75f);
}

int main() {
  checkRound<RoundAll<Mode::Floor, true>>("RoundAll<Mode::Floor,true>", 2.0f);
  checkRound<RoundAll<Mode::Nearest, false>>("RoundAll<Mode::Nearest,false>", 3.0f);
  return 0;
}
