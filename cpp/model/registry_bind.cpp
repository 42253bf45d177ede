// Writes pointers, lengths and scalars into the raw memory of a vertex.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include <poplar/Vertex.hpp>

#include "registry.hpp"

namespace popsparse_py::model {

namespace {

std::byte *at(void *memory, std::size_t offset) {
  return static_cast<std::byte *>(memory) + offset;
}

bool isSized(int layout) {
  return layout == static_cast<int>(poplar::VectorLayout::SPAN) ||
         layout == static_cast<int>(poplar::VectorLayout::SHORT_SPAN);
}

void checkLength(const FieldInfo &field, int layout, std::size_t length) {
  if (layout == static_cast<int>(poplar::VectorLayout::SHORT_SPAN) && length > kShortSpanMaxElements) {
    throw std::invalid_argument("field " + field.name + ": a SHORT_SPAN holds at most " +
                                std::to_string(kShortSpanMaxElements) + " elements, got " + std::to_string(length));
  }
  if (layout == kScalarLayout && length != 1) {
    throw std::invalid_argument("field " + field.name + ": a scalar edge needs 1 element, got " +
                                std::to_string(length));
  }
}

// One edge: a pointer, followed by the length where the layout has one.
void writeEdge(std::byte *edge, int layout, void *data, std::size_t length) {
  std::memcpy(edge, &data, sizeof data);
  if (isSized(layout)) {
    std::memcpy(edge + sizeof data, &length, sizeof length);
  }
}

template <class T> void writeValue(std::byte *target, double value) {
  const T stored = static_cast<T>(value);
  std::memcpy(target, &stored, sizeof stored);
}

template <class T> void writeInteger(std::byte *target, const FieldInfo &field, double value) {
  const double low = static_cast<double>(std::numeric_limits<T>::min());
  const double high = static_cast<double>(std::numeric_limits<T>::max());
  if (!(value >= low && value <= high) || value != std::floor(value)) {
    throw std::invalid_argument("field " + field.name + ": expected an integer in [" +
                                std::to_string(static_cast<long long>(low)) + ", " +
                                std::to_string(static_cast<long long>(high)) + "], got " + std::to_string(value));
  }
  writeValue<T>(target, value);
}

} // namespace

bool FieldInfo::carriesLength() const {
  return isSized(nesting == 2 ? outerLayout : layout);
}

const FieldInfo *VertexInfo::findField(const std::string &fieldName) const {
  for (const FieldInfo &field : fields) {
    if (field.name == fieldName) {
      return &field;
    }
  }
  return nullptr;
}

std::size_t elementBytes(Element element) {
  switch (element) {
  case Element::Bool:
  case Element::I8:
  case Element::U8:
    return 1;
  case Element::I16:
  case Element::U16:
  case Element::Half:
    return 2;
  case Element::I32:
  case Element::U32:
  case Element::Float:
  case Element::Half2:
    return 4;
  case Element::Half4:
  case Element::Float2:
  case Element::Int2:
    return 8;
  case Element::Float4:
  case Element::Int4:
    return 16;
  }
  throw std::logic_error("unknown element type");
}

const char *elementName(Element element) {
  switch (element) {
  case Element::Bool:
    return "bool";
  case Element::I8:
    return "int8";
  case Element::U8:
    return "uint8";
  case Element::I16:
    return "int16";
  case Element::U16:
    return "uint16";
  case Element::I32:
    return "int32";
  case Element::U32:
    return "uint32";
  case Element::Half:
    return "float16";
  case Element::Float:
    return "float32";
  case Element::Half2:
    return "float16x2";
  case Element::Half4:
    return "float16x4";
  case Element::Float2:
    return "float32x2";
  case Element::Float4:
    return "float32x4";
  case Element::Int2:
    return "int32x2";
  case Element::Int4:
    return "int32x4";
  }
  throw std::logic_error("unknown element type");
}

void bindVector(void *vertex, const FieldInfo &field, void *data, std::size_t length) {
  const bool isScalarValue = field.nesting == 0 && !field.isEdge();
  if (isScalarValue || field.nesting == 2) {
    throw std::invalid_argument("field " + field.name + " is " + (isScalarValue ? "a scalar" : "a list of vectors") +
                                ": it takes no single vector");
  }
  checkLength(field, field.layout, length);
  writeEdge(at(vertex, field.hostOffset), field.layout, data, length);
}

void bindVectorList(void *vertex, const FieldInfo &field, void *rows, void *const *data, const std::size_t *lengths,
                    std::size_t count) {
  if (field.nesting != 2) {
    throw std::invalid_argument("field " + field.name + " is no list of vectors");
  }
  checkLength(field, field.outerLayout, count);
  for (std::size_t row = 0; row < count; ++row) {
    checkLength(field, field.layout, lengths[row]);
    writeEdge(at(rows, row * field.rowBytes), field.layout, data[row], lengths[row]);
  }
  writeEdge(at(vertex, field.hostOffset), field.outerLayout, rows, count);
}

void setScalar(void *vertex, const FieldInfo &field, double value) {
  if (field.isEdge() || field.nesting != 0) {
    throw std::invalid_argument("field " + field.name + " is no scalar");
  }
  std::byte *target = at(vertex, field.hostOffset);
  switch (field.element) {
  case Element::Bool:
    return writeInteger<bool>(target, field, value);
  case Element::I8:
    return writeInteger<std::int8_t>(target, field, value);
  case Element::U8:
    return writeInteger<std::uint8_t>(target, field, value);
  case Element::I16:
    return writeInteger<std::int16_t>(target, field, value);
  case Element::U16:
    return writeInteger<std::uint16_t>(target, field, value);
  case Element::I32:
    return writeInteger<std::int32_t>(target, field, value);
  case Element::U32:
    return writeInteger<std::uint32_t>(target, field, value);
  case Element::Half:
    return writeValue<half>(target, value);
  case Element::Float:
    return writeValue<float>(target, value);
  default:
    throw std::invalid_argument("field " + field.name + ": a short vector cannot be set from one number");
  }
}

} // namespace popsparse_py::model
