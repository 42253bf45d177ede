// half against binary16 worked out in integers: all 65,536 values to float; float to half at each value, midpoint and
// their neighbours, and over a sweep of float bit patterns.
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include <poplar/HalfFloat.hpp>

#include "check.hpp"

template <class To, class From> To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From), "same size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Value of a half in units of 2^-24, the smallest subnormal; finite halves only.
long long unitsOf(unsigned magnitude) {
  const unsigned exponent = magnitude >> 10;
  const long long fraction = magnitude & 0x3ff;
  return exponent == 0 ? fraction : (fraction | 0x400) << (exponent - 1);
}

// The half nearest to a finite float magnitude, ties to even; from 65520 on infinity.
unsigned nearestHalf(float magnitude) {
  if (magnitude >= 65520.0f) {
    return 0x7c00;
  }
  unsigned low = 0, high = 0x7bff; // the largest half not above magnitude
  const double units = static_cast<double>(magnitude) * 0x1p24;
  while (low < high) {
    const unsigned middle = (low + high + 1) / 2;
    if (static_cast<double>(unitsOf(middle)) <= units) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low == 0x7bff) {
    return low;
  }
  const double below = units - static_cast<double>(unitsOf(low));
  const double above = static_cast<double>(unitsOf(low + 1)) - units;
  return below < above || (below == above && low % 2 == 0) ? low : low + 1;
}

void checkToFloat() {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const float value = static_cast<float>(bitsAs<half>(static_cast<std::uint16_t>(bits)));
    const unsigned magnitude = bits & 0x7fff;
    const bool isNegative = bits >= 0x8000;
    if (magnitude > 0x7c00) {
      CHECK(value != value);
    } else {
      const float expected = magnitude == 0x7c00 ? __builtin_inff() : static_cast<float>(unitsOf(magnitude)) * 0x1p-24f;
      CHECK(bitsAs<std::uint32_t>(value) == bitsAs<std::uint32_t>(isNegative ? -expected : expected));
    }
  }
}

void checkToHalf(std::uint32_t bits) {
  const float value = bitsAs<float>(bits & 0x7fffffffu);
  if (value != value) {
    return;
  }
  const unsigned expected = nearestHalf(value);
  const unsigned sign = bits >> 31 << 15;
  CHECK(bitsAs<std::uint16_t>(static_cast<half>(bitsAs<float>(bits))) == (expected | sign));
}

int main() {
  checkToFloat();
  for (unsigned magnitude = 0; magnitude < 0x7c00; ++magnitude) {
    const double here = static_cast<double>(unitsOf(magnitude)) * 0x1p-24;
    const double next = magnitude == 0x7bff ? 65536.0 : static_cast<double>(unitsOf(magnitude + 1)) * 0x1p-24;
    for (const double point : {here, (here + next) / 2}) {
      const std::uint32_t bits = bitsAs<std::uint32_t>(static_cast<float>(point));
      for (const std::uint32_t near : {bits - (bits > 0), bits, bits + 1}) {
        checkToHalf(near);
        checkToHalf(near | 0x80000000u);
      }
    }
  }
  for (std::uint32_t bits = 0; bits < 0xff800000u - 4099; bits += 4099) {
    checkToHalf(bits);
  }
  return 0;
}
