// Prints the structs of the work lists: "struct name size" and "member name offset", in bytes.
#include <cstdio>

#include "bucket_info.hpp"
#include "meta_info.hpp"

using namespace popsparse_py;

#define PRINT_STRUCT(TYPE) std::printf("struct %s %u\n", #TYPE, static_cast<unsigned>(sizeof(TYPE)))
#define PRINT_MEMBER(TYPE, MEMBER) std::printf("member %s %u\n", #MEMBER, static_cast<unsigned>(offsetof(TYPE, MEMBER)))

int main() {
  PRINT_STRUCT(ElementHeader);
  PRINT_MEMBER(ElementHeader, firstEntryLow);
  PRINT_MEMBER(ElementHeader, firstEntryHigh);
  PRINT_MEMBER(ElementHeader, firstValueLow);
  PRINT_MEMBER(ElementHeader, firstValueHigh);
  PRINT_MEMBER(ElementHeader, numRows);
  PRINT_MEMBER(ElementHeader, firstLocalRow);
  PRINT_MEMBER(ElementHeader, firstColumn);
  PRINT_MEMBER(ElementHeader, numColumns);
  PRINT_STRUCT(BlockHeader);
  PRINT_MEMBER(BlockHeader, firstColumn);
  PRINT_MEMBER(BlockHeader, numColumns);
  PRINT_STRUCT(BlockRow);
  PRINT_MEMBER(BlockRow, localRow);
  PRINT_MEMBER(BlockRow, numBlocks);
  PRINT_STRUCT(ReduceSegment);
  PRINT_MEMBER(ReduceSegment, outOffset);
  PRINT_MEMBER(ReduceSegment, length);
  PRINT_MEMBER(ReduceSegment, numSources);
  PRINT_STRUCT(BucketHeader);
  PRINT_MEMBER(BucketHeader, numRows);
  PRINT_MEMBER(BucketHeader, numBlocksLow);
  PRINT_MEMBER(BucketHeader, numBlocksHigh);
  PRINT_MEMBER(BucketHeader, numPackets);
  PRINT_MEMBER(BucketHeader, firstPacketLow);
  PRINT_MEMBER(BucketHeader, firstPacketHigh);
  PRINT_STRUCT(WorkerShare);
  PRINT_MEMBER(WorkerShare, firstEntryLow);
  PRINT_MEMBER(WorkerShare, firstEntryHigh);
  PRINT_MEMBER(WorkerShare, firstValueLow);
  PRINT_MEMBER(WorkerShare, firstValueHigh);
  PRINT_MEMBER(WorkerShare, numRows);
  PRINT_STRUCT(BucketRow);
  PRINT_MEMBER(BucketRow, localRow);
  PRINT_MEMBER(BucketRow, numBlocks);
  PRINT_STRUCT(PacketHeader);
  PRINT_MEMBER(PacketHeader, step);
  PRINT_MEMBER(PacketHeader, numBlocks);
  PRINT_STRUCT(PacketBlock);
  PRINT_MEMBER(PacketBlock, row);
  PRINT_MEMBER(PacketBlock, column);
  PRINT_STRUCT(PacketCursor);
  PRINT_MEMBER(PacketCursor, step);
  PRINT_MEMBER(PacketCursor, packet);
  PRINT_MEMBER(PacketCursor, entry);
  PRINT_MEMBER(PacketCursor, value);
  std::printf("constant kBlockListEntries %u\nconstant kElementListEntries %u\n", kBlockListEntries,
              kElementListEntries);
  std::printf("constant kWorkers %u\nconstant kOffsetBytes %u\n", kWorkers, kOffsetBytes);
  return 0;
}
