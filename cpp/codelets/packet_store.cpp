// Gradients of a packet that came back: added to the sums of the bucket that sent it, in this tile's share of them.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T> class PacketStore : public poplar::MultiVertex {
public:
  poplar::InOut<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> sums;          // (numElements) of the bucket
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> results;           // of the whole packet
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // of the whole bucket
  poplar::Input<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> cursor;     // of the step that sent it
  unsigned firstElement; // of the bucket that this tile holds
  unsigned numElements;
  unsigned short blockElements; // b * b

  bool compute(unsigned workerId) {
    const CurrentPacket packet = currentPacket(list.data(), cursor.data());
    const unsigned begin = packet.value * blockElements; // of the packet in the bucket
    const unsigned end = begin + packet.numBlocks * blockElements;
    const Share mine = workerShare(numElements, 2, workerId, numWorkers());
    for (unsigned i = mine.begin; i < mine.end; ++i) {
      const unsigned at = firstElement + i;
      if (at >= begin && at < end) {
        sums[i] += static_cast<float>(results[at - begin]);
      }
    }
    return true;
  }
};

template class PacketStore<half>;
template class PacketStore<float>;

} // namespace popsparse_py
