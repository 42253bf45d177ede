// The part of the CUDA driver that the launcher uses, on the host: "device" memory is this process's, kernels run in
// the emulator. Built as a library of its own, it is opened in place of libcuda.so.1.
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <driver_abi.hpp>

#include "registry.hpp"

namespace {

constexpr std::size_t kGuard = 256; // bytes before and behind each allocation, which nobody may write
constexpr uint8_t kPoison = 0xFF;   // not a number in every floating-point type

using namespace popsparse_py::cuda;
constexpr int kSuccess = 0, kInvalidValue = 1, kNotFound = 500, kLaunchFailed = 719;

struct State {
  std::map<const uint8_t *, std::size_t> allocations; // by begin
  std::size_t used = 0, capacity = std::size_t{1} << 32;
  int major = 9, minor = 0;
  uint32_t seed = 0;
  bool trusting = false;
  long launches = 0, transfers = 0;
  std::string error;
};

State state;

bool guardsHold(const uint8_t *begin, std::size_t bytes) {
  for (std::size_t i = 0; i < kGuard; ++i) {
    if (begin[i - kGuard] != kPoison || begin[bytes + i] != kPoison) {
      return false;
    }
  }
  return true;
}

} // namespace

namespace emulator {

void checkGlobal(const void *at, std::size_t bytes, std::size_t alignment) {
  const auto *begin = static_cast<const uint8_t *>(at);
  auto found = state.allocations.upper_bound(begin);
  if (reinterpret_cast<std::uintptr_t>(at) % alignment != 0) {
    fail("a load of global memory is not aligned");
  }
  if (state.trusting) {
    return;
  }
  if (found != state.allocations.begin()) {
    --found;
    if (begin + bytes <= found->first + found->second) {
      return;
    }
  }
  fail("a load of global memory lies outside every allocation");
}

} // namespace emulator

