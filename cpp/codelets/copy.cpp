// out = in, inside one tile.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "work_split.hpp"

namespace popsparse_py {

template <class T> class Copy : public poplar::MultiVertex {
public:
  poplar::Input<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> in;   // (count)
  poplar::Output<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> out; // (count), disjoint from in
  unsigned count;

  bool compute(unsigned workerId) {
    const Share share = workerShare(count, 8 / sizeof(T), workerId, numWorkers());
    for (unsigned i = share.begin; i < share.end; ++i) {
      out[i] = in[i];
    }
    return true;
  }
};

template class Copy<half>;
template class Copy<float>;

} // namespace popsparse_py
