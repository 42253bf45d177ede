// Host stand-in for <poplar/FieldTypes.hpp>: layouts, Vector, VectorList and the edges Input, Output, InOut.
//
// An edge is a pointer, followed by a length where its layout has one. It points into memory that the host binds before
// compute() runs; nothing here allocates or owns. Like a pointer, a const edge still gives access to its elements.
#ifndef POPSPARSE_SHIM_POPLAR_FIELD_TYPES_HPP
#define POPSPARSE_SHIM_POPLAR_FIELD_TYPES_HPP

#include <cstddef>

#include "HalfFloat.hpp"

namespace poplar {

enum class VectorLayout {
  NOT_A_VECTOR,
  SPAN,
  ONE_PTR,
  SHORT_SPAN,
  COMPACT_PTR,
  SCALED_PTR32,
  SCALED_PTR64,
  SCALED_PTR128
};

enum class VectorListLayout {
  NOT_A_VECTOR,
  ONE_PTR,
  SCALED_PTR32,
  SCALED_PTR64,
  SCALED_PTR128,
  DELTAN,
  DELTANELEMENTS,
  COMPACT_DELTAN
};

namespace shim {

template <class E> class Pointer {
public:
  E &operator[](std::size_t index) const { return first[index]; }
  E &operator*() const { return *first; }
  E *operator->() const { return first; }
  E *data() const { return first; }
  E *begin() const { return first; }

protected:
  E *first;
};

// Elements of type E in a layout without a length.
template <class E, VectorLayout L> class Elements : public Pointer<E> {};

template <class E> class Elements<E, VectorLayout::SPAN> : public Pointer<E> {
public:
  unsigned size() const { return static_cast<unsigned>(length); }
  E *end() const { return this->first + length; }

private:
  std::size_t length;
};

template <class E> class Elements<E, VectorLayout::SHORT_SPAN> : public Pointer<E> {
public:
  unsigned size() const { return static_cast<unsigned>(length); }
  E *end() const { return this->first + length; }

private:
  std::size_t length;
};

// A list of vectors: the DELTAN layouts know the number of rows and the length of each, the pointer layouts neither.
constexpr VectorLayout rowLayout(VectorListLayout layout) {
  return layout == VectorListLayout::DELTAN || layout == VectorListLayout::DELTANELEMENTS ||
                 layout == VectorListLayout::COMPACT_DELTAN
             ? VectorLayout::SPAN
             : VectorLayout::ONE_PTR;
}

template <class E, VectorListLayout L> using Rows = Elements<Elements<E, rowLayout(L)>, rowLayout(L)>;

} // namespace shim

// Inside Input, Output or InOut: the shape of the edge. As a field of its own: a vector of edges, or of vertex state.
template <class T, VectorLayout L = VectorLayout::SPAN, unsigned MinAlign = 0, bool Interleaved = false>
class Vector : public shim::Elements<T, L> {};

// As Vector, one level deeper: v[i] is a row, v[i][j] an element.
template <class T, VectorListLayout L = VectorListLayout::DELTANELEMENTS, unsigned MinAlign = 0,
          bool Interleaved = false>
class VectorList : public shim::Rows<T, L> {};

// Edge to a scalar that the vertex reads.
template <class T> class Input {
public:
  Input() = default;
  Input(const Input &) = default;
  Input &operator=(const Input &) = delete;
  operator const T &() const { return *source; }
  const T &operator*() const { return *source; }
  const T *operator->() const { return source; }

private:
  const T *source;
};

// Edge to a scalar that the vertex writes.
template <class T> class Output {
public:
  Output() = default;
  Output(const Output &) = default;
  Output &operator=(const Output &) = delete;
  Output &operator=(const T &value) {
    *target = value;
    return *this;
  }
  T &operator*() const { return *target; }
  T *operator->() const { return target; }

private:
  T *target;
};

// Edge to a scalar that the vertex reads and writes.
template <class T> class InOut {
public:
  InOut() = default;
  InOut(const InOut &) = default;
  InOut &operator=(const InOut &) = delete;
  InOut &operator=(const T &value) {
    *target = value;
    return *this;
  }
  operator T &() const { return *target; }
  T &operator*() const { return *target; }
  T *operator->() const { return target; }

private:
  T *target;
};

template <class T, VectorLayout L, unsigned A, bool I>
class Input<Vector<T, L, A, I>> : public shim::Elements<const T, L> {};
template <class T, VectorLayout L, unsigned A, bool I>
class Output<Vector<T, L, A, I>> : public shim::Elements<T, L> {};
template <class T, VectorLayout L, unsigned A, bool I> class InOut<Vector<T, L, A, I>> : public shim::Elements<T, L> {};

template <class T, VectorListLayout L, unsigned A, bool I>
class Input<VectorList<T, L, A, I>> : public shim::Rows<const T, L> {};
template <class T, VectorListLayout L, unsigned A, bool I>
class Output<VectorList<T, L, A, I>> : public shim::Rows<T, L> {};
template <class T, VectorListLayout L, unsigned A, bool I>
class InOut<VectorList<T, L, A, I>> : public shim::Rows<T, L> {};

} // namespace poplar

#endif
