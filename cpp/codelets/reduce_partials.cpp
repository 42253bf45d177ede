// Reduction: out = sum of partials that other tiles sent, segment by segment.
//
// Each output is one float sum in source order, rounded to T once at the store. A segment with no source is written as
// zero.
#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "meta_info.hpp"
#include "work_split.hpp"

namespace popsparse_py {

template <class P, class T> class ReducePartials : public poplar::MultiVertex {
public:
  poplar::Input<poplar::Vector<P, poplar::VectorLayout::ONE_PTR, 8>>
      partials; // segments in list order, each (numSources, length)
  poplar::Output<poplar::Vector<T, poplar::VectorLayout::ONE_PTR, 8>> out;
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> workList; // ReduceSegment each
  unsigned short numSegments;

  // Grains of kGrain outputs go to the workers in turn, over the whole vertex.
  bool compute(unsigned workerId) {
    const ReduceSegment *segments = reinterpret_cast<const ReduceSegment *>(workList.data());
    const P *sources = partials.data();
    unsigned owner = 0; // worker of the next grain
    for (unsigned i = 0; i < numSegments; ++i) {
      const unsigned length = segments[i].length * kUnit;
      T *outputs = out.data() + segments[i].outOffset * kUnit;
      for (unsigned first = 0; first < length; first += kGrain) {
        if (owner == workerId) {
          sumGrain(outputs + first, sources + first, segments[i].numSources, length, smaller(kGrain, length - first));
        }
        owner = owner + 1 == numWorkers() ? 0 : owner + 1;
      }
      sources += segments[i].numSources * length;
    }
    return true;
  }

private:
  static constexpr unsigned kUnit = kOffsetBytes / sizeof(T);
  static constexpr unsigned kGrain = 16 / sizeof(P); // 8 half or 4 float partials, at least one unit of outputs
  static_assert(kGrain % kUnit == 0, "a grain is whole units, so workers share no 32-bit word");

  // sources: (numSources, stride), the grain's column of it; outputs: (width).
  static void sumGrain(T *outputs, const P *sources, unsigned numSources, unsigned stride, unsigned width) {
    float sums[kGrain] = {};
    for (unsigned source = 0; source < numSources; ++source) {
      for (unsigned i = 0; i < width; ++i) {
        sums[i] += static_cast<float>(sources[source * stride + i]);
      }
    }
    for (unsigned i = 0; i < width; ++i) {
      outputs[i] = static_cast<T>(sums[i]);
    }
  }
};

template class ReducePartials<half, half>;
template class ReducePartials<float, float>;
template class ReducePartials<float, half>;

} // namespace popsparse_py
