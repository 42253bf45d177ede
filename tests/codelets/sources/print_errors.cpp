// Provokes each error of the registry and prints its text, one per line.
#include <cstdio>
#include <functional>
#include <stdexcept>

#include <poplar/Vertex.hpp>

#include "registry_entry.hpp"

using namespace poplar;
using namespace popsparse_py::model;

class Everything : public Vertex {
public:
  Input<Vector<float, VectorLayout::SHORT_SPAN>> vector;
  Vector<Input<Vector<float>>> list;
  Input<float> edge;
  unsigned short count;
  int offset;
  bool flag;
  half factor;
  half4 packed;
  void compute() {}
};

void report(const std::function<void()> &call) {
  try {
    call();
    std::printf("no error\n");
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
  }
}

int main() {
  using V = Everything;
  const VertexInfo info = describe<V>("Everything", {field<V>("vector", &V::vector), field<V>("list", &V::list),
                                                     field<V>("edge", &V::edge), field<V>("count", &V::count),
                                                     field<V>("offset", &V::offset), field<V>("flag", &V::flag),
                                                     field<V>("factor", &V::factor), field<V>("packed", &V::packed)});
  alignas(V) unsigned char vertex[sizeof(V)] = {};
  alignas(8) unsigned char rows[32] = {};
  float data[4] = {};
  void *rowData[2] = {data, data};
  const std::size_t lengths[2] = {4, 4};
  const auto find = [&](const char *name) -> const FieldInfo & { return *info.findField(name); };
  report([&] { bindVector(vertex, find("vector"), data, 2047); });
  report([&] { bindVector(vertex, find("vector"), data, 2048); });
  report([&] { bindVector(vertex, find("edge"), data, 2); });
  report([&] { bindVector(vertex, find("count"), data, 1); });
  report([&] { bindVector(vertex, find("list"), data, 1); });
  report([&] { bindVectorList(vertex, find("list"), rows, rowData, lengths, 2); });
  report([&] { bindVectorList(vertex, find("vector"), rows, rowData, lengths, 2); });
  report([&] { setScalar(vertex, find("count"), 65535); });
  report([&] { setScalar(vertex, find("count"), 65536); });
  report([&] { setScalar(vertex, find("count"), 1.5); });
  report([&] { setScalar(vertex, find("offset"), -2147483648.0); });
  report([&] { setScalar(vertex, find("offset"), 2147483648.0); });
  report([&] { setScalar(vertex, find("flag"), 2); });
  report([&] { setScalar(vertex, find("factor"), 0.1); });
  report([&] { setScalar(vertex, find("edge"), 1); });
  report([&] { setScalar(vertex, find("packed"), 1); });
  report([&] { describe<V>("Everything", {field<V>("edge", &V::edge), field<V>("vector", &V::vector)}); });
  return info.findField("nothing") == nullptr ? 0 : 1;
}
