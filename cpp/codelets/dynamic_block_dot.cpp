// Dynamic block-sparse times dense (b = 4, 8, 16): q = W * s on one tile, W in a bucket.
//
// Each output is one float sum over the blocks of its row in list order, k ascending inside a block, rounded to P once
// at the store. Every row of the cell is written, zero if it has no block.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "block_kernels.hpp"
#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, class P, unsigned B>
class [[poplar::constraint("elem(*q) != elem(*s)")]] DynamicBlockDot : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> q;                // (rows, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                 // (cols, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                 // (blocks, B, B) in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;

  bool compute(unsigned workerId) {
    const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list.data());
    const Share columns = workerShare(numColumns, 1, workerId, numWorkers());
    const unsigned short *entry = list.data() + kBlockListEntries;
    const T *values = r.data();
    for (unsigned i = 0; i < header.numRows; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *blockColumns = entry + sizeof(BucketRow) / sizeof(unsigned short);
      for (unsigned column = columns.begin; column < columns.end; column += kKernelColumns) {
        dotColumns(row, blockColumns, values, column, smaller(kKernelColumns, columns.end - column));
      }
      entry = blockColumns + row.numBlocks;
      values += row.numBlocks * (B * B);
    }
    return true;
  }

private:
  // Writes `width` columns of one block row of q, from `column` on.
  void dotColumns(const BucketRow &row, const unsigned short *blockColumns, const T *values, unsigned column,
                  unsigned width) {
    float sums[kKernelColumns * B] = {};
    for (unsigned j = 0; j < row.numBlocks; ++j) {
      const T *x = s.data() + (blockColumns[j] * static_cast<unsigned>(numColumns) + column) * B;
      addBlock<T, B, false>(sums, values + j * (B * B), x, width);
    }
    P *outputs = q.data() + (row.localRow * static_cast<unsigned>(numColumns) + column) * B;
    for (unsigned i = 0; i < width * B; ++i) {
      outputs[i] = static_cast<P>(sums[i]);
    }
  }
};

template class DynamicBlockDot<half, half, 4>;
template class DynamicBlockDot<half, half, 8>;
template class DynamicBlockDot<half, half, 16>;
template class DynamicBlockDot<half, float, 4>;
template class DynamicBlockDot<half, float, 8>;
template class DynamicBlockDot<half, float, 16>;
template class DynamicBlockDot<float, float, 4>;
template class DynamicBlockDot<float, float, 8>;
template class DynamicBlockDot<float, float, 16>;

} // namespace popsparse_py
