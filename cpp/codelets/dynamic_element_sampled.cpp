// Gradient of the values of single elements (b = 1): g += dY X^T at the nonzeros of a bucket's rows, on one tile.
//
// g has the order of the values; each element is one float sum over the columns in rising order. Workers share the
// nonzeros and walk the list to theirs.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "bucket_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class T> class DynamicElementSampled : public poplar::MultiVertex {
public:
  poplar::InOut<poplar::Vector<float, poplar::VectorLayout::ONE_PTR, 8>> g;             // (capacity)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> dy;                // (rows, numColumns)
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> x;                 // (cols, numColumns)
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> list; // see BucketHeader
  unsigned short numColumns;

  bool compute(unsigned workerId) {
    const BucketHeader &header = *reinterpret_cast<const BucketHeader *>(list.data());
    const Share mine = workerShare(header.numBlocks(), 1, workerId, numWorkers());
    const unsigned short *entry = list.data() + kElementListEntries;
    unsigned first = 0; // nonzero of the row
    for (unsigned i = 0; i < header.numRows && first < mine.end; ++i) {
      const BucketRow &row = *reinterpret_cast<const BucketRow *>(entry);
      const unsigned short *offsets = entry + sizeof(BucketRow) / sizeof(unsigned short);
      const T *gradient = dy.data() + row.localRow * static_cast<unsigned>(numColumns);
      const unsigned end = smaller(first + row.numBlocks, mine.end);
      for (unsigned at = first > mine.begin ? first : mine.begin; at < end; ++at) {
        g[at] += product(gradient, x.data() + offsets[at - first] * kOffsetElements);
      }
      first += row.numBlocks;
      entry = offsets + row.numBlocks;
    }
    return true;
  }

private:
  static constexpr unsigned kOffsetElements = kOffsetBytes / sizeof(T);

  float product(const T *gradient, const T *values) const {
    float sum = 0.0f;
    for (unsigned c = 0; c < numColumns; ++c) {
      sum += static_cast<float>(gradient[c]) * static_cast<float>(values[c]);
    }
    return sum;
  }
};

template class DynamicElementSampled<half>;
template class DynamicElementSampled<float>;

} // namespace popsparse_py
