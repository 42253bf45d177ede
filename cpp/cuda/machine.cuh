// What the kernels know of an architecture: how X comes to shared memory, and how many accumulators a warp can hold.
#ifndef POPSPARSE_PY_CUDA_MACHINE_CUH
#define POPSPARSE_PY_CUDA_MACHINE_CUH

#include <popsparse_device.cuh>

namespace popsparse_py::cuda {

constexpr int kLanes = 32;
constexpr int kConsumerWarps = 8;
constexpr int kProducerWarps = 4; // a warpgroup, as registers are moved between warpgroups
constexpr int kRingThreads = (kConsumerWarps + kProducerWarps) * kLanes;
constexpr int kSlabRows = 128;   // of X
constexpr int kSlabColumns = 64; // 128 bytes of 16-bit elements, the widest swizzle
constexpr int kSlabBytes = kSlabRows * kSlabColumns * 2;
constexpr int kStages = 6; // 96 KB: fits the 99 KB of the smallest machines

// sm_80 and later: copies by cp.async.
struct Ampere {
  static constexpr bool kTensorMaps = false, kClusters = false;
  static constexpr int kAccumulators = 64; // of a lane
  static constexpr int kProducerRegisters = 0, kConsumerRegisters = 0;
};

// sm_100, sm_120: copies by tensor maps, no registers moved.
struct Blackwell {
  static constexpr bool kTensorMaps = true, kClusters = false;
  static constexpr int kAccumulators = 64;
  static constexpr int kProducerRegisters = 0, kConsumerRegisters = 0;
};

// sm_90a: copies by tensor maps to all blocks of a cluster, registers of the producers given to the consumers.
struct Hopper {
  static constexpr bool kTensorMaps = true, kClusters = true;
  static constexpr int kAccumulators = 128;
  static constexpr int kProducerRegisters = 24, kConsumerRegisters = 240;
};

} // namespace popsparse_py::cuda

#endif
