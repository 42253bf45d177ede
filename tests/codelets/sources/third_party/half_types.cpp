// half as a type of its own, short vectors, and the standard functions for half. Vertex.hpp is the only Poplar header.
#include <poplar/Vertex.hpp>

#include <cmath>
#include <limits>

using namespace poplar;

static_assert(!std::is_same<half, float>::value && sizeof(half) == 2, "half is a type of its own");

inline int kindOf(half) {
  return 16;
}
inline int kindOf(float) {
  return 32;
}

template <typename T> T apply(unsigned function, T x, T y) {
  switch (function) {
  case 0:
    return std::sqrt(x) + std::cbrt(y);
  case 1:
    return std::fabs(x) + std::abs(y);
  case 2:
    return std::exp(x) + std::expm1(y);
  case 3:
    return std::log(x) + std::log1p(y);
  case 4:
    return std::sin(x) + std::cos(y) + std::tan(x) + std::tanh(y);
  case 5:
    return std::asin(x) + std::acos(y) + std::atan(x);
  case 6:
    return std::ceil(x) + std::floor(y) + std::rint(x) + std::round(y) + std::trunc(x) + std::nearbyint(y);
  case 7:
    return std::erf(x);
  default:
    return std::pow(x, y) + std::fmod(y, x) + std::atan2(x, y);
  }
}

template <typename T> class Functions : public Vertex {
public:
  Input<Vector<T>> x;
  Input<Vector<T>> y;
  Output<Vector<T, VectorLayout::ONE_PTR>> out; // (9)
  Output<Vector<int>> kinds;

  bool compute() {
    for (unsigned i = 0; i < x.size(); ++i) {
      out[i] = apply<T>(i, x[i], y[i]);
    }
    kinds[0] = kindOf(x[0]);
    kinds[1] = std::isfinite(x[0]) && !std::isinf(x[0]) && !std::isnan(x[0]);
    kinds[2] = static_cast<float>(std::numeric_limits<T>::lowest()) < -60000.0f;
    kinds[3] = std::isinf(std::numeric_limits<T>::infinity());
    return true;
  }
};

template class Functions<half>;

class VectorTypes : public MultiVertex {
public:
  Input<Vector<half, VectorLayout::ONE_PTR, 8>> in;
  Input<Vector<half4, VectorLayout::ONE_PTR, 8>> packed;
  Output<Vector<float2, VectorLayout::ONE_PTR, 8>> pairs;
  Output<Vector<float, VectorLayout::ONE_PTR, 16, true>> quads;
  Output<Vector<half, VectorLayout::ONE_PTR, 4>> halves;
  Output<Vector<int, VectorLayout::ONE_PTR, 16>> counts;
  half factor;

  void compute(unsigned workerId) {
    if (workerId != 0) {
      return;
    }
    const half4 four = *reinterpret_cast<const half4 *>(&in[0]);
    const half4 sum = four + packed[0];
    *reinterpret_cast<half2 *>(&halves[0]) = half2{sum[0], sum[1]} * half2{factor, factor};
    halves[2] = sum[2];
    halves[2] += factor;
    halves[3] = 0;
    halves[3] = (float)sum[3];
    pairs[0] = float2{static_cast<float>(four[0]), 1.5f} * 2.0f;
    *reinterpret_cast<float4 *>(&quads[0]) = float4{1.0f, 2.0f, 3.0f, 4.0f} - 0.5f;
    const int2 two = int2{1, 2} + 1;
    *reinterpret_cast<int4 *>(&counts[0]) = int4{two[0], two[1], 4, 5};
  }
};
