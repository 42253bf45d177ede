// Host stand-in for <poplar/HalfFloat.hpp>: half, the short vector types and what <cmath> and <limits> lack for half.
//
// half is the compiler's _Float16 (GCC >= 12, clang >= 15): IEEE binary16 with subnormals. float to half rounds to
// nearest even and overflows to infinity from 65520 on; half to float is exact. Never put this folder on the include
// path of an SDK build.
#ifndef POPSPARSE_SHIM_POPLAR_HALF_FLOAT_HPP
#define POPSPARSE_SHIM_POPLAR_HALF_FLOAT_HPP

#ifndef __FLT16_MAX__
#error "the host build of the codelets needs _Float16: use GCC 12 or later, or clang 15 or later"
#endif

using half = _Float16;

#include "HalfMath.hpp"
#include "VectorTypes.hpp"

#endif
