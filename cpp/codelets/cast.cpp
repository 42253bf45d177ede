// out = in converted to T: float to half rounds to nearest even, half to float is exact.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "work_split.hpp"

namespace popsparse_py {

template <class P, class T> class Cast : public poplar::MultiVertex {
public:
  poplar::Input<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>> in;   // (count)
  poplar::Output<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> out; // (count)
  unsigned count;

  bool compute(unsigned workerId) {
    const Share share = workerShare(count, kGrain, workerId, numWorkers());
    for (unsigned i = share.begin; i < share.end; ++i) {
      out[i] = static_cast<T>(in[i]);
    }
    return true;
  }

private:
  static constexpr unsigned kGrain =
      8 / (sizeof(P) < sizeof(T) ? sizeof(P) : sizeof(T)); // 8 bytes of the narrower type
};

template class Cast<float, half>;
template class Cast<half, float>;

} // namespace popsparse_py
