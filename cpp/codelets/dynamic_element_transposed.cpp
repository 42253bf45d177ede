// Dynamic transposed product for single elements (b = 1): q = W^T * s on one tile, W in the bucket of W.
//
// Sums stand in memory as float; each takes its nonzeros in list order. Workers share the columns, so none waits.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T>
class [[poplar::constraint("elem(*q) != elem(*s)")]] DynamicElementTransposed : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> q;            // (numOutputs, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> s;                 // (rows, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> r;                 // values in list order
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;
  unsigned short numOutputs; // columns of the cell

  bool compute(unsigned workerId) {
    const Share columns = workerShare(numColumns, kOffsetElements, workerId, numWorkers());
    clear(columns);
    const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list.data());
    const unsigned short *entry = list.data() + kElementListEntries;
    const T *values = r.data();
    for (unsigned i = 0; i < header.numRows; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *offsets = entry + sizeof(BucketRow) / sizeof(unsigned short);
      const T *x = s.data() + row.localRow * static_cast<unsigned>(numColumns);
      for (unsigned j = 0; j < row.numBlocks; ++j) {
        const float value = static_cast<float>(values[j]);
        float *outputs = q.data() + offsets[j] * kOffsetElements;
        for (unsigned c = columns.begin; c < columns.end; ++c) {
          outputs[c] += value * static_cast<float>(x[c]);
        }
      }
      entry = offsets + row.numBlocks;
      values += row.numBlocks;
    }
    return true;
  }

private:
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);

  void clear(Share columns) {
    for (unsigned row = 0; row < numOutputs; ++row) {
      for (unsigned c = columns.begin; c < columns.end; ++c) {
        q[row * static_cast<unsigned>(numColumns) + c] = 0.0f;
      }
    }
  }
};

template class DynamicElementTransposed<half>;
template class DynamicElementTransposed<float>;

} // namespace popsparse_py
