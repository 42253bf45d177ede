// Dynamic transposed block product (b = 4, 8, 16): q = W^T * s on one tile, W in the bucket of W.
//
// Sums stand in memory as float; each takes its blocks in list order, one float sum per block. Workers share columns.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "block_kernels.hpp"
#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, unsigned B>
class [[poplar::constraint("elem(*q) != elem(*s)")]] DynamicBlockTransposed : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> q;            // (numOutputs, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                 // (rows, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                 // (blocks, B, B) in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;
  unsigned short numOutputs; // block columns of the cell

  bool compute(unsigned workerId) {
    const Share columns = workerShare(numColumns, 1, workerId, numWorkers());
    clear(columns);
    const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list.data());
    const unsigned short *entry = list.data() + kBlockListEntries;
    const T *values = r.data();
    for (unsigned i = 0; i < header.numRows; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *blockColumns = entry + sizeof(BucketRow) / sizeof(unsigned short);
      for (unsigned j = 0; j < row.numBlocks; ++j) {
        addToOutput(row.localRow, blockColumns[j], values + j * (B * B), columns);
      }
      entry = blockColumns + row.numBlocks;
      values += row.numBlocks * (B * B);
    }
    return true;
  }

private:
  void addToOutput(unsigned row, unsigned output, const T *block, Share columns) {
    for (unsigned column = columns.begin; column < columns.end; column += kKernelColumns) {
      const T *x = s.data() + (row * static_cast<unsigned>(numColumns) + column) * B;
      float *outputs = q.data() + (output * static_cast<unsigned>(numColumns) + column) * B;
      accumulateBlock<T, float, B, true>(outputs, block, x, smaller(kKernelColumns, columns.end - column));
    }
  }

  void clear(Share columns) {
    for (unsigned output = 0; output < numOutputs; ++output) {
      float *outputs = q.data() + output * static_cast<unsigned>(numColumns) * B;
      for (unsigned i = columns.begin * B; i < columns.end * B; ++i) {
        outputs[i] = 0.0f;
      }
    }
  }
};

template class DynamicBlockTransposed<half, 4>;
template class DynamicBlockTransposed<half, 8>;
template class DynamicBlockTransposed<half, 16>;
template class DynamicBlockTransposed<float, 4>;
template class DynamicBlockTransposed<float, 8>;
template class DynamicBlockTransposed<float, 16>;

} // namespace popsparse_py
