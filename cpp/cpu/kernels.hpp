// The kernels of one instruction set, as a table of functions.
#ifndef POPSPARSE_PY_CPU_KERNELS_HPP
#define POPSPARSE_PY_CPU_KERNELS_HPP

#include "jobs.hpp"

namespace popsparse_py::cpu {

using PanelFunction = void (*)(const PanelJob &);

struct Kernels {
  const char *name;
  std::int32_t lanes; // floats in a vector
  // Null unless the tier has a kernel of `tileRows` x `tileVectors`; for blocks of blockRows x steps and x of dtype.
  PanelFunction (*panel)(std::int32_t tileRows, std::int32_t tileVectors, std::int32_t blockRows, std::int32_t steps,
                         Dtype dtype);
  std::int32_t (*maxVectors)(std::int32_t tileRows); // 0: no kernel with so many rows
  void (*multiplyRows)(const RowsJob &);
  void (*sample)(const SampleJob &);
  void (*sampleRows)(const SampleRowsJob &);
  void (*gather)(const GatherJob &);
  void (*scatter)(const ScatterJob &);
  void (*toFloat)(const void *source, Dtype dtype, std::int64_t count, float *out);
  std::int64_t (*peakFlops)(std::int64_t rounds); // multiply-adds from registers only; returns the operations done
};

const Kernels &baselineKernels();
#ifdef POPSPARSE_CPU_X86
const Kernels &avx2Kernels();
const Kernels &avx512Kernels();
#endif

} // namespace popsparse_py::cpu

#endif
