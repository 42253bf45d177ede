// Vertex registry: what popc would learn by parsing a codelet, told to the host once per vertex.
//
// A vertex instance is raw memory of `hostBytes`, aligned to `hostAlign` and zeroed by the caller. It is never
// constructed or destroyed: bindVector, bindVectorList and setScalar write pointers, lengths and scalars at the fields'
// offsets, then `run` calls the vertex's compute() once per worker. Sizes on the chip come from the layout
// (`ipuBytes`), never from the host class. The table of names is in registry.cpp; registry_bind.cpp holds the rest and
// includes no codelet.
#ifndef POPSPARSE_PY_MODEL_REGISTRY_HPP
#define POPSPARSE_PY_MODEL_REGISTRY_HPP

#include <cstddef>
#include <string>
#include <vector>

namespace popsparse_py::model {

// How a field is used. Value: a scalar stored in the vertex itself.
enum class Direction { In, Out, InOut, Value };

enum class Element { Bool, I8, U8, I16, U16, I32, U32, Half, Float, Half2, Half4, Float2, Float4, Int2, Int4 };

std::size_t elementBytes(Element element);
// "float16", "float32", "uint16", ...: the dtype names of the Program; vector types as "float16x4".
const char *elementName(Element element);

constexpr int kScalarLayout = -1;
constexpr std::size_t kShortSpanMaxElements =
    2047; // 11-bit length; source: Poplar documentation, vertex vector layouts
constexpr unsigned kWorkersPerTile = 6;

struct FieldInfo {
  std::string name;
  Direction direction;
  Element element;
  int layout;             // poplar::VectorLayout of the innermost vector, kScalarLayout for a scalar or a scalar edge
  int outerLayout;        // nesting 2: layout of the list; else kScalarLayout
  unsigned minAlign;      // bytes; at least the alignment of the element
  bool interleaved;       // must lie in interleaved memory
  unsigned nesting;       // 0 scalar or scalar edge, 1 vector, 2 list of vectors
  std::size_t hostOffset; // bytes from the start of the instance
  std::size_t hostBytes;  // of the field in the instance
  std::size_t rowBytes;   // nesting 2: host bytes of one entry of the list; else 0
  unsigned ipuBytes;      // of the field in the vertex state on the chip
  unsigned ipuRowBytes;   // nesting 2: bytes of one entry of the list on the chip; else 0

  bool isEdge() const { return direction != Direction::Value; }
  // True if the field stores a length beside the pointer (SPAN, SHORT_SPAN).
  bool carriesLength() const;
};

struct VertexInfo {
  std::string name; // C++ spelling without spaces: popsparse_py::StaticBlockDot<half,float,16>
  std::size_t hostBytes;
  std::size_t hostAlign;
  unsigned ipuBytes; // vertex state on the chip, fields in declaration order
  unsigned workers;  // 6 for a MultiVertex, else 1; run is called once for each worker
  std::vector<FieldInfo> fields;
  bool (*run)(void *vertex, unsigned worker);

  // nullptr if there is no such field.
  const FieldInfo *findField(const std::string &fieldName) const;
};

// nullptr if the name is not registered. The result lives as long as the program.
const VertexInfo *findVertex(const std::string &name);
// All registered names, sorted.
std::vector<std::string> vertexNames();

// Points an edge of nesting 0 or 1 at `length` elements. Throws std::invalid_argument if the field is no such edge, or
// if the length does not fit its layout (1 for a scalar edge, SHORT_SPAN below 2,048).
void bindVector(void *vertex, const FieldInfo &field, void *data, std::size_t length);

// Points a list of vectors at `count` rows; row i has lengths[i] elements at data[i]. `rows` is memory of
// count * field.rowBytes bytes, 8-byte aligned, that the caller keeps alive as long as the vertex.
void bindVectorList(void *vertex, const FieldInfo &field, void *rows, void *const *data, const std::size_t *lengths,
                    std::size_t count);

// Stores a scalar field. Throws std::invalid_argument if the field is no scalar, or if an integer field cannot hold the
// value.
void setScalar(void *vertex, const FieldInfo &field, double value);

} // namespace popsparse_py::model

#endif
