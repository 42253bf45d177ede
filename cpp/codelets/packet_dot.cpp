// Blocks that arrived from another bucket: q += W * s, or q += W^T * s, for the blocks of one packet (b = 1, 4, 8, 16).
//
// Every block adds its float sum to q in memory, in packet order, rounded to P each time. Workers share the columns.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "block_kernels.hpp"
#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, class P, unsigned B>
class [[poplar::constraint("elem(*q) != elem(*s)")]] PacketDot : public poplar::MultiVertex {
public:
  poplar::InOut<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> q;                 // (outputs, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                 // (inputs, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                 // (blocks, B, B)
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // count, PacketBlock per block
  unsigned short numColumns;
  unsigned short transposed; // 1: the product with W^T

  bool compute(unsigned workerId) {
    const Share columns = workerShare(numColumns, B == 1 ? kOffsetElements : 1u, workerId, numWorkers());
    const unsigned numBlocks = list[0];
    const PacketBlock *blocks = reinterpret_cast<const PacketBlock *>(list.data() + 1);
    for (unsigned j = 0; j < numBlocks; ++j) {
      const unsigned rowSlice = blocks[j].row * static_cast<unsigned>(numColumns) * B;
      const unsigned columnSlice =
          B == 1 ? blocks[j].column * kOffsetElements : blocks[j].column * static_cast<unsigned>(numColumns) * B;
      for (unsigned column = columns.begin; column < columns.end; column += kKernelColumns) {
        const unsigned width = smaller(kKernelColumns, columns.end - column);
        const T *block = r.data() + j * (B * B);
        if (transposed != 0) {
          accumulateBlock<T, P, B, true>(q.data() + columnSlice + column * B, block, s.data() + rowSlice + column * B,
                                         width);
        } else {
          accumulateBlock<T, P, B, false>(q.data() + rowSlice + column * B, block, s.data() + columnSlice + column * B,
                                          width);
        }
      }
    }
    return true;
  }

private:
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);
};

template class PacketDot<half, half, 1>;
template class PacketDot<half, half, 4>;
template class PacketDot<half, half, 8>;
template class PacketDot<half, half, 16>;
template class PacketDot<half, float, 1>;
template class PacketDot<half, float, 4>;
template class PacketDot<half, float, 8>;
template class PacketDot<half, float, 16>;
template class PacketDot<float, float, 1>;
template class PacketDot<float, float, 4>;
template class PacketDot<float, float, 8>;
template class PacketDot<float, float, 16>;

} // namespace popsparse_py
