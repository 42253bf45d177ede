// Vectors of 8 floats: AVX2, FMA, F16C.
#ifndef POPSPARSE_PY_CPU_SIMD_AVX2_HPP
#define POPSPARSE_PY_CPU_SIMD_AVX2_HPP

#include <immintrin.h>

#include "jobs.hpp"

#define POPSPARSE_INLINE inline __attribute__((always_inline))

namespace popsparse_py::cpu::avx2 {

using Vec = __m256;
using Mask = __m256i;
constexpr int kLanes = 8;
constexpr int kRegisters = 16;
constexpr const char *kName = "avx2";

POPSPARSE_INLINE Mask firstLanes(std::int64_t count) {
  const int lanes = static_cast<int>(count > kLanes ? kLanes : count);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
POPSPARSE_INLINE Vec broadcast(float value) {
  return _mm256_set1_ps(value);
}

#include "simd_common.hpp"

POPSPARSE_INLINE Vec load(const float *from, Mask mask) {
  return _mm256_maskload_ps(from, mask);
}
POPSPARSE_INLINE void store(float *to, Vec value, Mask mask) {
  _mm256_maskstore_ps(to, mask, value);
}

POPSPARSE_INLINE Vec loadFloat16(const std::uint16_t *from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
}
POPSPARSE_INLINE Vec loadBfloat16(const std::uint16_t *from) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
POPSPARSE_INLINE void storeFloat16(std::uint16_t *to, Vec value) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
// To the nearest, ties to even, in the lower half of each lane.
POPSPARSE_INLINE __m256i roundedBfloat16(Vec value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i even = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i isNan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  return _mm256_srli_epi32(_mm256_blendv_epi8(even, quiet, isNan), 16);
}
// Two vectors, which lie together.
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec first, Vec second) {
  const __m256i packed = _mm256_packus_epi32(roundedBfloat16(first), roundedBfloat16(second));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_permute4x64_epi64(packed, 0xd8));
}
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec value) {
  const __m256i rounded = roundedBfloat16(value);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm256_castsi256_si128(packed));
}

// Rows become columns.
POPSPARSE_INLINE void transpose(Vec *v) {
  Vec pairs[8], fours[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pairs[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
    fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    v[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}
// Within each segment of 4 lanes: lane i is the sum of the segment's lanes of v[i].
POPSPARSE_INLINE Vec foldFour(const Vec *v) {
  return _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
}
// Segment i of the result is the sum of the two segments of v[i].
POPSPARSE_INLINE Vec foldSegments(const Vec *v) {
  return _mm256_add_ps(_mm256_permute2f128_ps(v[0], v[1], 0x20), _mm256_permute2f128_ps(v[0], v[1], 0x31));
}

} // namespace popsparse_py::cpu::avx2

#endif
