#include <algorithm>
#include <limits>
#include <utility>

#include "checks.hpp"
#include "errors.hpp"
#include "vertices.hpp"

namespace popsparse_py::model {

namespace {

// The whole numbers that a scalar field holds; a float field takes any int64 (rounded).
std::pair<std::int64_t, std::int64_t> scalarRange(Element element) {
  switch (element) {
  case Element::Bool:
    return {0, 1};
  case Element::I8:
    return {std::numeric_limits<std::int8_t>::min(), std::numeric_limits<std::int8_t>::max()};
  case Element::U8:
    return {0, std::numeric_limits<std::uint8_t>::max()};
  case Element::I16:
    return {std::numeric_limits<std::int16_t>::min(), std::numeric_limits<std::int16_t>::max()};
  case Element::U16:
    return {0, std::numeric_limits<std::uint16_t>::max()};
  case Element::I32:
    return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
  case Element::U32:
    return {0, std::numeric_limits<std::uint32_t>::max()};
  default:
    return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  }
}

class ComputeCheck {
public:
  ComputeCheck(const Program &program, std::size_t step, std::vector<Access> &accesses)
      : program_(program), step_(step), accesses_(accesses) {}

  void checkSet(const VertexSet &set, std::size_t setIndex) {
    const VertexInfo *info = lookUpVertex(set.vertex);
    if (info == nullptr) {
      throw ProgramError(text("compute '", program_.steps[step_].name, "': no vertex '", set.vertex, "' among the ",
                              vertexNames().size(), " registered (vertex_names() lists them)"));
    }
    checkComplete(set, *info);
    for (std::size_t row = 0; row < set.tiles.size(); ++row) {
      if (set.tiles[row] < 0 || set.tiles[row] >= program_.numTiles) {
        throw ProgramError(text(describeVertex(program_.steps[step_].name, set, row), ": expected a tile in [0, ",
                                program_.numTiles, ")"));
      }
    }
    for (std::size_t i = 0; i < set.fields.size(); ++i) {
      checkField(set, setIndex, i, *info->findField(set.fields[i].field));
    }
    for (const ScalarColumn &scalar : set.scalars) {
      checkScalar(set, scalar, *info->findField(scalar.field));
    }
  }

private:
  [[noreturn]] void failSet(const VertexSet &set, const std::string &message) const {
    throw ProgramError(text("compute '", program_.steps[step_].name, "': ", set.vertex, ": ", message));
  }

  // Every field given exactly once, edges as slices and scalars as values.
  void checkComplete(const VertexSet &set, const VertexInfo &info) const {
    std::vector<std::pair<std::string, bool>> given; // name, is an edge
    for (const FieldSlices &field : set.fields) {
      given.emplace_back(field.field, true);
    }
    for (const ScalarColumn &scalar : set.scalars) {
      given.emplace_back(scalar.field, false);
    }
    for (const auto &[name, isEdge] : given) {
      const FieldInfo *field = info.findField(name);
      if (field == nullptr) {
        failSet(set, text("it has no field '", name, "'"));
      }
      if (field->isEdge() != isEdge) {
        failSet(set, text("field '", name, "' is a ", field->isEdge() ? "slice of a variable" : "scalar", ", got a ",
                          isEdge ? "slice of a variable" : "scalar"));
      }
    }
    for (const FieldInfo &field : info.fields) {
      const auto times =
          std::count_if(given.begin(), given.end(), [&](const auto &one) { return one.first == field.name; });
      if (times != 1) {
        failSet(set, text("expected field '", field.name, "' to be given once, got it ", times, " times"));
      }
    }
  }

  void checkField(const VertexSet &set, std::size_t setIndex, std::size_t fieldIndex, const FieldInfo &field) {
    const FieldSlices &slices = set.fields[fieldIndex];
    const Variable &variable = program_.variables[slices.variable];
    if (field.nesting > 1) {
      failSet(set, text("field '", field.name, "' is a list of vectors; a program connects single vectors only"));
    }
    if (scalarOf(field.element) != variable.element) {
      failSet(set, text("field '", field.name, "' has elements of ", elementName(field.element), ", variable '",
                        variable.name, "' of ", elementName(variable.element)));
    }
    for (std::size_t row = 0; row < set.tiles.size(); ++row) {
      checkLength(set, slices, row, field);
      if (slices.length[row] == 0) {
        continue;
      }
      const std::size_t interval = checkPlace(set, slices, row, field);
      accesses_.push_back({slices.begin[row], slices.begin[row] + slices.length[row],
                           static_cast<std::uint32_t>(slices.variable), static_cast<std::uint32_t>(interval),
                           static_cast<std::uint32_t>(step_), static_cast<std::uint32_t>(setIndex),
                           static_cast<std::uint32_t>(row), static_cast<std::uint16_t>(fieldIndex),
                           field.direction != Direction::Out, field.direction != Direction::In});
    }
  }

