// Gradient of blocks that arrived from another bucket: g = dY X^T at the blocks of one packet (b = 1, 4, 8, 16).
//
// Each element is one float sum over the columns in rising order; what the packet lacks to `capacity` blocks is zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "block_kernels.hpp"
#include "bucket_info.hpp"

namespace popsparse_py {

template <class T, unsigned B> class PacketSampled : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> g;            // (numElements), blocks first
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> dy;                // (rows, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> x;                 // (cols, numColumns, B)
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // count, PacketBlock per block
  unsigned short numColumns;
  unsigned numElements;

  bool compute(unsigned workerId) {
    const unsigned numBlocks = list[0];
    const PacketBlock *blocks = reinterpret_cast<const PacketBlock *>(list.data() + 1);
    const unsigned slice = static_cast<unsigned>(numColumns) * B;
    for (unsigned j = workerId; j < numBlocks; j += numWorkers()) {
      float *outputs = g.data() + j * (B * B);
      clear(outputs, B * B);
      const unsigned columnSlice = B == 1 ? blocks[j].column * kOffsetElements : blocks[j].column * slice;
      accumulateSampled<T, B>(outputs, dy.data() + blocks[j].row * slice, x.data() + columnSlice, numColumns);
    }
    if (workerId == 0) {
      clear(g.data() + numBlocks * (B * B), numElements - numBlocks * (B * B));
    }
    return true;
  }

private:
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);

  static void clear(float *outputs, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      outputs[i] = 0.0f;
    }
  }
};

template class PacketSampled<half, 1>;
template class PacketSampled<half, 4>;
template class PacketSampled<half, 8>;
template class PacketSampled<half, 16>;
template class PacketSampled<float, 1>;
template class PacketSampled<float, 4>;
template class PacketSampled<float, 8>;
template class PacketSampled<float, 16>;

} // namespace popsparse_py
