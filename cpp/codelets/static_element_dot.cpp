// Static sparse times dense for single elements (b = 1): q = W * s on one tile, W given by a work list.
//
// Each output is one float sum over the nonzeros of its row in list order, rounded to P once at the store: float
// results are the same bit for bit in every host build. Rows without nonzeros that the list holds are written as zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "element_kernels.hpp"
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
      for (unsigned column = worker.firstColumn; column < endColumn; column += kElementColumns) {
        dotColumns(row + column, values, entry, count, s.data() + column, smaller(kElementColumns, endColumn - column));
      }
      row += numColumns;
      entry += count;
      values += count;
    }
    return true;
  }
};

template class StaticElementDot<half, half>;
template class StaticElementDot<half, float>;
template class StaticElementDot<float, float>;

} // namespace popsparse_py
