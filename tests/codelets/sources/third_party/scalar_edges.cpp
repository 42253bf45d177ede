// A codelet as others write them: scalar edges, const state, a constructor that is declared and never defined, private
// members.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#ifdef __IPU__
#error "__IPU__ is defined for the device only"
#endif
#ifndef __POPC__
#error "a host build of a codelet of others defines __POPC__"
#endif

using namespace poplar;

namespace others {

struct Pair {
  float first;
  float second;
};

template <typename FPType, bool clear> class ScaleAndCount : public Vertex {
  static const bool isExternalCodelet = false;

  Input<FPType> scale;

public:
  ScaleAndCount();

  Input<float> in;
  InOut<unsigned> calls;
  Output<FPType> out;
  Output<float> square;
  const FPType shift;
  const unsigned short limit;

  void compute() {
    const float product = static_cast<float>(scale) * in + static_cast<float>(shift);
    out = static_cast<FPType>(product);
    *square = *in * *in;
    if (clear && calls >= limit) {
      calls = 0;
    }
    *calls += 1;
    const unsigned seen = calls;
    *square += static_cast<float>(seen);
  }
};

template class ScaleAndCount<float, true>;
template class ScaleAndCount<half, false>;

} // namespace others
