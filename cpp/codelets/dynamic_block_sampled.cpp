// Gradient of the values of blocks (b = 4, 8, 16): g += dY X^T at the blocks of a bucket's rows, on one tile.
//
// g has the order of the values; each element is one float sum over the columns in rising order. Blocks are dealt to
// the workers in turn.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "block_kernels.hpp"
#include "bucket_info.hpp"

namespace popsparse_py {

template <class T, unsigned B> class DynamicBlockSampled : public poplar::MultiVertex {
public:
  poplar::InOut<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> g;             // (capacity, B, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> dy;                // (rows, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> x;                 // (cols, numColumns, B)
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;

  bool compute(unsigned workerId) {
    const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list.data());
    const unsigned short *entry = list.data() + kBlockListEntries;
    unsigned block = 0;
    for (unsigned i = 0; i < header.numRows; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *blockColumns = entry + sizeof(BucketRow) / sizeof(unsigned short);
      for (unsigned j = 0; j < row.numBlocks; ++j, ++block) {
        if (block % numWorkers() == workerId) {
          const unsigned slice = static_cast<unsigned>(numColumns) * B;
          accumulateSampled<T, B>(g.data() + block * (B * B), dy.data() + row.localRow * slice,
                                  x.data() + blockColumns[j] * slice, numColumns);
        }
      }
      entry = blockColumns + row.numBlocks;
    }
    return true;
  }
};

template class DynamicBlockSampled<half, 4>;
template class DynamicBlockSampled<half, 8>;
template class DynamicBlockSampled<half, 16>;
template class DynamicBlockSampled<float, 4>;
template class DynamicBlockSampled<float, 8>;
template class DynamicBlockSampled<float, 16>;

} // namespace popsparse_py
