// The one table of vertex names: every vertex of cpp/codelets with its fields. No other file includes a codelet.
#include <algorithm>
#include <string>
#include <vector>

#include "../codelets/cast.cpp"
#include "../codelets/copy.cpp"
#include "../codelets/dynamic_block_dot.cpp"
#include "../codelets/dynamic_block_sampled.cpp"
#include "../codelets/dynamic_block_transposed.cpp"
#include "../codelets/dynamic_element_dot.cpp"
#include "../codelets/dynamic_element_sampled.cpp"
#include "../codelets/dynamic_element_transposed.cpp"
#include "../codelets/next_operation.cpp"
#include "../codelets/packet_advance.cpp"
#include "../codelets/packet_dot.cpp"
#include "../codelets/packet_sampled.cpp"
#include "../codelets/packet_select.cpp"
#include "../codelets/packet_store.cpp"
#include "../codelets/reduce_partials.cpp"
#include "../codelets/static_block_dot.cpp"
#include "../codelets/static_element_dot.cpp"
#include "../codelets/zero.cpp"
#include "registry.hpp"
#include "registry_entry.hpp"

namespace popsparse_py::model {

namespace {

// The two dot products differ in their work list only.
template <class V> VertexInfo dot(const char *name) {
  return describe<V>(name, {field<V>("q", &V::q), field<V>("s", &V::s), field<V>("r", &V::r),
                            field<V>("workList", &V::workList), field<V>("numColumns", &V::numColumns)});
}

template <class V> VertexInfo reduce(const char *name) {
  return describe<V>(name, {field<V>("partials", &V::partials), field<V>("out", &V::out),
                            field<V>("workList", &V::workList), field<V>("numSegments", &V::numSegments)});
}

template <class V> VertexInfo zero(const char *name) {
  return describe<V>(name, {field<V>("out", &V::out), field<V>("count", &V::count)});
}

template <class V> VertexInfo elementwise(const char *name) {
  return describe<V>(name, {field<V>("in", &V::in), field<V>("out", &V::out), field<V>("count", &V::count)});
}

// Products from a bucket; `last` is the field that tells them apart.
template <class V> VertexInfo bucketDot(const char *name, FieldInfo last) {
  return describe<V>(name, {field<V>("q", &V::q), field<V>("s", &V::s), field<V>("r", &V::r),
                            field<V>("list", &V::list), field<V>("numColumns", &V::numColumns), std::move(last)});
}

template <class V> VertexInfo blockDot(const char *name) {
  return describe<V>(name, {field<V>("q", &V::q), field<V>("s", &V::s), field<V>("r", &V::r),
                            field<V>("list", &V::list), field<V>("numColumns", &V::numColumns)});
}

template <class V> VertexInfo elementDot(const char *name) {
  return bucketDot<V>(name, field<V>("numGroups", &V::numGroups));
}

template <class V> VertexInfo transposedDot(const char *name) {
  return bucketDot<V>(name, field<V>("numOutputs", &V::numOutputs));
}

template <class V> VertexInfo packetDot(const char *name) {
  return bucketDot<V>(name, field<V>("transposed", &V::transposed));
}

template <class V> VertexInfo sampled(const char *name) {
  return describe<V>(name, {field<V>("g", &V::g), field<V>("dy", &V::dy), field<V>("x", &V::x),
                            field<V>("list", &V::list), field<V>("numColumns", &V::numColumns)});
}

template <class V> VertexInfo packetSampled(const char *name) {
  return describe<V>(name,
                     {field<V>("g", &V::g), field<V>("dy", &V::dy), field<V>("x", &V::x), field<V>("list", &V::list),
                      field<V>("numColumns", &V::numColumns), field<V>("numElements", &V::numElements)});
}

template <class V> VertexInfo packetSelect(const char *name) {
  return describe<V>(name, {field<V>("list", &V::list), field<V>("r", &V::r), field<V>("cursor", &V::cursor),
                            field<V>("outList", &V::outList), field<V>("outValues", &V::outValues),
                            field<V>("firstEntry", &V::firstEntry), field<V>("firstValue", &V::firstValue),
                            field<V>("listShare", &V::listShare), field<V>("valueShare", &V::valueShare),
                            field<V>("blockElements", &V::blockElements)});
}

template <class V> VertexInfo packetStore(const char *name) {
  return describe<V>(name, {field<V>("sums", &V::sums), field<V>("results", &V::results), field<V>("list", &V::list),
                            field<V>("cursor", &V::cursor), field<V>("firstElement", &V::firstElement),
                            field<V>("numElements", &V::numElements), field<V>("blockElements", &V::blockElements)});
}

VertexInfo packetAdvance(const char *name) {
  using V = PacketAdvance;
  return describe<V>(name, {field<V>("list", &V::list), field<V>("cursor", &V::cursor), field<V>("next", &V::next)});
}

VertexInfo nextOperation(const char *name) {
  using V = NextOperation;
  return describe<V>(name, {field<V>("operations", &V::operations), field<V>("place", &V::place),
                            field<V>("next", &V::next), field<V>("operation", &V::operation)});
}

std::vector<VertexInfo> makeTable() {
  std::vector<VertexInfo> table = {
      dot<StaticElementDot<half, half>>("popsparse_py::StaticElementDot<half,half>"),
      dot<StaticElementDot<half, float>>("popsparse_py::StaticElementDot<half,float>"),
      dot<StaticElementDot<float, float>>("popsparse_py::StaticElementDot<float,float>"),
      dot<StaticBlockDot<half, half, 4>>("popsparse_py::StaticBlockDot<half,half,4>"),
      dot<StaticBlockDot<half, half, 8>>("popsparse_py::StaticBlockDot<half,half,8>"),
      dot<StaticBlockDot<half, half, 16>>("popsparse_py::StaticBlockDot<half,half,16>"),
      dot<StaticBlockDot<half, float, 4>>("popsparse_py::StaticBlockDot<half,float,4>"),
      dot<StaticBlockDot<half, float, 8>>("popsparse_py::StaticBlockDot<half,float,8>"),
      dot<StaticBlockDot<half, float, 16>>("popsparse_py::StaticBlockDot<half,float,16>"),
      dot<StaticBlockDot<float, float, 4>>("popsparse_py::StaticBlockDot<float,float,4>"),
      dot<StaticBlockDot<float, float, 8>>("popsparse_py::StaticBlockDot<float,float,8>"),
      dot<StaticBlockDot<float, float, 16>>("popsparse_py::StaticBlockDot<float,float,16>"),
      elementDot<DynamicElementDot<half, half>>("popsparse_py::DynamicElementDot<half,half>"),
      elementDot<DynamicElementDot<half, float>>("popsparse_py::DynamicElementDot<half,float>"),
      elementDot<DynamicElementDot<float, float>>("popsparse_py::DynamicElementDot<float,float>"),
      blockDot<DynamicBlockDot<half, half, 4>>("popsparse_py::DynamicBlockDot<half,half,4>"),
      blockDot<DynamicBlockDot<half, half, 8>>("popsparse_py::DynamicBlockDot<half,half,8>"),
      blockDot<DynamicBlockDot<half, half, 16>>("popsparse_py::DynamicBlockDot<half,half,16>"),
      blockDot<DynamicBlockDot<half, float, 4>>("popsparse_py::DynamicBlockDot<half,float,4>"),
      blockDot<DynamicBlockDot<half, float, 8>>("popsparse_py::DynamicBlockDot<half,float,8>"),
      blockDot<DynamicBlockDot<half, float, 16>>("popsparse_py::DynamicBlockDot<half,float,16>"),
      blockDot<DynamicBlockDot<float, float, 4>>("popsparse_py::DynamicBlockDot<float,float,4>"),
      blockDot<DynamicBlockDot<float, float, 8>>("popsparse_py::DynamicBlockDot<float,float,8>"),
      blockDot<DynamicBlockDot<float, float, 16>>("popsparse_py::DynamicBlockDot<float,float,16>"),
      transposedDot<DynamicElementTransposed<half>>("popsparse_py::DynamicElementTransposed<half>"),
      transposedDot<DynamicElementTransposed<float>>("popsparse_py::DynamicElementTransposed<float>"),
      transposedDot<DynamicBlockTransposed<half, 4>>("popsparse_py::DynamicBlockTransposed<half,4>"),
      transposedDot<DynamicBlockTransposed<half, 8>>("popsparse_py::DynamicBlockTransposed<half,8>"),
      transposedDot<DynamicBlockTransposed<half, 16>>("popsparse_py::DynamicBlockTransposed<half,16>"),
      transposedDot<DynamicBlockTransposed<float, 4>>("popsparse_py::DynamicBlockTransposed<float,4>"),
      transposedDot<DynamicBlockTransposed<float, 8>>("popsparse_py::DynamicBlockTransposed<float,8>"),
      transposedDot<DynamicBlockTransposed<float, 16>>("popsparse_py::DynamicBlockTransposed<float,16>"),
      sampled<DynamicElementSampled<half>>("popsparse_py::DynamicElementSampled<half>"),
      sampled<DynamicElementSampled<float>>("popsparse_py::DynamicElementSampled<float>"),
      sampled<DynamicBlockSampled<half, 4>>("popsparse_py::DynamicBlockSampled<half,4>"),
      sampled<DynamicBlockSampled<half, 8>>("popsparse_py::DynamicBlockSampled<half,8>"),
      sampled<DynamicBlockSampled<half, 16>>("popsparse_py::DynamicBlockSampled<half,16>"),
      sampled<DynamicBlockSampled<float, 4>>("popsparse_py::DynamicBlockSampled<float,4>"),
      sampled<DynamicBlockSampled<float, 8>>("popsparse_py::DynamicBlockSampled<float,8>"),
      sampled<DynamicBlockSampled<float, 16>>("popsparse_py::DynamicBlockSampled<float,16>"),
      packetDot<PacketDot<half, half, 1>>("popsparse_py::PacketDot<half,half,1>"),
      packetDot<PacketDot<half, half, 4>>("popsparse_py::PacketDot<half,half,4>"),
      packetDot<PacketDot<half, half, 8>>("popsparse_py::PacketDot<half,half,8>"),
      packetDot<PacketDot<half, half, 16>>("popsparse_py::PacketDot<half,half,16>"),
      packetDot<PacketDot<half, float, 1>>("popsparse_py::PacketDot<half,float,1>"),
      packetDot<PacketDot<half, float, 4>>("popsparse_py::PacketDot<half,float,4>"),
      packetDot<PacketDot<half, float, 8>>("popsparse_py::PacketDot<half,float,8>"),
      packetDot<PacketDot<half, float, 16>>("popsparse_py::PacketDot<half,float,16>"),
      packetDot<PacketDot<float, float, 1>>("popsparse_py::PacketDot<float,float,1>"),
      packetDot<PacketDot<float, float, 4>>("popsparse_py::PacketDot<float,float,4>"),
      packetDot<PacketDot<float, float, 8>>("popsparse_py::PacketDot<float,float,8>"),
      packetDot<PacketDot<float, float, 16>>("popsparse_py::PacketDot<float,float,16>"),
      packetSampled<PacketSampled<half, 1>>("popsparse_py::PacketSampled<half,1>"),
      packetSampled<PacketSampled<half, 4>>("popsparse_py::PacketSampled<half,4>"),
      packetSampled<PacketSampled<half, 8>>("popsparse_py::PacketSampled<half,8>"),
      packetSampled<PacketSampled<half, 16>>("popsparse_py::PacketSampled<half,16>"),
      packetSampled<PacketSampled<float, 1>>("popsparse_py::PacketSampled<float,1>"),
      packetSampled<PacketSampled<float, 4>>("popsparse_py::PacketSampled<float,4>"),
      packetSampled<PacketSampled<float, 8>>("popsparse_py::PacketSampled<float,8>"),
      packetSampled<PacketSampled<float, 16>>("popsparse_py::PacketSampled<float,16>"),
      packetSelect<PacketSelect<half>>("popsparse_py::PacketSelect<half>"),
      packetStore<PacketStore<half>>("popsparse_py::PacketStore<half>"),
      packetSelect<PacketSelect<float>>("popsparse_py::PacketSelect<float>"),
      packetStore<PacketStore<float>>("popsparse_py::PacketStore<float>"),
      packetAdvance("popsparse_py::PacketAdvance"),
      nextOperation("popsparse_py::NextOperation"),
      reduce<ReducePartials<half, half>>("popsparse_py::ReducePartials<half,half>"),
      reduce<ReducePartials<float, float>>("popsparse_py::ReducePartials<float,float>"),
      reduce<ReducePartials<float, half>>("popsparse_py::ReducePartials<float,half>"),
      zero<Zero<half>>("popsparse_py::Zero<half>"),
      zero<Zero<float>>("popsparse_py::Zero<float>"),
      elementwise<Cast<float, half>>("popsparse_py::Cast<float,half>"),
      elementwise<Cast<half, float>>("popsparse_py::Cast<half,float>"),
      elementwise<Copy<half>>("popsparse_py::Copy<half>"),
      elementwise<Copy<float>>("popsparse_py::Copy<float>"),
  };
  std::sort(table.begin(), table.end(), [](const VertexInfo &a, const VertexInfo &b) { return a.name < b.name; });
  return table;
}

const std::vector<VertexInfo> &vertexTable() {
  static const std::vector<VertexInfo> table = makeTable();
  return table;
}

} // namespace

const VertexInfo *findVertex(const std::string &name) {
  const std::vector<VertexInfo> &table = vertexTable();
  const auto found =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const VertexInfo &info, const std::string &wanted) { return info.name < wanted; });
  return found != table.end() && found->name == name ? &*found : nullptr;
}

std::vector<std::string> vertexNames() {
  std::vector<std::string> names;
  for (const VertexInfo &info : vertexTable()) {
    names.push_back(info.name);
  }
  return names;
}

} // namespace popsparse_py::model
