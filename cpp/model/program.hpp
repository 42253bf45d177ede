// A program as data: variables mapped to tiles, and steps that move or compute. Nothing here runs.
#ifndef POPSPARSE_PY_MODEL_PROGRAM_HPP
#define POPSPARSE_PY_MODEL_PROGRAM_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "registry.hpp"

namespace popsparse_py::model {

// Always: holds its bytes for the whole run (inputs, values, outputs). Temp: only where a step still needs its
// contents.
enum class Lifetime { Always, Temp };

// Interval i = elements [begins[i], begins[i + 1] or length) lies on tiles[i]. Intervals on one tile that touch are
// merged.
struct Variable {
  std::string name;
  Element element;
  std::int64_t length; // elements
  std::vector<std::int64_t> begins;
  std::vector<std::int32_t> tiles;
  Lifetime lifetime;

  std::int64_t elementSize() const { return static_cast<std::int64_t>(elementBytes(element)); }
  std::size_t numIntervals() const { return begins.size(); }
  std::int64_t intervalEnd(std::size_t interval) const {
    return interval + 1 < begins.size() ? begins[interval + 1] : length;
  }
  // The interval that holds an element of the variable (0 <= element < length).
  std::size_t intervalAt(std::int64_t element) const;
  // Bytes that an interval takes on its tile: a multiple of kIntervalAlign.
  std::int64_t intervalBytes(std::size_t interval) const;
};

constexpr std::int64_t kIntervalAlign = 8;  // bytes; the data path of a tile is 64 bits wide
constexpr std::int64_t kExchangeAlign = 4;  // bytes; the fabric moves 32-bit words
constexpr std::int64_t kStoreWordBytes = 4; // a narrower store reads and rewrites its 32-bit word

// Copies from one variable to another; columns of one length, in elements.
struct CopySet {
  std::size_t source;
  std::size_t destination;
  std::vector<std::int64_t> sourceBegin;
  std::vector<std::int64_t> destinationBegin;
  std::vector<std::int64_t> length;
};

// All copies happen at the same time.
struct Exchange {
  std::vector<CopySet> copies;
};

// One edge field of all instances of a set: instance i sees `length[i]` elements from `begin[i]`.
struct FieldSlices {
  std::string field;
  std::size_t variable;
  std::vector<std::int64_t> begin;
  std::vector<std::int64_t> length;
};

struct ScalarColumn {
  std::string field;
  std::vector<std::int64_t> values;
};

// Instances of one vertex; instance i lies on tiles[i].
struct VertexSet {
  std::string vertex;
  std::vector<std::int32_t> tiles;
  std::vector<FieldSlices> fields;
  std::vector<ScalarColumn> scalars;
};

// All vertices run at the same time.
struct Compute {
  std::vector<VertexSet> vertices;
};

enum class ControlKind { Repeat, While, If, Switch };

// Steps chosen at run time, as Poplar has them: Repeat makes its body `count` times; While as long as the first element
// of `variable` is not 0; If its first body where that is not 0, else its second; Switch the body of that number.
struct Control {
  ControlKind kind;
  std::size_t variable;                         // unused by Repeat
  std::int64_t count;                           // Repeat only
  std::vector<std::vector<std::size_t>> bodies; // steps that were added before, in order; a step may stand in several
};

struct Step {
  std::string name;
  std::variant<Exchange, Compute, Control> action;
  bool nested = false; // part of a control's body: not made by itself
};

struct Program {
  std::int32_t numTiles = 0;
  std::int64_t tileBytes = 0;
  std::vector<std::int64_t> reservedBytes; // per tile: code, vertex state, exchange code
  std::vector<Variable> variables;
  std::vector<Step> steps;
};

// The element type of a dtype name ("float16", "float32", "uint16", "uint32", "int32"). Throws ProgramError.
Element elementFromName(const std::string &dtype);
// The scalar that a vector type (half4, ...) consists of.
Element scalarOf(Element element);
// Throws ProgramError unless the intervals cover the variable in order, on tiles that exist; merges those that touch on
// one tile.
Variable makeVariable(const Program &program, Variable variable);
// "variable 'x' [8, 16) (tile 3)", for messages.
std::string describeSlice(const Variable &variable, std::int64_t begin, std::int64_t end);
// "compute 'multiply': X<half> on tile 3 (instance 5)", for messages.
std::string describeVertex(const std::string &step, const VertexSet &set, std::size_t row);

} // namespace popsparse_py::model

#endif
