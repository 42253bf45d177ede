// The numbers and structs of the driver's interface that the launcher uses, written down so that no CUDA header is
// needed. A test compares them with cuda.h where that is installed.
#ifndef POPSPARSE_PY_CUDA_DRIVER_ABI_HPP
#define POPSPARSE_PY_CUDA_DRIVER_ABI_HPP

#include <cstddef>
#include <cstdint>

namespace popsparse_py::cuda {

constexpr int kOutOfMemory = 2;
constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76, kSharedBytes = 97; // CUdevice_attribute
constexpr int kMaxDynamicShared = 8;                                              // CUfunction_attribute
constexpr int kFloat16 = 6, kFloat32 = 7, kBfloat16 = 9;                          // CUtensorMapDataType
constexpr int kSwizzle128 = 3, kPromote256 = 3;

struct LaunchConfiguration { // CUlaunchConfig
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  void *stream, *attributes;
  unsigned attributeCount;
};

struct LaunchAttribute { // CUlaunchAttribute
  int id;
  char padding[4];
  unsigned value[16];
};
constexpr int kClusterDimension = 4; // CUlaunchAttributeID

struct Copy2d { // CUDA_MEMCPY2D
  std::size_t sourceX, sourceY;
  unsigned sourceType;
  const void *sourceHost;
  std::uint64_t sourceDevice;
  void *sourceArray;
  std::size_t sourcePitch, toX, toY;
  unsigned toType;
  void *toHost;
  std::uint64_t toDevice;
  void *toArray;
  std::size_t toPitch, widthBytes, height;
};
constexpr unsigned kDeviceMemory = 2; // CUmemorytype

} // namespace popsparse_py::cuda

#endif
