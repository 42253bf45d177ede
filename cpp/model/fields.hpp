// Field kinds by type: direction, element, layout, alignment, nesting and bytes on the chip, all derived from the C++
// type.
//
// popc finds these by parsing a vertex class; on the host the type of the member says the same.
#ifndef POPSPARSE_PY_MODEL_FIELDS_HPP
#define POPSPARSE_PY_MODEL_FIELDS_HPP

#include <cstddef>
#include <type_traits>

#include <poplar/Vertex.hpp>

#include "registry.hpp"

namespace popsparse_py::model {

template <class T> inline constexpr bool kUnsupported = false;

template <class T> constexpr Element elementOf() {
  if constexpr (std::is_same_v<T, bool>) {
    return Element::Bool;
  } else if constexpr (std::is_same_v<T, char> || std::is_same_v<T, signed char>) {
    return Element::I8;
  } else if constexpr (std::is_same_v<T, unsigned char>) {
    return Element::U8;
  } else if constexpr (std::is_same_v<T, short>) {
    return Element::I16;
  } else if constexpr (std::is_same_v<T, unsigned short>) {
    return Element::U16;
  } else if constexpr (std::is_same_v<T, int>) {
    return Element::I32;
  } else if constexpr (std::is_same_v<T, unsigned>) {
    return Element::U32;
  } else if constexpr (std::is_same_v<T, half>) {
    return Element::Half;
  } else if constexpr (std::is_same_v<T, float>) {
    return Element::Float;
  } else if constexpr (std::is_same_v<T, half2>) {
    return Element::Half2;
  } else if constexpr (std::is_same_v<T, half4>) {
    return Element::Half4;
  } else if constexpr (std::is_same_v<T, float2>) {
    return Element::Float2;
  } else if constexpr (std::is_same_v<T, float4>) {
    return Element::Float4;
  } else if constexpr (std::is_same_v<T, int2>) {
    return Element::Int2;
  } else if constexpr (std::is_same_v<T, int4>) {
    return Element::Int4;
  } else {
    static_assert(kUnsupported<T>,
                  "a vertex field holds bool, integers up to 32 bits, half, float or their short vectors");
  }
}

// Bytes of a vector field in the vertex state. Source: docs.graphcore.ai, vertex vector layouts; COMPACT_PTR at its
// widest.
constexpr unsigned ipuPointerBytes(poplar::VectorLayout layout) {
  switch (layout) {
  case poplar::VectorLayout::SPAN:
    return 8;
  case poplar::VectorLayout::SCALED_PTR32:
  case poplar::VectorLayout::SCALED_PTR64:
  case poplar::VectorLayout::SCALED_PTR128:
    return 2;
  default:
    return 4;
  }
}

constexpr unsigned kIpuPointerBytes = 4;
constexpr unsigned kIpuVectorListBytes = 8; // base and table; assumed, the DELTAN layouts are not documented in bytes

// What the type of a field says; the rest of FieldInfo depends on the vertex.
struct FieldKind {
  Direction direction;
  Element element;
  int layout;
  int outerLayout;
  unsigned minAlign;
  bool interleaved;
  unsigned nesting;
  std::size_t rowBytes;
  unsigned ipuBytes;
  unsigned ipuRowBytes;
};

constexpr unsigned effectiveAlign(unsigned declared, std::size_t natural) {
  return declared > natural ? declared : static_cast<unsigned>(natural);
}

template <class T> constexpr FieldKind scalarKind(Direction direction, unsigned ipuBytes) {
  return {
      direction, elementOf<T>(), kScalarLayout, kScalarLayout, static_cast<unsigned>(alignof(T)), false, 0, 0, ipuBytes,
      0};
}

template <class T, poplar::VectorLayout L, unsigned A, bool I> constexpr FieldKind vectorKind(Direction direction) {
  return {direction,
          elementOf<T>(),
          static_cast<int>(L),
          kScalarLayout,
          effectiveAlign(A, alignof(T)),
          I,
          1,
          0,
          ipuPointerBytes(L),
          0};
}

template <class T, poplar::VectorListLayout L, unsigned A, bool I> constexpr FieldKind listKind(Direction direction) {
  constexpr poplar::VectorLayout row = poplar::shim::rowLayout(L);
  return {direction,
          elementOf<T>(),
          static_cast<int>(row),
          static_cast<int>(row),
          effectiveAlign(A, alignof(T)),
          I,
          2,
          sizeof(poplar::shim::Elements<T, row>),
          kIpuVectorListBytes,
          kIpuPointerBytes};
}

// A plain member: a scalar held in the vertex state.
template <class F> struct FieldOf {
  static constexpr FieldKind kind() { return scalarKind<F>(Direction::Value, static_cast<unsigned>(sizeof(F))); }
};

// What Input, Output and InOut may hold.
template <class T> struct EdgeOf {
  static constexpr FieldKind kind(Direction direction) { return scalarKind<T>(direction, kIpuPointerBytes); }
};
template <class T, poplar::VectorLayout L, unsigned A, bool I> struct EdgeOf<poplar::Vector<T, L, A, I>> {
  static constexpr FieldKind kind(Direction direction) { return vectorKind<T, L, A, I>(direction); }
};
template <class T, poplar::VectorListLayout L, unsigned A, bool I> struct EdgeOf<poplar::VectorList<T, L, A, I>> {
  static constexpr FieldKind kind(Direction direction) { return listKind<T, L, A, I>(direction); }
};

template <class T> struct FieldOf<poplar::Input<T>> {
  static constexpr FieldKind kind() { return EdgeOf<T>::kind(Direction::In); }
};
template <class T> struct FieldOf<poplar::Output<T>> {
  static constexpr FieldKind kind() { return EdgeOf<T>::kind(Direction::Out); }
};
template <class T> struct FieldOf<poplar::InOut<T>> {
  static constexpr FieldKind kind() { return EdgeOf<T>::kind(Direction::InOut); }
};

// A vector of edges is a list; a vector of anything else is vertex state that the host fills.
template <class E, poplar::VectorLayout L, unsigned A, bool I> struct FieldOf<poplar::Vector<E, L, A, I>> {
  static constexpr FieldKind kind() {
    if constexpr (std::is_class_v<E>) {
      FieldKind inner = FieldOf<E>::kind();
      inner.outerLayout = static_cast<int>(L);
      inner.nesting = 2;
      inner.rowBytes = sizeof(E);
      inner.ipuRowBytes = inner.ipuBytes;
      inner.ipuBytes = ipuPointerBytes(L);
      return inner;
    } else {
      return vectorKind<E, L, A, I>(Direction::Value);
    }
  }
};

} // namespace popsparse_py::model

#endif
