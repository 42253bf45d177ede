// Bytes per tile over the steps of a program, with the lifetimes of its temporaries.
//
// A temp interval is live from the step that first writes it (from the start, if its first use is a read) to its last
// use. Between two reads it is dead if the writes in between cover every element: its old contents can no longer be
// seen, so other variables may use the bytes, and the machine treats the memory as unwritten when it comes to life
// again.
#ifndef POPSPARSE_PY_MODEL_MEMORY_HPP
#define POPSPARSE_PY_MODEL_MEMORY_HPP

#include <cstdint>
#include <vector>

#include "checks.hpp"
#include "program.hpp"

namespace popsparse_py::model {

// A temp interval that holds its bytes during steps first to last (inclusive).
struct LiveRange {
  std::uint32_t variable;
  std::uint32_t interval;
  std::uint32_t first;
  std::uint32_t last;
  bool bornUnwritten; // false if the first use is a read
};

// Live ranges of all temp intervals that the accesses touch, ordered by first step. Sorts the accesses.
std::vector<LiveRange> findLiveRanges(const Program &program, std::vector<Access> &accesses);

// Bytes each tile needs at its fullest step, reserved bytes included.
std::vector<std::int64_t> peakBytes(const Program &program, const std::vector<LiveRange> &ranges);

// Throws TileMemoryError for the tile that exceeds tileBytes most; the message names its largest variables.
void checkTileMemory(const Program &program, const std::vector<LiveRange> &ranges,
                     const std::vector<std::int64_t> &peaks);

} // namespace popsparse_py::model

#endif
