#include "program.hpp"

#include <algorithm>

#include "errors.hpp"

namespace popsparse_py::model {

std::size_t Variable::intervalAt(std::int64_t at) const {
  const auto next = std::upper_bound(begins.begin(), begins.end(), at);
  return static_cast<std::size_t>(next - begins.begin()) - 1;
}

std::int64_t Variable::intervalBytes(std::size_t interval) const {
  const std::int64_t bytes = (intervalEnd(interval) - begins[interval]) * elementSize();
  return (bytes + kIntervalAlign - 1) / kIntervalAlign * kIntervalAlign;
}

Element elementFromName(const std::string &dtype) {
  for (const Element element : {Element::Half, Element::Float, Element::U16, Element::U32, Element::I32}) {
    if (dtype == elementName(element)) {
      return element;
    }
  }
  throw ProgramError(text("expected dtype float16, float32, uint16, uint32 or int32, got '", dtype, "'"));
}

Element scalarOf(Element element) {
  switch (element) {
  case Element::Half2:
  case Element::Half4:
    return Element::Half;
  case Element::Float2:
  case Element::Float4:
    return Element::Float;
  case Element::Int2:
  case Element::Int4:
    return Element::I32;
  default:
    return element;
  }
}

namespace {

void checkIntervals(const Program &program, const Variable &variable) {
  const auto fail = [&](const auto &...parts) {
    throw ProgramError(text("variable '", variable.name, "': ", parts...));
  };
  if (variable.length < 0) {
    fail("expected a length of at least 0, got ", variable.length);
  }
  if (variable.begins.size() != variable.tiles.size()) {
    fail("expected one tile for each of ", variable.begins.size(), " intervals, got ", variable.tiles.size());
  }
  if (variable.length > 0 && (variable.begins.empty() || variable.begins[0] != 0)) {
    fail("expected intervals from element 0 on, got ",
         variable.begins.empty() ? std::string("none") : text("a first begin of ", variable.begins[0]));
  }
  for (std::size_t i = 0; i < variable.begins.size(); ++i) {
    const std::int64_t begin = variable.begins[i];
    if (variable.length > 0 && begin >= variable.intervalEnd(i)) {
      fail("expected increasing begins below its length ", variable.length, ", got ", begin, " for interval ", i);
    }
    if (begin * variable.elementSize() % kIntervalAlign != 0) {
      fail("expected intervals that begin at a multiple of ", kIntervalAlign, " bytes, got element ", begin, " of ",
           elementName(variable.element), " (interval ", i, ", tile ", variable.tiles[i], ")");
    }
    if (variable.tiles[i] < 0 || variable.tiles[i] >= program.numTiles) {
      fail("expected tiles in [0, ", program.numTiles, "), got ", variable.tiles[i], " for interval ", i);
    }
  }
}

} // namespace

Variable makeVariable(const Program &program, Variable variable) {
  checkIntervals(program, variable);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < variable.begins.size() && variable.length > 0; ++i) {
    if (kept == 0 || variable.tiles[kept - 1] != variable.tiles[i]) {
      variable.begins[kept] = variable.begins[i];
      variable.tiles[kept] = variable.tiles[i];
      ++kept;
    }
  }
  variable.begins.resize(kept);
  variable.tiles.resize(kept);
  return variable;
}

std::string describeSlice(const Variable &variable, std::int64_t begin, std::int64_t end) {
  const bool inside = begin >= 0 && begin < variable.length;
  const std::string tile = inside ? text(" (tile ", variable.tiles[variable.intervalAt(begin)], ")") : std::string();
  return text("variable '", variable.name, "' [", begin, ", ", end, ")", tile);
}

std::string describeVertex(const std::string &step, const VertexSet &set, std::size_t row) {
  return text("compute '", step, "': ", set.vertex, " on tile ", set.tiles[row], " (instance ", row, ")");
}

} // namespace popsparse_py::model
