// The static checks: rules that a program breaks or keeps whatever its data are. Each throws ProgramError.
#ifndef POPSPARSE_PY_MODEL_CHECKS_HPP
#define POPSPARSE_PY_MODEL_CHECKS_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "program.hpp"

namespace popsparse_py::model {

// One slice of a variable that one copy or one vertex field of a step touches.
struct Access {
  std::int64_t begin; // elements
  std::int64_t end;
  std::uint32_t variable;
  std::uint32_t interval;
  std::uint32_t step;
  std::uint32_t set;   // copy set or vertex set within the step
  std::uint32_t row;   // copy or instance within the set
  std::uint16_t field; // compute only: index into VertexSet::fields
  bool reads;
  bool writes;
};

// Copies lie inside one interval on both sides, in whole 32-bit words, between variables of one dtype.
// Returns what the step touches; empty copies touch nothing.
std::vector<Access> checkExchange(const Program &program, std::size_t step);

// Vertices are registered, all their fields are connected, and each slice lies on the vertex's tile, aligned and within
// its layout.
std::vector<Access> checkCompute(const Program &program, std::size_t step);

// No 32-bit word of a step is written twice, or written by one vertex (copy) and read by another. Sorts the accesses.
void checkConflicts(const Program &program, std::vector<Access> &accesses);

} // namespace popsparse_py::model

#endif