extern "C" {

// What tests set and read.
void emulatorConfigure(int major, int minor, uint32_t seed, std::size_t capacity) {
  state.major = major;
  state.minor = minor;
  state.seed = seed;
  state.capacity = state.used + capacity; // what earlier devices hold does not count
  state.launches = 0;
}
// Whether kernels may read memory of the process that no cuMemAlloc gave, as that of tensors.
void emulatorTrust(int trusting) {
  state.trusting = trusting != 0;
}
const char *emulatorError() {
  return state.error.c_str();
}
long emulatorLaunches() {
  return state.launches;
}
// Copies from and to the host, and times that it waited.
long emulatorTransfers() {
  return state.transfers;
}

int cuInit(unsigned) {
  return kSuccess;
}
int cuDriverGetVersion(int *version) {
  *version = 13000;
  return kSuccess;
}
int cuDeviceGetCount(int *count) {
  *count = 1;
  return kSuccess;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return ordinal == 0 ? kSuccess : kInvalidValue;
}
int cuDeviceGetName(char *name, int length, int) {
  std::strncpy(name, "emulated device", static_cast<std::size_t>(length));
  return kSuccess;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
  case kMultiprocessors:
    *value = 4;
    return kSuccess;
  case kMajor:
    *value = state.major;
    return kSuccess;
  case kMinor:
    *value = state.minor;
    return kSuccess;
  case kSharedBytes:
    *value = state.major == 9 || state.major == 10 ? 232448 : state.major == 8 && state.minor == 0 ? 166912 : 101376;
    return kSuccess;
  default:
    return kInvalidValue;
  }
}
int cuDevicePrimaryCtxRetain(void **context, int) {
  *context = &state;
  return kSuccess;
}
int cuCtxSetCurrent(void *) {
  return kSuccess;
}
int cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
  *free = state.capacity > state.used ? state.capacity - state.used : 0;
  *total = state.capacity;
  return kSuccess;
}
int cuMemAlloc_v2(uint64_t *pointer, std::size_t bytes) {
  if (state.used + bytes > state.capacity) {
    return kOutOfMemory;
  }
  const std::size_t whole = (bytes + 2 * kGuard + 255) / 256 * 256;
  auto *memory = static_cast<uint8_t *>(std::aligned_alloc(256, whole));
  std::memset(memory, kPoison, whole);
  state.allocations[memory + kGuard] = bytes;
  state.used += bytes;
  *pointer = reinterpret_cast<uint64_t>(memory + kGuard);
  return kSuccess;
}
int cuMemFree_v2(uint64_t pointer) {
  const auto found = state.allocations.find(reinterpret_cast<const uint8_t *>(pointer));
  if (found == state.allocations.end()) {
    return kInvalidValue;
  }
  const bool held = guardsHold(found->first, found->second);
  state.used -= found->second;
  std::free(const_cast<uint8_t *>(found->first) - kGuard);
  state.allocations.erase(found);
  if (!held) {
    state.error = "memory beyond an allocation was written";
  }
  return held ? kSuccess : kLaunchFailed;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, std::size_t bytes, void *) {
  ++state.transfers;
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return kSuccess;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, std::size_t bytes, void *) {
  ++state.transfers;
  std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
  return kSuccess;
}
int cuMemcpy2DAsync_v2(const Copy2d *copy, void *) {
  for (std::size_t row = 0; row < copy->height; ++row) {
    std::memcpy(reinterpret_cast<uint8_t *>(copy->toDevice) + row * copy->toPitch,
                reinterpret_cast<const uint8_t *>(copy->sourceDevice) + row * copy->sourcePitch, copy->widthBytes);
  }
  return kSuccess;
}
int cuStreamSynchronize(void *) {
  ++state.transfers;
  for (const auto &[begin, bytes] : state.allocations) {
    if (!guardsHold(begin, bytes)) {
      state.error = "memory beyond an allocation was written";
      return kLaunchFailed;
    }
  }
  return kSuccess;
}
int cuModuleLoadData(void **module, const void *image) {
  *module = const_cast<void *>(image);
  return kSuccess;
}
int cuModuleUnload(void *) {
  return kSuccess;
}
int cuModuleGetFunction(const void **function, void *, const char *name) {
  *function = emulator::findKernel(name);
  return *function == nullptr ? kNotFound : kSuccess;
}
int cuFuncSetAttribute(void *, int, int) {
  return kSuccess;
}
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *base, const uint64_t *sizes,
                           const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides, int interleave,
                           int swizzle, int, int) {
  const bool sound =
      rank == 2 && swizzle == kSwizzle128 && interleave == 0 && elementStrides[0] == 1 && elementStrides[1] == 1;
  const int elementBytes = type == kFloat32 ? 4 : type == kFloat16 || type == kBfloat16 ? 2 : 0;
  if (!sound || elementBytes == 0 || strides[0] % 16 != 0 || reinterpret_cast<std::uintptr_t>(base) % 16 != 0) {
    return kInvalidValue;
  }
  const emulator::BoxMap told{static_cast<const uint8_t *>(base),
                              static_cast<int64_t>(sizes[0]),
                              static_cast<int64_t>(sizes[1]),
                              static_cast<int64_t>(strides[0]),
                              static_cast<int32_t>(box[0]),
                              static_cast<int32_t>(box[1]),
                              elementBytes};
  std::memset(map, 0, 128);
  std::memcpy(map, &told, sizeof told);
  return kSuccess;
}
int cuLaunchKernelEx(const LaunchConfiguration *configuration, const void *function, void **arguments, void **) {
  const auto *kernel = static_cast<const emulator::Kernel *>(function);
  if (configuration->blockX != static_cast<unsigned>(kernel->threads) || configuration->blockY != 1 ||
      configuration->sharedBytes > 232448) {
    return kInvalidValue;
  }
  emulator::Launch launch;
  launch.grid = {configuration->gridX, configuration->gridY, configuration->gridZ};
  launch.threads = {configuration->blockX, 1, 1};
  launch.sharedBytes = configuration->sharedBytes;
  const auto *attribute = static_cast<const LaunchAttribute *>(configuration->attributes);
  if (configuration->attributeCount == 1 && attribute->id == kClusterDimension) {
    launch.cluster = attribute->value[1];
  }
  if (launch.grid.y % launch.cluster != 0) {
    return kInvalidValue;
  }
  launch.seed = state.seed == 0 ? 0 : state.seed + static_cast<uint32_t>(state.launches);
  ++state.launches;
  emulator::currentGrid() = launch.grid;
  const void *given = arguments[0];
  state.error = emulator::run(launch, [kernel, given] { kernel->body(given); });
  return state.error.empty() ? kSuccess : kLaunchFailed;
}
int cuGetErrorString(int code, const char **text) {
  *text = code == kOutOfMemory    ? "out of memory"
          : code == kNotFound     ? "named symbol not found"
          : code == kLaunchFailed ? state.error.c_str()
          : code == kInvalidValue ? "invalid argument"
                                  : "no error";
  return kSuccess;
}

} // extern "C"
