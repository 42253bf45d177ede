// Vectors of 16 floats: AVX-512 F, BW, DQ, VL.
#ifndef POPSPARSE_PY_CPU_SIMD_AVX512_HPP
#define POPSPARSE_PY_CPU_SIMD_AVX512_HPP

#include <immintrin.h>

#include "jobs.hpp"

#define POPSPARSE_INLINE inline __attribute__((always_inline))

namespace popsparse_py::cpu::avx512 {

using Vec = __m512;
using Mask = __mmask16;
constexpr int kLanes = 16;
constexpr int kRegisters = 32;
constexpr const char *kName = "avx512";

POPSPARSE_INLINE Mask firstLanes(std::int64_t count) {
  return static_cast<Mask>(count >= kLanes ? 0xffffu : (1u << count) - 1u);
}
POPSPARSE_INLINE Vec zero() {
  return _mm512_setzero_ps();
}
POPSPARSE_INLINE Vec broadcast(float value) {
  return _mm512_set1_ps(value);
}
POPSPARSE_INLINE Vec load(const float *from) {
  return _mm512_loadu_ps(from);
}
POPSPARSE_INLINE Vec load(const float *from, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, from);
}
POPSPARSE_INLINE void store(float *to, Vec value) {
  _mm512_storeu_ps(to, value);
}
POPSPARSE_INLINE void store(float *to, Vec value, Mask mask) {
  _mm512_mask_storeu_ps(to, mask, value);
}
POPSPARSE_INLINE Vec multiplyAdd(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
POPSPARSE_INLINE Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
POPSPARSE_INLINE Vec multiply(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
POPSPARSE_INLINE Vec divide(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
// A NaN in b stays: the instruction returns its second operand then.
POPSPARSE_INLINE Vec larger(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
POPSPARSE_INLINE Vec absolute(Vec a) {
  return _mm512_abs_ps(a);
}
POPSPARSE_INLINE Vec negativeOr(Vec test, Vec ifNegative, Vec otherwise) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(test, zero(), _CMP_LT_OQ), otherwise, ifNegative);
}
POPSPARSE_INLINE Vec roundToInteger(Vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// 2 to an integral power in [-126, 127].
POPSPARSE_INLINE Vec powerOfTwo(Vec a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127)), 23));
}

POPSPARSE_INLINE Vec loadFloat16(const std::uint16_t *from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
}
POPSPARSE_INLINE Vec loadBfloat16(const std::uint16_t *from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
POPSPARSE_INLINE void storeFloat16(std::uint16_t *to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT));
}
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i even = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 isNan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  const __m512i rounded = _mm512_mask_or_epi32(even, isNan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

// Rows become columns: 4 rounds, each of which exchanges half of one vector with half of another.
POPSPARSE_INLINE void exchange(Vec &a, Vec &b, __m512i low, __m512i high) {
  const Vec first = _mm512_permutex2var_ps(a, low, b);
  b = _mm512_permutex2var_ps(a, high, b);
  a = first;
}
POPSPARSE_INLINE void transpose(Vec *v) {
  const __m512i low[4] = {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                          _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
                          _mm512_setr_epi32(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                          _mm512_setr_epi32(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)};
#pragma GCC unroll 4
  for (int round = 0; round < 4; ++round) {
    const int step = 8 >> round;
    const __m512i high = _mm512_add_epi32(low[round], _mm512_set1_epi32(step));
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      if ((i & step) == 0) {
        exchange(v[i], v[i + step], low[round], high);
      }
    }
  }
}
// Each of the first kLanes / Count floats at `from`, Count times; zeros for those from `count` on.
template <int Count> POPSPARSE_INLINE Vec loadSpread(const float *from, std::int64_t count) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_permutexvar_ps(_mm512_srli_epi32(lane, Count == 8 ? 3 : 2),
                               load(from, firstLanes(count < kLanes / Count ? count : kLanes / Count)));
}

// The 16 values whose sums over lanes are asked for, reduced pairwise: lane i of the result is the sum of v[i].
POPSPARSE_INLINE Vec mergeHalves(Vec a, Vec b, __mmask16 upper, __m512i swap) {
  // Keeps a's lower part in place and b's upper part, and adds the other parts moved beside them.
  return _mm512_add_ps(_mm512_mask_blend_ps(upper, a, b), _mm512_permutex2var_ps(a, swap, b));
}
POPSPARSE_INLINE Vec sumLanes(const Vec *v) {
  const __m512i by8 = _mm512_set_epi32(23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8);
  const __m512i by4 = _mm512_set_epi32(27, 26, 25, 24, 15, 14, 13, 12, 19, 18, 17, 16, 7, 6, 5, 4);
  const __m512i by2 = _mm512_set_epi32(29, 28, 15, 14, 25, 24, 11, 10, 21, 20, 7, 6, 17, 16, 3, 2);
  const __m512i by1 = _mm512_set_epi32(30, 15, 28, 13, 26, 11, 24, 9, 22, 7, 20, 5, 18, 3, 16, 1);
  Vec s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    s[i] = mergeHalves(v[i], v[i + 8], 0xff00, by8);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    s[i] = mergeHalves(s[i], s[i + 4], 0xf0f0, by4);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    s[i] = mergeHalves(s[i], s[i + 2], 0xcccc, by2);
  }
  return mergeHalves(s[0], s[1], 0xaaaa, by1);
}

// kLanes / Count vectors of segments of Count floats: the sums over the segments of each, one vector after the other.
template <int Count> POPSPARSE_INLINE Vec foldSegments(const Vec *v) {
  static_assert(Count == 4 || Count == 8, "a half or a quarter of a vector");
  const __m512i by8 = _mm512_set_epi32(23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8);
  if constexpr (Count == 8) {
    return mergeHalves(v[0], v[1], 0xff00, by8);
  } else {
    const __m512i by4 = _mm512_set_epi32(27, 26, 25, 24, 15, 14, 13, 12, 19, 18, 17, 16, 7, 6, 5, 4);
    return mergeHalves(mergeHalves(v[0], v[2], 0xff00, by8), mergeHalves(v[1], v[3], 0xff00, by8), 0xf0f0, by4);
  }
}

} // namespace popsparse_py::cpu::avx512

#endif
