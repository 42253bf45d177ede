// Dynamic sparse times dense for single elements (b = 1): q = W * s on one tile, W in a bucket.
//
// Each output is one float sum over the nonzeros of its row in list order, rounded to P once at the store: float
// results are the same bit for bit in every host build. Every row of the cell is written, zero if it has no nonzero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"
#include "element_kernels.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T, class P>
class [[poplar::constraint("elem(*q) != elem(*s)")]] DynamicElementDot : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> q;                // (rows, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                 // (cols, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                 // values in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;                                                            // of a row, whole 8 bytes
  unsigned short numGroups; // workers that share a row group and divide its columns: 1, 2, 3 or 6

  bool compute(unsigned workerId) {
    const WorkerShare *shares = reinterpret_cast<const WorkerShare *>(list.data() + kBlockListEntries);
    const WorkerShare &worker = shares[workerId];
    const Share columns = workerShare(numColumns, kOffsetElements, workerId % numGroups, numGroups);
    const unsigned short *entry = list.data() + worker.firstEntry();
    const T *values = r.data() + worker.firstValue();
    for (unsigned i = 0; i < worker.numRows; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *offsets = entry + sizeof(BucketRow) / sizeof(unsigned short);
      P *outputs = q.data() + row.localRow * static_cast<unsigned>(numColumns);
      for (unsigned column = columns.begin; column < columns.end; column += kElementColumns) {
        dotColumns(outputs + column, values, offsets, row.numBlocks, s.data() + column,
                   smaller(kElementColumns, columns.end - column));
      }
      entry = offsets + row.numBlocks;
      values += row.numBlocks;
    }
    return true;
  }

private:
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);
};

template class DynamicElementDot<half, half>;
template class DynamicElementDot<half, float>;
template class DynamicElementDot<float, float>;

} // namespace popsparse_py
