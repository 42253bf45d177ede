#include <algorithm>

#include "checks.hpp"
#include "errors.hpp"

namespace popsparse_py::model {

namespace {

// What one access does, and who does it: "StaticBlockDot<...> on tile 3 (instance 5) writes field 'q' = [8, 16)".
std::string describeAccess(const Program &program, const Access &access) {
  const Step &step = program.steps[access.step];
  const std::string verb = access.writes ? "writes" : "reads";
  if (std::holds_alternative<Exchange>(step.action)) {
    return text("copy ", access.row, " of set ", access.set, " ", verb, " [", access.begin, ", ", access.end, ")");
  }
  const VertexSet &set = std::get<Compute>(step.action).vertices[access.set];
  return text(set.vertex, " (instance ", access.row, ") ", verb, " [", access.begin, ", ", access.end, ") as '",
              set.fields[access.field].field, "'");
}

[[noreturn]] void failConflict(const Program &program, const Access &one, const Access &two) {
  const Step &step = program.steps[one.step];
  const Variable &variable = program.variables[one.variable];
  const char *kind = std::holds_alternative<Exchange>(step.action) ? "exchange" : "compute";
  throw ProgramError(text(kind, " '", step.name,
                          "': expected each 32-bit word to be written once and read by nobody else, but on tile ",
                          variable.tiles[one.interval], " in variable '", variable.name, "' ",
                          describeAccess(program, one), " and ", describeAccess(program, two)));
}

} // namespace

void checkConflicts(const Program &program, std::vector<Access> &accesses) {
  std::sort(accesses.begin(), accesses.end(), [](const Access &one, const Access &two) {
    return one.variable != two.variable ? one.variable < two.variable : one.begin < two.begin;
  });
  const auto word = [&](const Access &access, std::int64_t element, std::int64_t up) {
    return (element * program.variables[access.variable].elementSize() + up) / kStoreWordBytes;
  };
  const Access *furthest = nullptr;      // the access seen so far that reaches furthest in this variable
  const Access *furthestWrite = nullptr; // the same among writes
  for (const Access &access : accesses) {
    if (furthest != nullptr && furthest->variable != access.variable) {
      furthest = furthestWrite = nullptr;
    }
    const auto reaches = [&](const Access *earlier) {
      return earlier != nullptr && word(*earlier, earlier->end, kStoreWordBytes - 1) > word(access, access.begin, 0);
    };
    if (access.writes && reaches(furthest)) {
      failConflict(program, *furthest, access);
    }
    if (reaches(furthestWrite)) {
      failConflict(program, *furthestWrite, access);
    }
    if (furthest == nullptr || access.end > furthest->end) {
      furthest = &access;
    }
    if (access.writes && (furthestWrite == nullptr || access.end > furthestWrite->end)) {
      furthestWrite = &access;
    }
  }
}

} // namespace popsparse_py::model
