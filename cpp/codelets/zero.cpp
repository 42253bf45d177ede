// out = 0.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "work_split.hpp"

namespace popsparse_py {

template <class T> class Zero : public poplar::MultiVertex {
public:
  poplar::Output<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> out; // (count)
  unsigned count;

  bool compute(unsigned workerId) {
    const Share share = workerShare(count, 8 / sizeof(T), workerId, numWorkers());
    for (unsigned i = share.begin; i < share.end; ++i) {
      out[i] = static_cast<T>(0.0f);
    }
    return true;
  }
};

template class Zero<half>;
template class Zero<float>;

} // namespace popsparse_py
