// Describes one vertex class: where its fields are, what they are, and how to run it. Serves our codelets and those of
// others.
//
//   describe<V>("popsparse_py::Zero<half>", {field<V>("out", &V::out), field<V>("count", &V::count)})
//
// The fields come in declaration order. A class with private fields needs -fno-access-control for the file that
// registers it.
#ifndef POPSPARSE_PY_MODEL_REGISTRY_ENTRY_HPP
#define POPSPARSE_PY_MODEL_REGISTRY_ENTRY_HPP

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fields.hpp"
#include "registry.hpp"

namespace popsparse_py::model {

template <class V, class = void> struct TakesWorker : std::false_type {};
template <class V> struct TakesWorker<V, std::void_t<decltype(std::declval<V &>().compute(0u))>> : std::true_type {};

// compute() in any of its four forms; void counts as true.
template <class V> bool runVertex(void *memory, unsigned worker) {
  V &vertex = *std::launder(static_cast<V *>(memory));
  auto call = [&] {
    if constexpr (TakesWorker<V>::value) {
      return vertex.compute(worker);
    } else {
      return vertex.compute();
    }
  };
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    return true;
  } else {
    return call();
  }
}

// F V::*, also for a field that V inherits.
template <class V, class C, class F> FieldInfo field(const char *name, F C::*member) {
  static_assert(std::is_base_of_v<C, V>, "the field belongs to another class");
  F V::*own = member;
  alignas(V) std::byte memory[sizeof(V)];
  V *vertex = reinterpret_cast<V *>(memory); // never constructed: only addresses are taken
  const auto *address = reinterpret_cast<const std::byte *>(std::addressof(vertex->*own));
  const FieldKind kind = FieldOf<std::remove_cv_t<F>>::kind();
  return {name,
          kind.direction,
          kind.element,
          kind.layout,
          kind.outerLayout,
          kind.minAlign,
          kind.interleaved,
          kind.nesting,
          static_cast<std::size_t>(address - memory),
          sizeof(F),
          kind.rowBytes,
          kind.ipuBytes,
          kind.ipuRowBytes};
}

// Bytes of the vertex state on the chip: fields in order, each aligned to its size up to 4 bytes.
inline unsigned ipuStateBytes(const std::vector<FieldInfo> &fields) {
  unsigned end = 0;
  for (const FieldInfo &info : fields) {
    const unsigned align = std::clamp(info.ipuBytes, 1u, 4u);
    end = (end + align - 1) / align * align + info.ipuBytes;
  }
  return (end + 3) / 4 * 4;
}

// Throws std::logic_error if the fields are not in declaration order.
template <class V> VertexInfo describe(std::string name, std::vector<FieldInfo> fields) {
  constexpr bool isMulti = std::is_base_of_v<poplar::MultiVertex, V>;
  static_assert(!isMulti || TakesWorker<V>::value, "the compute of a MultiVertex takes the worker's number");
  for (std::size_t i = 1; i < fields.size(); ++i) {
    if (fields[i].hostOffset <= fields[i - 1].hostOffset) {
      throw std::logic_error(name + ": field " + fields[i].name + " is not registered in declaration order");
    }
  }
  const unsigned stateBytes = ipuStateBytes(fields);
  return {std::move(name),   sizeof(V),    alignof(V), stateBytes, isMulti ? kWorkersPerTile : 1,
          std::move(fields), &runVertex<V>};
}

} // namespace popsparse_py::model

#endif
