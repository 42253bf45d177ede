// What all instruction sets write alike, in the compiler's vector types. Included by each simd_*.hpp inside its
// namespace, after Vec and kLanes.

using Bits = std::int32_t __attribute__((vector_size(4 * kLanes)));
using Unaligned = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

POPSPARSE_INLINE Vec zero() {
  return Vec{};
}
POPSPARSE_INLINE Vec load(const float *from) {
  return *reinterpret_cast<const Unaligned *>(from);
}
POPSPARSE_INLINE void store(float *to, Vec value) {
  *reinterpret_cast<Unaligned *>(to) = value;
}
POPSPARSE_INLINE Vec multiplyAdd(Vec a, Vec b, Vec c) {
  return a * b + c;
}
POPSPARSE_INLINE Vec add(Vec a, Vec b) {
  return a + b;
}
POPSPARSE_INLINE Vec multiply(Vec a, Vec b) {
  return a * b;
}
POPSPARSE_INLINE Vec divide(Vec a, Vec b) {
  return a / b;
}
// A NaN in b stays.
POPSPARSE_INLINE Vec larger(Vec a, Vec b) {
  return a > b ? a : b;
}
POPSPARSE_INLINE Vec absolute(Vec a) {
  return reinterpret_cast<Vec>(reinterpret_cast<Bits>(a) & 0x7fffffff);
}
POPSPARSE_INLINE Vec negativeOr(Vec test, Vec ifNegative, Vec otherwise) {
  return test < zero() ? ifNegative : otherwise;
}
// For |a| < 2^22: adding 1.5 * 2^23 leaves no bits for the fraction.
POPSPARSE_INLINE Vec roundToInteger(Vec a) {
  const Vec big = broadcast(12582912.0f);
  return (a + big) - big;
}
// 2 to an integral power in [-126, 127].
POPSPARSE_INLINE Vec powerOfTwo(Vec a) {
  return reinterpret_cast<Vec>((__builtin_convertvector(a, Bits) + 127) << 23);
}
