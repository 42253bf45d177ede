// ReducePartials, Zero, Cast and Copy against plain loops: order of sums, rounding of stores, and which worker writes
// what.
#include <vector>

#include <poplar/HalfFloat.hpp>

#include "instance.hpp"
#include "poisoned.hpp"
#include "registry.hpp"

namespace {

template <class T> std::vector<T> ramp(std::size_t count, float step) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(i % 97) * step);
  }
  return values;
}

// Segments of 5, 1, 3 and 0 sources, written in an order of their own; their sums are rounded once. Grains of 16 bytes
// of partials go to the workers in turn.
template <class P, class T> void checkReduce(const char *name) {
  const unsigned unit = 8 / sizeof(T);
  struct Segment {
    unsigned offset, length, numSources;
  };
  const std::vector<Segment> segments = {{9, 7, 5}, {0, 2, 1}, {2, 7, 3}, {16, 1, 0}};
  std::vector<unsigned short> workList;
  std::size_t numPartials = 0;
  for (const Segment &segment : segments) {
    for (const unsigned value : {segment.offset, segment.length, segment.numSources}) {
      workList.push_back(static_cast<unsigned short>(value));
    }
    numPartials += segment.length * segment.numSources * unit;
  }
  std::vector<P> partials = ramp<P>(numPartials, 0.0999f);
  Instance vertex(*popsparse_py::model::findVertex(name));
  vertex.vector("partials", partials);
  vertex.vector("workList", workList);
  vertex.scalar("numSegments", static_cast<double>(segments.size()));
  const Written<T> out = runPoisoned<T>(vertex, "out", 17 * unit);
  unsigned numGrains = 0;
  const P *source = partials.data();
  for (const Segment &segment : segments) {
    for (unsigned i = 0; i < segment.length * unit; ++i) {
      numGrains += i % (16 / sizeof(P)) == 0;
      float sum = 0.0f;
      for (unsigned j = 0; j < segment.numSources; ++j) {
        sum += static_cast<float>(source[j * segment.length * unit + i]);
      }
      const std::size_t element = segment.offset * unit + i;
      CHECK(static_cast<float>(out.values[element]) == static_cast<float>(static_cast<T>(sum)));
      CHECK(out.workers[element] == static_cast<int>((numGrains - 1) % 6));
    }
    source += segment.length * segment.numSources * unit;
  }
}

template <class P, class T> void checkElementwise(const char *name) {
  for (const std::size_t count : {0u, 1u, 4u, 23u, 24u, 25u, 100u}) {
    std::vector<P> in = ramp<P>(count, 0.0999f);
    Instance vertex(*popsparse_py::model::findVertex(name));
    vertex.vector("in", in);
    vertex.scalar("count", static_cast<double>(count));
    const std::vector<T> out = runPoisoned<T>(vertex, "out", count).values;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(static_cast<float>(out[i]) == static_cast<float>(static_cast<T>(in[i])));
    }
  }
}

template <class T> void checkZero(const char *name) {
  for (const std::size_t count : {0u, 1u, 3u, 8u, 50u}) {
    Instance vertex(*popsparse_py::model::findVertex(name));
    vertex.scalar("count", static_cast<double>(count));
    for (const T value : runPoisoned<T>(vertex, "out", count).values) {
      CHECK(static_cast<float>(value) == 0.0f);
    }
  }
}

} // namespace

int main() {
  checkReduce<half, half>("popsparse_py::ReducePartials<half,half>");
  checkReduce<float, float>("popsparse_py::ReducePartials<float,float>");
  checkReduce<float, half>("popsparse_py::ReducePartials<float,half>");
  checkElementwise<float, half>("popsparse_py::Cast<float,half>");
  checkElementwise<half, float>("popsparse_py::Cast<half,float>");
  checkElementwise<half, half>("popsparse_py::Copy<half>");
  checkElementwise<float, float>("popsparse_py::Copy<float>");
  checkZero<half>("popsparse_py::Zero<half>");
  checkZero<float>("popsparse_py::Zero<float>");
  return 0;
}