  [[noreturn]] void failSlice(const VertexSet &set, const FieldSlices &slices, std::size_t row,
                              const std::string &expected) const {
    const std::int64_t begin = slices.begin[row];
    throw ProgramError(text(describeVertex(program_.steps[step_].name, set, row), ", field '", slices.field,
                            "': expected ", expected, ", got ",
                            describeSlice(program_.variables[slices.variable], begin, begin + slices.length[row])));
  }

  void checkLength(const VertexSet &set, const FieldSlices &slices, std::size_t row, const FieldInfo &field) const {
    const auto lanes = static_cast<std::int64_t>(elementBytes(field.element) / elementBytes(scalarOf(field.element)));
    const std::int64_t length = slices.length[row];
    if (length < 0 || slices.begin[row] < 0 ||
        slices.begin[row] + length > program_.variables[slices.variable].length) {
      failSlice(set, slices, row, text("elements within [0, ", program_.variables[slices.variable].length, ")"));
    }
    if (length % lanes != 0) {
      failSlice(set, slices, row, text("a multiple of ", lanes, " elements for ", elementName(field.element)));
    }
    if (field.nesting == 0 && length != lanes) {
      failSlice(set, slices, row, text("one element for a scalar edge"));
    }
    const auto maxLength = static_cast<std::int64_t>(kShortSpanMaxElements);
    if (isShortSpan(field) && length / lanes > maxLength) {
      failSlice(set, slices, row, text("at most ", maxLength, " elements in a SHORT_SPAN"));
    }
  }

  // The slice lies inside one interval on the vertex's tile, aligned; returns the interval.
  std::size_t checkPlace(const VertexSet &set, const FieldSlices &slices, std::size_t row,
                         const FieldInfo &field) const {
    const Variable &variable = program_.variables[slices.variable];
    const std::int64_t begin = slices.begin[row];
    const std::size_t interval = variable.intervalAt(begin);
    if (variable.tiles[interval] != set.tiles[row]) {
      failSlice(set, slices, row, text("memory of tile ", set.tiles[row]));
    }
    if (begin + slices.length[row] > variable.intervalEnd(interval)) {
      failSlice(
          set, slices, row,
          text("a slice inside one interval [", variable.begins[interval], ", ", variable.intervalEnd(interval), ")"));
    }
    if (begin * variable.elementSize() % static_cast<std::int64_t>(std::max(field.minAlign, 1u)) != 0) {
      failSlice(set, slices, row, text("a begin at a multiple of ", field.minAlign, " bytes"));
    }
    return interval;
  }

  // A vector whose instance stores a length in 4 bytes on the chip is a SHORT_SPAN.
  static bool isShortSpan(const FieldInfo &field) {
    return field.nesting == 1 && field.carriesLength() && field.ipuBytes == 4;
  }

  void checkScalar(const VertexSet &set, const ScalarColumn &scalar, const FieldInfo &field) const {
    const auto [low, high] = scalarRange(field.element);
    for (std::size_t row = 0; row < set.tiles.size(); ++row) {
      if (scalar.values[row] < low || scalar.values[row] > high) {
        throw ProgramError(text(describeVertex(program_.steps[step_].name, set, row), ", field '", field.name,
                                "': expected a ", elementName(field.element), " in [", low, ", ", high, "], got ",
                                scalar.values[row]));
      }
    }
  }

  const Program &program_;
  std::size_t step_;
  std::vector<Access> &accesses_;
};

} // namespace

std::vector<Access> checkCompute(const Program &program, std::size_t step) {
  const auto &vertices = std::get<Compute>(program.steps[step].action).vertices;
  std::vector<Access> accesses;
  ComputeCheck check(program, step, accesses);
  for (std::size_t set = 0; set < vertices.size(); ++set) {
    check.checkSet(vertices[set], set);
  }
  return accesses;
}

} // namespace popsparse_py::model
