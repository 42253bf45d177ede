// Lists of buckets: the uint16 integers that tell which blocks a bucket holds, read by every pass of a dynamic product.
// Defined here once; planner/popsparse_planner/bucket_layout.py mirrors it, and a test compares the two.
//
// A list is BucketHeader; for b = 1 one WorkerShare for each worker; numRows times {BucketRow, a column entry per
// block}; numPackets times {PacketHeader, PacketBlock per block}. Values follow the list: rows first, then packets. A
// column entry is the block column within the cell, for b = 1 the offset of its slice in units of kOffsetBytes.
#ifndef POPSPARSE_PY_CODELETS_BUCKET_INFO_HPP
#define POPSPARSE_PY_CODELETS_BUCKET_INFO_HPP

#include <cstddef>
#include <cstdint>

#include "meta_info.hpp"

namespace popsparse_py {

struct BucketHeader {
  std::uint16_t numRows;      // all rows of the cell, those without blocks too
  std::uint16_t numBlocksLow; // in the rows
  std::uint16_t numBlocksHigh;
  std::uint16_t numPackets;
  std::uint16_t firstPacketLow; // entry of the first packet, counted in uint16 from the start of the list
  std::uint16_t firstPacketHigh;

  unsigned numBlocks() const { return numBlocksLow | static_cast<unsigned>(numBlocksHigh) << 16; }
  unsigned firstPacket() const { return firstPacketLow | static_cast<unsigned>(firstPacketHigh) << 16; }
};

// Rows that a worker of DynamicElementDot takes; workers of one row group have the same.
struct WorkerShare {
  std::uint16_t firstEntryLow;
  std::uint16_t firstEntryHigh;
  std::uint16_t firstValueLow;
  std::uint16_t firstValueHigh;
  std::uint16_t numRows;

  unsigned firstEntry() const { return firstEntryLow | static_cast<unsigned>(firstEntryHigh) << 16; }
  unsigned firstValue() const { return firstValueLow | static_cast<unsigned>(firstValueHigh) << 16; }
};

struct BucketRow {
  std::uint16_t localRow; // block row within the cell
  std::uint16_t numBlocks;
};

// Blocks of another cell: they travel to it in step `step`.
struct PacketHeader {
  std::uint16_t step;
  std::uint16_t numBlocks;
};

struct PacketBlock {
  std::uint16_t row;    // block row within its own cell
  std::uint16_t column; // column entry
};

// Where a tile stands among its bucket's packets. entry and value are set once packet > 0.
struct PacketCursor {
  unsigned step;
  unsigned packet;
  unsigned entry;
  unsigned value; // in blocks
};

constexpr unsigned kBlockListEntries = sizeof(BucketHeader) / 2; // before the rows, b > 1
constexpr unsigned kElementListEntries = kBlockListEntries + kWorkers * sizeof(WorkerShare) / 2; // the same, b = 1
constexpr unsigned kPacketBlockEntries = sizeof(PacketBlock) / 2;

static_assert(sizeof(BucketHeader) == 12 && alignof(BucketHeader) == 2, "six uint16");
static_assert(offsetof(BucketHeader, numRows) == 0 && offsetof(BucketHeader, numBlocksLow) == 2, "");
static_assert(offsetof(BucketHeader, numBlocksHigh) == 4 && offsetof(BucketHeader, numPackets) == 6, "");
static_assert(offsetof(BucketHeader, firstPacketLow) == 8 && offsetof(BucketHeader, firstPacketHigh) == 10, "");
static_assert(sizeof(WorkerShare) == 10 && alignof(WorkerShare) == 2, "five uint16 per worker");
static_assert(offsetof(WorkerShare, firstEntryLow) == 0 && offsetof(WorkerShare, firstEntryHigh) == 2, "");
static_assert(offsetof(WorkerShare, firstValueLow) == 4 && offsetof(WorkerShare, firstValueHigh) == 6, "");
static_assert(offsetof(WorkerShare, numRows) == 8, "");
static_assert(sizeof(BucketRow) == 4 && offsetof(BucketRow, localRow) == 0 && offsetof(BucketRow, numBlocks) == 2, "");
static_assert(sizeof(PacketHeader) == 4 && offsetof(PacketHeader, step) == 0, "two uint16 per packet");
static_assert(offsetof(PacketHeader, numBlocks) == 2, "");
static_assert(sizeof(PacketBlock) == 4 && offsetof(PacketBlock, row) == 0, "two uint16 per block");
static_assert(offsetof(PacketBlock, column) == 2, "");
static_assert(sizeof(PacketCursor) == 16 && offsetof(PacketCursor, step) == 0, "four unsigned");
static_assert(offsetof(PacketCursor, packet) == 4 && offsetof(PacketCursor, entry) == 8, "");
static_assert(offsetof(PacketCursor, value) == 12, "");

// The packet of the cursor's step: its entry in the list and its first block among the values; numBlocks 0 if none.
struct CurrentPacket {
  unsigned entry;
  unsigned value;
  unsigned numBlocks;
};

inline CurrentPacket currentPacket(const unsigned short *list, const unsigned *words) {
  const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list);
  const PacketCursor &cursor = *reinterpret_cast<const PacketCursor *>(words);
  const unsigned entry = cursor.packet == 0 ? header.firstPacket() : cursor.entry;
  const unsigned value = cursor.packet == 0 ? header.numBlocks() : cursor.value;
  if (cursor.packet >= header.numPackets) {
    return {entry, value, 0};
  }
  const PacketHeader &packet = *reinterpret_cast<const PacketHeader *>(list + entry);
  return {entry, value, packet.step == cursor.step ? packet.numBlocks : 0u};
}

} // namespace popsparse_py

#endif
