// Takes this tile's share of the packet that its bucket sends in the cursor's step; an empty packet if it sends none.
//
// A travelling packet is a list {count, PacketBlock per block} and the blocks' values; each tile of a cell sends one
// share of either. What a packet lacks is zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T> class PacketSelect : public poplar::MultiVertex {
public:
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list;     // of the whole bucket
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                     // its values
  poplar::Input<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> cursor;         // see PacketCursor
  poplar::Output<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 8>> outList; // (listShare)
  poplar::Output<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> outValues;            // (valueShare)
  unsigned firstEntry; // of the packet's list that this tile sends
  unsigned firstValue; // of its values
  unsigned listShare;
  unsigned valueShare;
  unsigned short blockElements; // b * b

  bool compute(unsigned workerId) {
    const CurrentPacket packet = currentPacket(list.data(), cursor.data());
    const unsigned short *blocks = list.data() + packet.entry + sizeof(PacketHeader) / sizeof(unsigned short);
    const unsigned numEntries = 1 + packet.numBlocks * kPacketBlockEntries;
    const Share entries = workerShare(listShare, 4, workerId, numWorkers());
    for (unsigned i = entries.begin; i < entries.end; ++i) {
      const unsigned at = firstEntry + i;
      outList[i] = static_cast<unsigned short>(at == 0 ? packet.numBlocks : at < numEntries ? blocks[at - 1] : 0u);
    }
    const T *values = r.data() + packet.value * blockElements;
    const unsigned numValues = packet.numBlocks * blockElements;
    const Share share = workerShare(valueShare, 8 / sizeof(T), workerId, numWorkers());
    for (unsigned i = share.begin; i < share.end; ++i) {
      outValues[i] = firstValue + i < numValues ? values[firstValue + i] : static_cast<T>(0.0f);
    }
    return true;
  }
};

template class PacketSelect<half>;
template class PacketSelect<float>;

} // namespace popsparse_py
