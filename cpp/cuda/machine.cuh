// What the kernels know of an architecture: how X comes to shared memory, and how many accumulators a warp can hold.
#ifndef POPSPARSE_PY_CUDA_MACHINE_CUH
#define POPSPARSE_PY_CUDA_MACHINE_CUH

#include <popsparse_device.cuh>

namespace popsparse_py::cuda {

constexpr int kLanes = 32;
constexpr int kConsumerWarps = 8;
constexpr int kProducerWarps = 4; // a warpgroup, as registers are moved between warpgroups
constexpr int kRingThreads = (kConsumerWarps + kProducerWarps) * kLanes;

// How X (k, n) is cut: slabs of `rows` rows and `panels` panels of 128 bytes, the widest swizzle.
template <int elementBytes, int panels, int rows> struct SlabShape {
  static constexpr bool kByRows = false;
  static constexpr int kElementBytes = elementBytes, kPanels = panels, kRows = rows;
  static constexpr int kPanelColumns = 128 / elementBytes, kColumns = panels * kPanelColumns;
  static constexpr int kLines = rows, kPanelBytes = kLines * 128, kBytes = panels * kPanelBytes;
};

// How X (n, k), PyTorch's orientation, is cut: the lines of a panel are columns of X^T, `panels` times 128 bytes of k.
template <int elementBytes, int panels, int columns> struct SlabByRows {
  static constexpr bool kByRows = true;
  static constexpr int kElementBytes = elementBytes, kPanels = panels, kColumns = columns;
  static constexpr int kPanelRows = 128 / elementBytes, kRows = panels * kPanelRows;
  static constexpr int kLines = columns, kPanelBytes = kLines * 128, kBytes = panels * kPanelBytes;
};

using NarrowSlab = SlabShape<2, 1, 128>; // 16 KB of 16-bit elements
using WideSlab = SlabShape<2, 2, 128>;   // 32 KB
using WidestSlab = SlabShape<2, 4, 64>;  // 32 KB
using Tf32Slab = SlabShape<4, 2, 64>;    // 16 KB of float32
using NarrowByRows = SlabByRows<2, 2, 64>;
using WideByRows = SlabByRows<2, 2, 128>;
using WidestByRows = SlabByRows<2, 1, 256>;

// sm_80 and later: copies by cp.async.
struct Ampere {
  static constexpr bool kTensorMaps = false, kClusters = false;
  static constexpr int kAccumulators = 64;      // of a lane
  static constexpr int kSlabsBytes = 96 * 1024; // of shared memory: the smallest of these machines has 99 KB
  static constexpr int kProducerRegisters = 0, kConsumerRegisters = 0;
};

// sm_100, sm_120: copies by tensor maps, no registers moved.
struct Blackwell {
  static constexpr bool kTensorMaps = true, kClusters = false;
  static constexpr int kAccumulators = 64;
  static constexpr int kSlabsBytes = 96 * 1024;
  static constexpr int kProducerRegisters = 0, kConsumerRegisters = 0;
};

// sm_90a: copies by tensor maps to all blocks of a cluster, registers of the producers given to the consumers.
struct Hopper {
  static constexpr bool kTensorMaps = true, kClusters = true;
  static constexpr int kAccumulators = 128;
  static constexpr int kSlabsBytes = 192 * 1024;
  static constexpr int kProducerRegisters = 24, kConsumerRegisters = 240;
};

} // namespace popsparse_py::cuda

#endif
