// The two kinds of error of the machine, and the text helpers that build their messages.
//
// ProgramError: a program breaks a rule of the machine. TileMemoryError: one tile needs more bytes than it has.
// The bindings turn them into the Python errors of the same names (popsparse_planner.errors).
#ifndef POPSPARSE_PY_MODEL_ERRORS_HPP
#define POPSPARSE_PY_MODEL_ERRORS_HPP

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace popsparse_py::model {

class ProgramError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

class TileMemoryError : public std::runtime_error {
public:
  TileMemoryError(const std::string &message, std::int32_t tileIndex, std::int64_t needed, std::int64_t available)
      : std::runtime_error(message), tile(tileIndex), neededBytes(needed), tileBytes(available) {}

  std::int32_t tile;
  std::int64_t neededBytes;
  std::int64_t tileBytes;
};

// The parts one after the other, as a stream prints them.
template <class... Parts> std::string text(const Parts &...parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

// A number with thousands separators: 702,464.
inline std::string withCommas(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

} // namespace popsparse_py::model

#endif
