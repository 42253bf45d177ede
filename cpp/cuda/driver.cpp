#include "driver.hpp"

#include <algorithm>
#include <cstring>

#include <dlfcn.h>

#include "driver_abi.hpp"

namespace popsparse_py::cuda {

namespace {

std::string gigabytes(std::size_t bytes) {
  return std::to_string(bytes) + " B (" + std::to_string(bytes >> 20) + " MiB)";
}

} // namespace

// Every function of the driver that is used, by the name that its library exports.
struct Functions {
  explicit Functions(const std::string &library) {
    const std::string name = library.empty() ? "libcuda.so.1" : library;
    handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      throw UnavailableError("no CUDA driver was found: " + std::string(dlerror()) +
                             ". Install NVIDIA's driver (nvidia-smi must list the GPU), or use target='cpu'");
    }
    bind(init, "cuInit");
    bind(driverVersion, "cuDriverGetVersion");
    bind(deviceCount, "cuDeviceGetCount");
    bind(device, "cuDeviceGet");
    bind(deviceName, "cuDeviceGetName");
    bind(attribute, "cuDeviceGetAttribute");
    bind(retainContext, "cuDevicePrimaryCtxRetain");
    bind(setContext, "cuCtxSetCurrent");
    bind(memoryInfo, "cuMemGetInfo_v2");
    bind(allocate, "cuMemAlloc_v2");
    bind(free, "cuMemFree_v2");
    bind(upload, "cuMemcpyHtoDAsync_v2");
    bind(download, "cuMemcpyDtoHAsync_v2");
    bind(copyRows, "cuMemcpy2DAsync_v2");
    bind(synchronize, "cuStreamSynchronize");
    bind(loadModule, "cuModuleLoadData");
    bind(unloadModule, "cuModuleUnload");
    bind(function, "cuModuleGetFunction");
    bind(setAttribute, "cuFuncSetAttribute");
    bind(errorString, "cuGetErrorString");
    bind(launch, "cuLaunchKernelEx");
    bind(encodeTiled, "cuTensorMapEncodeTiled");
  }

  // Kernels may still run when a process ends, so the library stays open.
  void *handle = nullptr;
  int (*init)(unsigned) = nullptr;
  int (*driverVersion)(int *) = nullptr;
  int (*deviceCount)(int *) = nullptr;
  int (*device)(int *, int) = nullptr;
  int (*deviceName)(char *, int, int) = nullptr;
  int (*attribute)(int *, int, int) = nullptr;
  int (*retainContext)(void **, int) = nullptr;
  int (*setContext)(void *) = nullptr;
  int (*memoryInfo)(std::size_t *, std::size_t *) = nullptr;
  int (*allocate)(std::uint64_t *, std::size_t) = nullptr;
  int (*free)(std::uint64_t) = nullptr;
  int (*upload)(std::uint64_t, const void *, std::size_t, void *) = nullptr;
  int (*download)(void *, std::uint64_t, std::size_t, void *) = nullptr;
  int (*copyRows)(const Copy2d *, void *) = nullptr;
  int (*synchronize)(void *) = nullptr;
  int (*loadModule)(void **, const void *) = nullptr;
  int (*unloadModule)(void *) = nullptr;
  int (*function)(void **, void *, const char *) = nullptr;
  int (*setAttribute)(void *, int, int) = nullptr;
  int (*errorString)(int, const char **) = nullptr;
  int (*launch)(const LaunchConfiguration *, void *, void **, void **) = nullptr;
  int (*encodeTiled)(void *, int, std::uint32_t, void *, const std::uint64_t *, const std::uint64_t *,
                     const std::uint32_t *, const std::uint32_t *, int, int, int, int) = nullptr;

private:
  template <class Function> void bind(Function &entry, const char *name) {
    void *found = dlsym(handle, name);
    if (found == nullptr) {
      throw UnavailableError(std::string("the CUDA driver has no ") + name +
                             ": it is older than CUDA 12; install driver 525 or later");
    }
    std::memcpy(&entry, &found, sizeof found);
  }
};

Device::Device(const std::string &library, int ordinal) : driver(std::make_unique<Functions>(library)) {
  check(driver->init(0), "cuInit");
  int count = 0, device = 0;
  check(driver->deviceCount(&count), "cuDeviceGetCount");
  if (ordinal < 0 || ordinal >= count) {
    throw UnavailableError("there is no CUDA device " + std::to_string(ordinal) + ": the driver has " +
                           std::to_string(count) + "; CUDA_VISIBLE_DEVICES may hide some");
  }
  check(driver->device(&device, ordinal), "cuDeviceGet");
  char name[256] = {};
  check(driver->deviceName(name, sizeof name - 1, device), "cuDeviceGetName");
  deviceFacts.name = name;
  check(driver->driverVersion(&deviceFacts.driver), "cuDriverGetVersion");
  check(driver->attribute(&deviceFacts.major, kMajor, device), "cuDeviceGetAttribute");
  check(driver->attribute(&deviceFacts.minor, kMinor, device), "cuDeviceGetAttribute");
  check(driver->attribute(&deviceFacts.multiprocessors, kMultiprocessors, device), "cuDeviceGetAttribute");
  check(driver->attribute(&deviceFacts.sharedBytes, kSharedBytes, device), "cuDeviceGetAttribute");
  check(driver->retainContext(&context, device), "cuDevicePrimaryCtxRetain");
}

Device::~Device() {
  for (void *module : modules) {
    driver->unloadModule(module);
  }
}

void Device::check(int code, const char *what) const {
  if (code != 0) {
    const char *text = nullptr;
    driver->errorString(code, &text);
    throw UnavailableError(std::string("the CUDA driver refused ") + what + ": " + (text ? text : "unknown error") +
                           " (" + std::to_string(code) + ")");
  }
}

