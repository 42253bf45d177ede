// The CUDA driver, opened when it is asked for: nothing here needs CUDA to be compiled, linked or imported.
#ifndef POPSPARSE_PY_CUDA_DRIVER_HPP
#define POPSPARSE_PY_CUDA_DRIVER_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace popsparse_py::cuda {

// The driver is missing, has no device, or refused a call; the message says which and what to do.
struct UnavailableError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The device's memory cannot hold what was asked for.
struct MemoryError : std::runtime_error {
  MemoryError(const std::string &message, std::size_t needed, std::size_t free)
      : std::runtime_error(message), neededBytes(needed), freeBytes(free) {}
  std::size_t neededBytes, freeBytes;
};

// The head of the arguments of every kernel, as arguments.cuh declares it.
struct Product {
  alignas(128) std::array<std::uint8_t, 128> xMap{}; // CUtensorMap, as CUDA 13 aligns it
  std::uint64_t x = 0, values = 0, y = 0, bias = 0;
  std::int64_t xPitch = 0, yPitch = 0;
  std::int32_t m = 0, k = 0, n = 0, activation = 0;
  std::uint64_t fault = 0;
};
static_assert(sizeof(Product) == 256, "arguments.cuh");

// Blocks of threads along x and y, threads of each, their dynamic shared memory, and how many along y are a cluster.
struct Grid {
  unsigned x = 1, y = 1, threads = 32, sharedBytes = 0, cluster = 1;
};

// How X (k, n), by rows (n, k), is cut into boxes for copies by tensor maps; rows 0: without a map.
struct Boxes {
  int element = 0; // 0: float16, 1: bfloat16, 2: float32
  bool byRows = false;
  std::uint32_t rows = 0, columns = 0;
};

struct Facts {
  std::string name;
  int driver = 0, major = 0, minor = 0, multiprocessors = 0, sharedBytes = 0;
};

struct Functions; // of the driver's library

// One device and its primary context, shared with torch and every other user of the CUDA runtime.
class Device {
public:
  // library: "" for libcuda.so.1. Throws UnavailableError.
  Device(const std::string &library, int ordinal);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const Facts &facts() const { return deviceFacts; }

  // Makes the kernels of a fatbin or cubin known. Throws UnavailableError where it holds nothing for this device.
  void loadModule(const std::string &image);
  // The kernel of that name with so much dynamic shared memory allowed. Throws UnavailableError.
  std::uint64_t function(const std::string &name, int sharedBytes);

  std::uint64_t allocate(std::size_t bytes); // throws MemoryError
  void free(std::uint64_t pointer) noexcept;
  void upload(std::uint64_t to, const void *from, std::size_t bytes, std::uint64_t stream);
  void download(void *to, std::uint64_t from, std::size_t bytes, std::uint64_t stream);
  void copyRows(std::uint64_t to, std::size_t toPitch, std::uint64_t from, std::size_t fromPitch, std::size_t rowBytes,
                std::size_t rows, std::uint64_t stream);
  void synchronize(std::uint64_t stream);

  // Starts a kernel; rest: the words behind its Product.
  void launch(std::uint64_t function, const Grid &grid, const Product &product, const Boxes &boxes,
              const std::vector<std::uint64_t> &rest, std::uint64_t stream);

private:
  void check(int code, const char *what) const;
  void makeCurrent();
  void encodeMap(Product &product, const Boxes &boxes);

  std::unique_ptr<Functions> driver;
  Facts deviceFacts;
  void *context = nullptr;
  std::vector<void *> modules;
};

} // namespace popsparse_py::cuda

#endif
