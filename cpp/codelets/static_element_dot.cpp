// Static sparse times dense for single elements (b = 1): q = W * s on one tile, W given by a work list.
//
// Each output is one float sum over the nonzeros of its row in list order, rounded to P once at the store: float
// results are the same bit for bit in every host build. Rows without nonzeros that the list holds are written as zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "meta_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, class P>
class [[poplar::constraint("elem(*q) != elem(*s)")]] StaticElementDot : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> q;                    // (R, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                     // (C, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                     // (z) values in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> workList; // see ElementHeader
  unsigned short numColumns; // of the partition; a row is a multiple of 8 bytes

  bool compute(unsigned workerId) {
    const ElementHeader &worker = reinterpret_cast<const ElementHeader *>(workList.data())[workerId];
    const unsigned short *entry = workList.data() + worker.firstEntry();
    const T *values = r.data() + worker.firstValue();
    const unsigned endColumn = static_cast<unsigned>(worker.firstColumn) + worker.numColumns;
    P *row = q.data() + static_cast<unsigned>(worker.firstLocalRow) * numColumns;
    for (unsigned i = 0; i < worker.numRows; ++i) {
      const unsigned count = *entry++;
      for (unsigned column = worker.firstColumn; column < endColumn; column += kColumns) {
        dotColumns(row + column, values, entry, count, column, smaller(kColumns, endColumn - column));
      }
      row += numColumns;
      entry += count;
      values += count;
    }
    return true;
  }

private:
  static constexpr unsigned kColumns = 16; // sums held at a time
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);

  // outputs: (width) of one row, from `column` on.
  void dotColumns(P *outputs, const T *values, const unsigned short *offsets, unsigned count, unsigned column,
                  unsigned width) {
    float sums[kColumns] = {};
    for (unsigned j = 0; j < count; ++j) {
      const float value = static_cast<float>(values[j]);
      const T *x = s.data() + offsets[j] * kOffsetElements + column;
      for (unsigned c = 0; c < width; ++c) {
        sums[c] += value * static_cast<float>(x[c]);
      }
    }
    for (unsigned c = 0; c < width; ++c) {
      outputs[c] = static_cast<P>(sums[c]);
    }
  }
};

template class StaticElementDot<half, half>;
template class StaticElementDot<half, float>;
template class StaticElementDot<float, float>;

} // namespace popsparse_py
