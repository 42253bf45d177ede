// Host stand-in for <poplar/VectorTypes.hpp>: the short vector types, element-wise arithmetic and v[i] included.
#ifndef POPSPARSE_SHIM_POPLAR_VECTOR_TYPES_HPP
#define POPSPARSE_SHIM_POPLAR_VECTOR_TYPES_HPP

#include "HalfFloat.hpp"

using half2 = half __attribute__((vector_size(4)));
using half4 = half __attribute__((vector_size(8)));
using float2 = float __attribute__((vector_size(8)));
using float4 = float __attribute__((vector_size(16)));
using int2 = int __attribute__((vector_size(8)));
using int4 = int __attribute__((vector_size(16)));

static_assert(sizeof(half2) == 4 && sizeof(half4) == 8 && alignof(half4) == 8, "half vectors are packed");
static_assert(sizeof(float2) == 8 && sizeof(float4) == 16, "float vectors are packed");

#endif
