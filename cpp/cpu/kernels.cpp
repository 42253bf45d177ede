// Every kernel of one instruction set: compiled once for each, with POPSPARSE_TIER its name and the flags that it
// needs. Only headers without functions of their own are included: an inline function that another file shares could
// otherwise end up in the program in its AVX-512 form and run on a machine without.
#include "kernels.hpp"
#include "jobs.hpp"

#define POPSPARSE_TEXT(x) #x
#define POPSPARSE_HEADER(tier) POPSPARSE_TEXT(simd_##tier.hpp)
#define POPSPARSE_HEADER_OF(tier) POPSPARSE_HEADER(tier)
#include POPSPARSE_HEADER_OF(POPSPARSE_TIER)

namespace popsparse_py::cpu {
namespace POPSPARSE_TIER {
namespace {

#include "convert.hpp"
#include "gelu.hpp"
#include "tile.hpp"

#include "element.hpp"
#include "rows.hpp"
#include "sample.hpp"

template <int Rows, int Vecs> PanelFunction panelOf(std::int32_t steps, Dtype dtype) {
  if (dtype != Dtype::Float32) {
    return dtype == Dtype::Float16 ? multiplyPanel<Rows, Vecs, 0, Dtype::Float16>
                                   : multiplyPanel<Rows, Vecs, 0, Dtype::Bfloat16>;
  }
  switch (steps) {
  case 4:
    return multiplyPanel<Rows, Vecs, 4, Dtype::Float32>;
  case 8:
    return multiplyPanel<Rows, Vecs, 8, Dtype::Float32>;
  case 16:
    return multiplyPanel<Rows, Vecs, 16, Dtype::Float32>;
  default:
    return multiplyPanel<Rows, Vecs, 0, Dtype::Float32>;
  }
}

// Most vectors of a tile: its sums, a row of x and a factor fit the registers.
constexpr std::int32_t mostVectors(std::int32_t rows) {
  return kRegisters == 32 ? (rows == 16 ? 1 : rows == 8 ? 2 : rows == 4 ? 4 : 8) : (rows == 8 ? 1 : rows == 4 ? 2 : 4);
}

template <int Rows, int Vecs> PanelFunction panelOfVectors(std::int32_t vectors, std::int32_t steps, Dtype dtype) {
  if (vectors == Vecs) {
    return panelOf<Rows, Vecs>(steps, dtype);
  }
  if constexpr (Vecs > 1) {
    return panelOfVectors<Rows, Vecs / 2>(vectors, steps, dtype);
  }
  return nullptr;
}

template <int Vecs> PanelFunction elementPanel(std::int32_t vectors, Dtype dtype) {
  if (vectors == Vecs) {
    return dtype == Dtype::Float32   ? multiplyElementPanel<Vecs, Dtype::Float32>
           : dtype == Dtype::Float16 ? multiplyElementPanel<Vecs, Dtype::Float16>
                                     : multiplyElementPanel<Vecs, Dtype::Bfloat16>;
  }
  if constexpr (Vecs > 1) {
    return elementPanel<Vecs / 2>(vectors, dtype);
  }
  return nullptr;
}

std::int32_t maxVectors(std::int32_t tileRows) {
  const bool known =
      tileRows == 1 || tileRows == 2 || tileRows == 4 || tileRows == 8 || (tileRows == 16 && kRegisters == 32);
  return known ? mostVectors(tileRows) : 0;
}

PanelFunction panel(std::int32_t tileRows, std::int32_t tileVectors, std::int32_t blockRows, std::int32_t steps,
                    Dtype dtype) {
  switch (tileRows) {
  case 1:
    return blockRows == 1 && steps == 1 ? elementPanel<mostVectors(1)>(tileVectors, dtype)
                                        : panelOfVectors<1, mostVectors(1)>(tileVectors, steps, dtype);
  case 2:
    return panelOfVectors<2, mostVectors(2)>(tileVectors, steps, dtype);
  case 4:
    return panelOfVectors<4, mostVectors(4)>(tileVectors, steps, dtype);
  case 8:
    return panelOfVectors<8, mostVectors(8)>(tileVectors, steps, dtype);
  default:
    if constexpr (kRegisters == 32) {
      return tileRows == 16 ? panelOfVectors<16, mostVectors(16)>(tileVectors, steps, dtype) : nullptr;
    }
    return nullptr;
  }
}

void gather(const GatherJob &job) {
  switch (job.x.dtype) {
  case Dtype::Float32:
    return gatherPanel<Dtype::Float32>(job);
  case Dtype::Float16:
    return gatherPanel<Dtype::Float16>(job);
  case Dtype::Bfloat16:
    return gatherPanel<Dtype::Bfloat16>(job);
  }
}

void scatter(const ScatterJob &job) {
  switch (job.y.dtype) {
  case Dtype::Float32:
    return scatterPanel<Dtype::Float32>(job);
  case Dtype::Float16:
    return scatterPanel<Dtype::Float16>(job);
  case Dtype::Bfloat16:
    return scatterPanel<Dtype::Bfloat16>(job);
  }
}

void toFloat(const void *source, Dtype dtype, std::int64_t count, float *out) {
  switch (dtype) {
  case Dtype::Float32:
    return widen<Dtype::Float32>(source, count, out);
  case Dtype::Float16:
    return widen<Dtype::Float16>(source, count, out);
  case Dtype::Bfloat16:
    return widen<Dtype::Bfloat16>(source, count, out);
  }
}

std::int64_t peakFlops(std::int64_t rounds) {
  constexpr int kSums = 12;
  Vec sums[kSums];
  for (int i = 0; i < kSums; ++i) {
    sums[i] = broadcast(static_cast<float>(i));
  }
  const Vec factor = broadcast(0.5f), term = broadcast(1e-9f);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      sums[i] = multiplyAdd(sums[i], factor, term);
    }
  }
  float folded[kLanes];
  volatile float used = 0.0f; // keeps the loop
  for (int i = 0; i < kSums; ++i) {
    store(folded, sums[i]);
    used = used + folded[0];
  }
  return rounds * kSums * kLanes * 2;
}

} // namespace
} // namespace POPSPARSE_TIER

#define POPSPARSE_JOIN(a, b) a##b
#define POPSPARSE_TABLE(tier) POPSPARSE_JOIN(tier, Kernels)

const Kernels &POPSPARSE_TABLE(POPSPARSE_TIER)() {
  using namespace POPSPARSE_TIER;
  static const Kernels kKernels{kName,      kLanes, panel,   maxVectors, multiplyRows, sample,
                                sampleRows, gather, scatter, toFloat,    peakFlops};
  return kKernels;
}

} // namespace popsparse_py::cpu
