// Work lists: the uint16 integers that tell a vertex which nonzeros it holds. Defined here once;
// planner/popsparse_planner/ layout.py mirrors it, and a test compares the two.
//
// Everything is a plain struct of uint16_t laid over an Input<Vector<unsigned short, ONE_PTR, 4>>. R rows, z nonzeros.
#ifndef POPSPARSE_PY_CODELETS_META_INFO_HPP
#define POPSPARSE_PY_CODELETS_META_INFO_HPP

#include <cstddef>
#include <cstdint>

namespace popsparse_py {

constexpr unsigned kWorkers = 6;     // headers per work list, poplar::MultiVertex::numWorkers()
constexpr unsigned kOffsetBytes = 8; // unit of byte offsets in a work list: 65,535 of them reach 512 KiB

// StaticElementDot: kWorkers headers, then per row of a row group {count, count offsets into s in units of
// kOffsetBytes}. Workers that share a row group have the same entries and values and take different columns. 48 + R + z
// entries if no group is stored twice.
struct ElementHeader {
  std::uint16_t firstEntryLow; // entry of the worker's first row, counted in uint16 from the start of the list
  std::uint16_t firstEntryHigh;
  std::uint16_t firstValueLow; // its first value
  std::uint16_t firstValueHigh;
  std::uint16_t numRows;
  std::uint16_t firstLocalRow; // its rows are consecutive rows of q
  std::uint16_t firstColumn;   // its columns of the partition
  std::uint16_t numColumns;

  unsigned firstEntry() const { return firstEntryLow | static_cast<unsigned>(firstEntryHigh) << 16; }
  unsigned firstValue() const { return firstValueLow | static_cast<unsigned>(firstValueHigh) << 16; }
};

// StaticBlockDot: kWorkers headers, the number of rows, then per row {BlockRow, numBlocks local block columns}.
// Every worker does all rows. 13 + 2R + z entries; values lie in list order.
struct BlockHeader {
  std::uint16_t firstColumn;
  std::uint16_t numColumns;
};

struct BlockRow {
  std::uint16_t localRow; // block row of q
  std::uint16_t numBlocks;
};

// ReducePartials: one per segment. outOffset and length count units of kOffsetBytes of the output's type.
struct ReduceSegment {
  std::uint16_t outOffset;
  std::uint16_t length;
  std::uint16_t numSources;
};

static_assert(sizeof(ElementHeader) == 16 && alignof(ElementHeader) == 2, "eight uint16 per worker");
static_assert(offsetof(ElementHeader, firstEntryLow) == 0 && offsetof(ElementHeader, firstEntryHigh) == 2, "");
static_assert(offsetof(ElementHeader, firstValueLow) == 4 && offsetof(ElementHeader, firstValueHigh) == 6, "");
static_assert(offsetof(ElementHeader, numRows) == 8 && offsetof(ElementHeader, firstLocalRow) == 10, "");
static_assert(offsetof(ElementHeader, firstColumn) == 12 && offsetof(ElementHeader, numColumns) == 14, "");
static_assert(sizeof(BlockHeader) == 4 && alignof(BlockHeader) == 2, "two uint16 per worker");
static_assert(offsetof(BlockHeader, firstColumn) == 0 && offsetof(BlockHeader, numColumns) == 2, "");
static_assert(sizeof(BlockRow) == 4 && alignof(BlockRow) == 2, "two uint16 per row");
static_assert(offsetof(BlockRow, localRow) == 0 && offsetof(BlockRow, numBlocks) == 2, "");
static_assert(sizeof(ReduceSegment) == 6 && alignof(ReduceSegment) == 2, "three uint16 per segment");
static_assert(offsetof(ReduceSegment, outOffset) == 0 && offsetof(ReduceSegment, length) == 2, "");
static_assert(offsetof(ReduceSegment, numSources) == 4, "");

} // namespace popsparse_py

#endif
