// Static block-sparse times dense (b = 4, 8, 16): q = W * s on one tile, W given by a work list of blocks.
//
// Each output is one float sum over the blocks of its row in list order, k ascending inside a block, rounded to P once
// at the store: float results are the same bit for bit in every host build. Rows with no block that the list holds are
// written as zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "meta_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, class P, unsigned B>
class [[poplar::constraint("elem(*q) != elem(*s)")]] StaticBlockDot : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> q;                    // (R, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                     // (C, numColumns, B)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                     // (z, B, B) in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> workList; // see BlockHeader
  unsigned short numColumns;                                                                // of the partition

  bool compute(unsigned workerId) {
    const BlockHeader *headers = reinterpret_cast<const BlockHeader *>(workList.data());
    const BlockHeader &worker = headers[workerId];
    const unsigned short *entry = reinterpret_cast<const unsigned short *>(headers + kWorkers);
    const unsigned endColumn = static_cast<unsigned>(worker.firstColumn) + worker.numColumns;
    const T *values = r.data();
    const unsigned numRows = *entry++;
    for (unsigned i = 0; i < numRows; ++i) {
      const BlockRow &row = *reinterpret_cast<const BlockRow *>(entry);
      const unsigned short *blockColumns = entry + sizeof(BlockRow) / sizeof(unsigned short);
      for (unsigned column = worker.firstColumn; column < endColumn; column += kColumns) {
        dotColumns(row, blockColumns, values, column, smaller(kColumns, endColumn - column));
      }
      entry = blockColumns + row.numBlocks;
      values += row.numBlocks * (B * B);
    }
    return true;
  }

private:
  static constexpr unsigned kColumns = 8; // columns summed at a time, for which each weight is converted once

  // Writes `width` columns of one block row of q, from `column` on.
  void dotColumns(const BlockRow &row, const unsigned short *blockColumns, const T *values, unsigned column,
                  unsigned width) {
    float sums[kColumns * B] = {}; // (width, B)
    for (unsigned j = 0; j < row.numBlocks; ++j) {
      addBlock(sums, values + j * (B * B),
               s.data() + (blockColumns[j] * static_cast<unsigned>(numColumns) + column) * B, width);
    }
    P *outputs = q.data() + (row.localRow * static_cast<unsigned>(numColumns) + column) * B;
    for (unsigned i = 0; i < width * B; ++i) {
      outputs[i] = static_cast<P>(sums[i]);
    }
  }

  // block: (B, B) row-major; x: (width, B), k inner.
  static void addBlock(float *sums, const T *block, const T *x, unsigned width) {
    for (unsigned k = 0; k < B; ++k) {
      float weights[B];
      for (unsigned i = 0; i < B; ++i) {
        weights[i] = static_cast<float>(block[i * B + k]);
      }
      for (unsigned c = 0; c < width; ++c) {
        const float value = static_cast<float>(x[c * B + k]);
        for (unsigned i = 0; i < B; ++i) {
          sums[c * B + i] += weights[i] * value;
        }
      }
    }
  }
};

template class StaticBlockDot<half, half, 4>;
template class StaticBlockDot<half, half, 8>;
template class StaticBlockDot<half, half, 16>;
template class StaticBlockDot<half, float, 4>;
template class StaticBlockDot<half, float, 8>;
template class StaticBlockDot<half, float, 16>;
template class StaticBlockDot<float, float, 4>;
template class StaticBlockDot<float, float, 8>;
template class StaticBlockDot<float, float, 16>;

} // namespace popsparse_py
