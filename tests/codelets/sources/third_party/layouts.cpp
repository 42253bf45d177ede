// Vectors of every layout, with or without a length, and the four forms of compute().
#include "poplar/AvailableVTypes.h"
#include "poplar/TileConstants.hpp"
#include <poplar/Vertex.hpp>

#ifdef VECTOR_AVAIL_SHORT_SPAN
static constexpr auto SHORT_SPAN = poplar::VectorLayout::SHORT_SPAN;
#endif
#ifdef VECTOR_AVAIL_SCALED_PTR32
static constexpr auto PTR32 = poplar::VectorLayout::SCALED_PTR32;
#endif
#ifdef VECTOR_AVAIL_SCALED_PTR64
static constexpr auto PTR64 = poplar::VectorLayout::SCALED_PTR64;
#endif
#ifdef VECTOR_AVAIL_SCALED_PTR128
static constexpr auto PTR128 = poplar::VectorLayout::SCALED_PTR128;
#endif

using namespace poplar;

// bool compute(unsigned)
template <typename T>
class [[poplar::constraint("elem(*first) != elem(*second)", "region(*first) != region(*out)")]] AddSix
    : public MultiVertex {
public:
  Input<Vector<T>> first;
  Input<Vector<T, SHORT_SPAN, 8>> second;
  Input<Vector<T, VectorLayout::ONE_PTR, 8>> third;
  Input<Vector<T, VectorLayout::COMPACT_PTR, 16, true>> fourth;
  Input<Vector<T, PTR32, 4>> fifth;
  Input<Vector<T, PTR64, 8>> sixth;
  Output<Vector<T, PTR128, 16, true>> out;
  InOut<Vector<unsigned short, SHORT_SPAN>> touched;

  bool compute(unsigned workerId) {
    for (unsigned i = workerId; i < first.size(); i += MultiVertex::numWorkers()) {
      const float sum = static_cast<float>(first[i]) + static_cast<float>(second[i]) + static_cast<float>(third[i]) +
                        static_cast<float>(fourth[i]) + static_cast<float>(fifth[i]) + static_cast<float>(sixth[i]);
      out[i] = static_cast<T>(sum);
    }
    if (workerId < touched.size()) {
      touched[workerId] = static_cast<unsigned short>(touched[workerId] + second.size());
    }
    return true;
  }
};

// void compute(unsigned)
class FillByWorker : public MultiVertex {
public:
  Output<Vector<int, VectorLayout::ONE_PTR>> out;
  unsigned perWorker;

  void compute(unsigned workerId) {
    int *mine = &out[0] + workerId * perWorker;
    for (unsigned i = 0; i < perWorker; ++i) {
      mine[i] = static_cast<int>(workerId);
    }
  }
};

// bool compute(), pointers and iterators of the edges
class Dot : public Vertex {
public:
  Input<Vector<float, VectorLayout::SPAN, 8>> a;
  Input<Vector<float, SHORT_SPAN>> b;
  Output<float> result;
  int bias;

  bool compute() {
    static_assert(std::is_same<decltype(a[0]), const float &>::value, "the element of an Input is const");
    const float *right = b.data();
    float sum = static_cast<float>(bias);
    for (const float left : a) {
      sum += left * *right++;
    }
    result = sum;
    return right == b.end() && *a == a[0] && &b[0] == b.begin() && std::min(a.size(), b.size()) == a.size();
  }
};

template class AddSix<float>;
template class AddSix<half>;
