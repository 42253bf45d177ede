// std:: functions and std::numeric_limits for half, where the standard library has none for _Float16.
//
// Each function computes in float and rounds the result to half once. C++23 libraries that define std::float16_t
// (__STDCPP_FLOAT16_T__) bring their own.
#ifndef POPSPARSE_SHIM_POPLAR_HALF_MATH_HPP
#define POPSPARSE_SHIM_POPLAR_HALF_MATH_HPP

#include <cmath>
#include <limits>

#include "HalfFloat.hpp"

#ifndef __STDCPP_FLOAT16_T__

#define POPSPARSE_HALF_UNARY(NAME)                                                                                     \
  inline half NAME(half x) {                                                                                           \
    return static_cast<half>(NAME(static_cast<float>(x)));                                                             \
  }
#define POPSPARSE_HALF_BINARY(NAME)                                                                                    \
  inline half NAME(half x, half y) {                                                                                   \
    return static_cast<half>(NAME(static_cast<float>(x), static_cast<float>(y)));                                      \
  }                                                                                                                    \
  inline float NAME(half x, float y) {                                                                                 \
    return NAME(static_cast<float>(x), y);                                                                             \
  }                                                                                                                    \
  inline float NAME(float x, half y) {                                                                                 \
    return NAME(x, static_cast<float>(y));                                                                             \
  }
#define POPSPARSE_HALF_TEST(NAME)                                                                                      \
  inline bool NAME(half x) {                                                                                           \
    return NAME(static_cast<float>(x));                                                                                \
  }

namespace std {

POPSPARSE_HALF_UNARY(sqrt)
POPSPARSE_HALF_UNARY(cbrt)
POPSPARSE_HALF_UNARY(fabs)
POPSPARSE_HALF_UNARY(abs)
POPSPARSE_HALF_UNARY(exp)
POPSPARSE_HALF_UNARY(exp2)
POPSPARSE_HALF_UNARY(expm1)
POPSPARSE_HALF_UNARY(log)
POPSPARSE_HALF_UNARY(log2)
POPSPARSE_HALF_UNARY(log10)
POPSPARSE_HALF_UNARY(log1p)
POPSPARSE_HALF_UNARY(sin)
POPSPARSE_HALF_UNARY(cos)
POPSPARSE_HALF_UNARY(tan)
POPSPARSE_HALF_UNARY(asin)
POPSPARSE_HALF_UNARY(acos)
POPSPARSE_HALF_UNARY(atan)
POPSPARSE_HALF_UNARY(sinh)
POPSPARSE_HALF_UNARY(cosh)
POPSPARSE_HALF_UNARY(tanh)
POPSPARSE_HALF_UNARY(erf)
POPSPARSE_HALF_UNARY(ceil)
POPSPARSE_HALF_UNARY(floor)
POPSPARSE_HALF_UNARY(trunc)
POPSPARSE_HALF_UNARY(round)
POPSPARSE_HALF_UNARY(rint)
POPSPARSE_HALF_UNARY(nearbyint)
POPSPARSE_HALF_BINARY(pow)
POPSPARSE_HALF_BINARY(fmod)
POPSPARSE_HALF_BINARY(atan2)
POPSPARSE_HALF_BINARY(fmin)
POPSPARSE_HALF_BINARY(fmax)
POPSPARSE_HALF_BINARY(copysign)
POPSPARSE_HALF_TEST(isnan)
POPSPARSE_HALF_TEST(isinf)
POPSPARSE_HALF_TEST(isfinite)
POPSPARSE_HALF_TEST(signbit)

template <> class numeric_limits<half> {
public:
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = true;
  static constexpr bool is_integer = false;
  static constexpr bool is_exact = false;
  static constexpr bool has_infinity = true;
  static constexpr bool has_quiet_NaN = true;
  static constexpr bool has_signaling_NaN = true;
  static constexpr float_denorm_style has_denorm = denorm_present;
  static constexpr bool has_denorm_loss = false;
  static constexpr float_round_style round_style = round_to_nearest;
  static constexpr bool is_iec559 = true;
  static constexpr bool is_bounded = true;
  static constexpr bool is_modulo = false;
  static constexpr bool traps = false;
  static constexpr bool tinyness_before = false;
  static constexpr int digits = 11;
  static constexpr int digits10 = 3;
  static constexpr int max_digits10 = 5;
  static constexpr int radix = 2;
  static constexpr int min_exponent = -13;
  static constexpr int min_exponent10 = -4;
  static constexpr int max_exponent = 16;
  static constexpr int max_exponent10 = 4;
  static constexpr half min() noexcept { return static_cast<half>(0x1p-14f); }
  static constexpr half max() noexcept { return static_cast<half>(65504.0f); }
  static constexpr half lowest() noexcept { return static_cast<half>(-65504.0f); }
  static constexpr half epsilon() noexcept { return static_cast<half>(0x1p-10f); }
  static constexpr half round_error() noexcept { return static_cast<half>(0.5f); }
  static constexpr half denorm_min() noexcept { return static_cast<half>(0x1p-24f); }
  static constexpr half infinity() noexcept { return static_cast<half>(__builtin_inff()); }
  static constexpr half quiet_NaN() noexcept { return static_cast<half>(__builtin_nanf("")); }
  static constexpr half signaling_NaN() noexcept { return quiet_NaN(); }
};

} // namespace std

#undef POPSPARSE_HALF_UNARY
#undef POPSPARSE_HALF_BINARY
#undef POPSPARSE_HALF_TEST

#endif // __STDCPP_FLOAT16_T__

#endif