void Device::makeCurrent() {
  check(driver->setContext(context), "cuCtxSetCurrent");
}

void Device::loadModule(const std::string &image) {
  makeCurrent();
  void *module = nullptr;
  check(driver->loadModule(&module, image.data()), "cuModuleLoadData");
  modules.push_back(module);
}

std::uint64_t Device::function(const std::string &name, int sharedBytes) {
  makeCurrent();
  for (void *module : modules) {
    void *found = nullptr;
    if (driver->function(&found, module, name.c_str()) == 0) {
      check(driver->setAttribute(found, kMaxDynamicShared, sharedBytes), "cuFuncSetAttribute");
      return reinterpret_cast<std::uint64_t>(found);
    }
  }
  throw UnavailableError("the kernels of this installation have no " + name + " for a device of compute capability " +
                         std::to_string(deviceFacts.major) + "." + std::to_string(deviceFacts.minor));
}

std::uint64_t Device::allocate(std::size_t bytes) {
  makeCurrent();
  std::uint64_t pointer = 0;
  const int code = driver->allocate(&pointer, bytes == 0 ? 1 : bytes);
  if (code == kOutOfMemory) {
    std::size_t free = 0, total = 0;
    driver->memoryInfo(&free, &total);
    throw MemoryError("the device needs " + gigabytes(bytes) + " more and has " + gigabytes(free) + " of " +
                          gigabytes(total) + " free: fewer columns at once, or free what other programs hold",
                      bytes, free);
  }
  check(code, "cuMemAlloc");
  return pointer;
}

void Device::free(std::uint64_t pointer) noexcept {
  if (pointer != 0) {
    driver->setContext(context);
    driver->free(pointer);
  }
}

void Device::upload(std::uint64_t to, const void *from, std::size_t bytes, std::uint64_t stream) {
  makeCurrent();
  check(driver->upload(to, from, bytes, reinterpret_cast<void *>(stream)), "cuMemcpyHtoDAsync");
}

void Device::download(void *to, std::uint64_t from, std::size_t bytes, std::uint64_t stream) {
  makeCurrent();
  check(driver->download(to, from, bytes, reinterpret_cast<void *>(stream)), "cuMemcpyDtoHAsync");
  synchronize(stream);
}

void Device::copyRows(std::uint64_t to, std::size_t toPitch, std::uint64_t from, std::size_t fromPitch,
                      std::size_t rowBytes, std::size_t rows, std::uint64_t stream) {
  makeCurrent();
  Copy2d copy{};
  copy.sourceType = copy.toType = kDeviceMemory;
  copy.sourceDevice = from;
  copy.sourcePitch = fromPitch;
  copy.toDevice = to;
  copy.toPitch = toPitch;
  copy.widthBytes = rowBytes;
  copy.height = rows;
  check(driver->copyRows(&copy, reinterpret_cast<void *>(stream)), "cuMemcpy2DAsync");
}

void Device::synchronize(std::uint64_t stream) {
  makeCurrent();
  check(driver->synchronize(reinterpret_cast<void *>(stream)), "cuStreamSynchronize");
}

void Device::encodeMap(Product &product, const Boxes &boxes) {
  const auto columns = static_cast<std::uint64_t>(boxes.byRows ? product.k : product.n);
  const auto rows = static_cast<std::uint64_t>(boxes.byRows ? product.n : product.k);
  const std::uint64_t sizes[] = {columns, rows};
  const std::uint64_t elementBytes = boxes.element == 2 ? 4 : 2;
  const std::uint64_t strides[] = {static_cast<std::uint64_t>(product.xPitch) * elementBytes};
  const int types[] = {kFloat16, kBfloat16, kFloat32};
  const std::uint32_t box[] = {boxes.columns, boxes.rows}, steps[] = {1, 1};
  check(driver->encodeTiled(product.xMap.data(), types[boxes.element], 2, reinterpret_cast<void *>(product.x), sizes,
                            strides, box, steps, 0, kSwizzle128, kPromote256, 0),
        "cuTensorMapEncodeTiled");
}

void Device::launch(std::uint64_t function, const Grid &grid, const Product &product, const Boxes &boxes,
                    const std::vector<std::uint64_t> &rest, std::uint64_t stream) {
  makeCurrent();
  constexpr std::size_t kMostWords = 48;
  if (rest.size() > kMostWords) {
    throw std::invalid_argument("a kernel has at most 48 words of arguments behind its product");
  }
  struct Arguments {
    Product product;
    std::array<std::uint64_t, kMostWords> rest{};
  };
  Arguments arguments{product};
  if (boxes.rows != 0) {
    encodeMap(arguments.product, boxes);
  }
  std::copy(rest.begin(), rest.end(), arguments.rest.begin());
  void *parameters[] = {&arguments};
  LaunchConfiguration configuration{};
  configuration.gridX = grid.x;
  configuration.gridY = grid.y;
  configuration.gridZ = configuration.blockY = configuration.blockZ = 1;
  configuration.blockX = grid.threads;
  configuration.sharedBytes = grid.sharedBytes;
  configuration.stream = reinterpret_cast<void *>(stream);
  LaunchAttribute cluster{kClusterDimension, {}, {1, grid.cluster, 1}};
  if (grid.cluster > 1) {
    configuration.attributes = &cluster;
    configuration.attributeCount = 1;
  }
  check(driver->launch(&configuration, reinterpret_cast<void *>(function), parameters, nullptr), "cuLaunchKernelEx");
}

} // namespace popsparse_py::cuda
