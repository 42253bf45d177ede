// The cursor of the next step: past the packet of this one, if the bucket has one.
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"

namespace popsparse_py {

class PacketAdvance : public poplar::Vertex {
public:
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // of the whole bucket
  poplar::Input<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> cursor;     // see PacketCursor
  poplar::Output<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> next;

  bool compute() {
    const CurrentPacket packet = currentPacket(list.data(), cursor.data());
    const bool taken = packet.numBlocks > 0;
    const unsigned entries = sizeof(PacketHeader) / sizeof(unsigned short) + packet.numBlocks * kPacketBlockEntries;
    next[0] = cursor[0] + 1;
    next[1] = cursor[1] + (taken ? 1 : 0);
    next[2] = packet.entry + (taken ? entries : 0);
    next[3] = packet.value + packet.numBlocks;
    return true;
  }
};

} // namespace popsparse_py
