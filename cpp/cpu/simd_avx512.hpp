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
POPSPARSE_INLINE Vec broadcast(float value) {
  return _mm512_set1_ps(value);
}

#include "simd_common.hpp"

POPSPARSE_INLINE Vec load(const float *from, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, from);
}
POPSPARSE_INLINE void store(float *to, Vec value, Mask mask) {
  _mm512_mask_storeu_ps(to, mask, value);
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
// To the nearest, ties to even, in the upper half of each lane.
POPSPARSE_INLINE __m512i roundedBfloat16(Vec value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i below = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
  const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
  const __m512i rounded = _mm512_mask_add_epi32(below, odd, below, _mm512_set1_epi32(1));
  const __mmask16 isNan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  return _mm512_mask_or_epi32(rounded, isNan, bits, _mm512_set1_epi32(0x400000));
}
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec value) {
  const __m512i upper = _mm512_srli_epi32(roundedBfloat16(value), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm512_cvtepi32_epi16(upper));
}
// Two vectors, which lie together.
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec first, Vec second) {
  const __m512i odd = _mm512_add_epi16(_mm512_set1_epi16(1),
                                       _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32,
                                                        30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0));
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(roundedBfloat16(first), odd, roundedBfloat16(second)));
}

// Within each segment of 4 lanes: lane i is the sum of the segment's lanes of v[i].
POPSPARSE_INLINE Vec foldFour(const Vec *v) {
  const Vec first = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const Vec second = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  return _mm512_add_ps(_mm512_shuffle_ps(first, second, 0x44), _mm512_shuffle_ps(first, second, 0xee));
}
// Segment i of the result is the sum of the four segments of v[i].
POPSPARSE_INLINE Vec foldSegments(const Vec *v) {
  const Vec first = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x88), _mm512_shuffle_f32x4(v[0], v[1], 0xdd));
  const Vec second = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x88), _mm512_shuffle_f32x4(v[2], v[3], 0xdd));
  return _mm512_add_ps(_mm512_shuffle_f32x4(first, second, 0x88), _mm512_shuffle_f32x4(first, second, 0xdd));
}
// The four segments of a vector as the rows of a square, which become its columns.
POPSPARSE_INLINE Vec transposeSegments(Vec v) {
  return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

// Rows become columns: first those of each 4 x 4 square, then the squares.
POPSPARSE_INLINE void transpose(Vec *v) {
  Vec squares[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const Vec a = _mm512_unpacklo_ps(v[i], v[i + 1]), b = _mm512_unpackhi_ps(v[i], v[i + 1]);
    const Vec c = _mm512_unpacklo_ps(v[i + 2], v[i + 3]), d = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
    squares[i] = _mm512_shuffle_ps(a, c, 0x44);
    squares[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
    squares[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
    squares[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Vec a = _mm512_shuffle_f32x4(squares[i], squares[i + 4], 0x88);
    const Vec b = _mm512_shuffle_f32x4(squares[i], squares[i + 4], 0xdd);
    const Vec c = _mm512_shuffle_f32x4(squares[i + 8], squares[i + 12], 0x88);
    const Vec d = _mm512_shuffle_f32x4(squares[i + 8], squares[i + 12], 0xdd);
    v[i] = _mm512_shuffle_f32x4(a, c, 0x88);
    v[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
    v[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
    v[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

} // namespace popsparse_py::cpu::avx512

#endif
