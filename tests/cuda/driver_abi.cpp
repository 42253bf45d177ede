// Fails to compile unless cpp/cuda/driver_abi.hpp says what cuda.h says.
#include <cuda.h>

#include "driver_abi.hpp"

namespace ours = popsparse_py::cuda;

static_assert(ours::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(ours::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(ours::kMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(ours::kMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(ours::kSharedBytes == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(ours::kMaxDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(ours::kFloat16 == CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
static_assert(ours::kFloat32 == CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
static_assert(ours::kBfloat16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
static_assert(ours::kSwizzle128 == CU_TENSOR_MAP_SWIZZLE_128B);
static_assert(ours::kPromote256 == CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
static_assert(ours::kClusterDimension == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
static_assert(ours::kDeviceMemory == CU_MEMORYTYPE_DEVICE);
static_assert(sizeof(CUtensorMap) == 128 && alignof(CUtensorMap) <= 128);

#define SAME(Ours, theirs, Theirs, field)                                                                              \
  static_assert(offsetof(ours::Ours, theirs) == offsetof(Theirs, field) &&                                             \
                sizeof(ours::Ours::theirs) == sizeof(Theirs::field))

static_assert(sizeof(ours::LaunchConfiguration) == sizeof(CUlaunchConfig));
SAME(LaunchConfiguration, gridX, CUlaunchConfig, gridDimX);
SAME(LaunchConfiguration, blockZ, CUlaunchConfig, blockDimZ);
SAME(LaunchConfiguration, sharedBytes, CUlaunchConfig, sharedMemBytes);
SAME(LaunchConfiguration, stream, CUlaunchConfig, hStream);
SAME(LaunchConfiguration, attributes, CUlaunchConfig, attrs);
SAME(LaunchConfiguration, attributeCount, CUlaunchConfig, numAttrs);
static_assert(sizeof(ours::LaunchAttribute) == sizeof(CUlaunchAttribute));
SAME(LaunchAttribute, id, CUlaunchAttribute, id);
static_assert(offsetof(ours::LaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(sizeof(ours::Copy2d) == sizeof(CUDA_MEMCPY2D));
SAME(Copy2d, sourceType, CUDA_MEMCPY2D, srcMemoryType);
SAME(Copy2d, sourceDevice, CUDA_MEMCPY2D, srcDevice);
SAME(Copy2d, sourcePitch, CUDA_MEMCPY2D, srcPitch);
SAME(Copy2d, toType, CUDA_MEMCPY2D, dstMemoryType);
SAME(Copy2d, toDevice, CUDA_MEMCPY2D, dstDevice);
SAME(Copy2d, toPitch, CUDA_MEMCPY2D, dstPitch);
SAME(Copy2d, widthBytes, CUDA_MEMCPY2D, WidthInBytes);
SAME(Copy2d, height, CUDA_MEMCPY2D, Height);
