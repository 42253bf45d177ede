// Vectors of 4 floats in the compiler's own vector types: SSE2 on any x86-64, NEON on AArch64, plain code elsewhere.
#ifndef POPSPARSE_PY_CPU_SIMD_BASELINE_HPP
#define POPSPARSE_PY_CPU_SIMD_BASELINE_HPP

#include "jobs.hpp"

#define POPSPARSE_INLINE inline __attribute__((always_inline))

namespace popsparse_py::cpu::baseline {

using Vec = float __attribute__((vector_size(16)));
struct Mask {
  int count;
};
constexpr int kLanes = 4;
#ifdef __aarch64__
using Half = __fp16; // GCC 12 has no _Float16 in C++ there
constexpr int kRegisters = 32;
constexpr const char *kName = "neon";
#else
using Half = _Float16;
constexpr int kRegisters = 16;
constexpr const char *kName = "baseline";
#endif

POPSPARSE_INLINE Mask firstLanes(std::int64_t count) {
  return {static_cast<int>(count > kLanes ? kLanes : count)};
}
POPSPARSE_INLINE Vec broadcast(float value) {
  return Vec{value, value, value, value};
}

#include "simd_common.hpp"

POPSPARSE_INLINE Vec load(const float *from, Mask mask) {
  Vec value = zero();
  for (int i = 0; i < mask.count; ++i) {
    value[i] = from[i];
  }
  return value;
}
POPSPARSE_INLINE void store(float *to, Vec value, Mask mask) {
  for (int i = 0; i < mask.count; ++i) {
    to[i] = value[i];
  }
}

POPSPARSE_INLINE float floatOf(std::uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
POPSPARSE_INLINE std::uint32_t bitsOf(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
POPSPARSE_INLINE float fromFloat16(std::uint16_t half) {
  Half value;
  __builtin_memcpy(&value, &half, sizeof value);
  return static_cast<float>(value);
}
POPSPARSE_INLINE std::uint16_t toFloat16(float value) {
  const Half half = static_cast<Half>(value);
  std::uint16_t bits;
  __builtin_memcpy(&bits, &half, sizeof bits);
  return bits;
}
POPSPARSE_INLINE std::uint16_t toBfloat16(float value) {
  const std::uint32_t bits = bitsOf(value);
  if (value != value) {
    return static_cast<std::uint16_t>((bits | 0x400000u) >> 16);
  }
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

POPSPARSE_INLINE Vec loadFloat16(const std::uint16_t *from) {
  return Vec{fromFloat16(from[0]), fromFloat16(from[1]), fromFloat16(from[2]), fromFloat16(from[3])};
}
POPSPARSE_INLINE Vec loadBfloat16(const std::uint16_t *from) {
  return Vec{floatOf(std::uint32_t{from[0]} << 16), floatOf(std::uint32_t{from[1]} << 16),
             floatOf(std::uint32_t{from[2]} << 16), floatOf(std::uint32_t{from[3]} << 16)};
}
POPSPARSE_INLINE void storeFloat16(std::uint16_t *to, Vec value) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = toFloat16(value[i]);
  }
}
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec value) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = toBfloat16(value[i]);
  }
}
// Two vectors, which lie together.
POPSPARSE_INLINE void storeBfloat16(std::uint16_t *to, Vec first, Vec second) {
  storeBfloat16(to, first);
  storeBfloat16(to + kLanes, second);
}

// Rows become columns.
POPSPARSE_INLINE void transpose(Vec *v) {
  const Vec a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5), b = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
  const Vec c = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5), d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
  v[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  v[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  v[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  v[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

// Lane i is the sum of the lanes of v[i].
POPSPARSE_INLINE Vec foldFour(const Vec *v) {
  Vec columns[4] = {v[0], v[1], v[2], v[3]};
  transpose(columns);
  return (columns[0] + columns[1]) + (columns[2] + columns[3]);
}
// A vector is one segment.
POPSPARSE_INLINE Vec foldSegments(const Vec *v) {
  return v[0];
}

} // namespace popsparse_py::cpu::baseline

#endif
