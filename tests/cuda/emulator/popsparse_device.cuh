// The functions of cpp/cuda/gpu/popsparse_device.cuh, carried out on the host by the emulator.
#ifndef POPSPARSE_PY_TESTS_EMULATOR_POPSPARSE_DEVICE_CUH
#define POPSPARSE_PY_TESTS_EMULATOR_POPSPARSE_DEVICE_CUH

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

#include "registry.hpp"
#include "scheduler.hpp"

#define __device__
#define POPSPARSE_DEVICE inline
#define POPSPARSE_DEFINE(name, machine, threads, Arguments, ...)                                                       \
  static const emulator::Registered registered_##name(#name "_" #machine, threads, [](const void *arguments) {         \
    __VA_ARGS__(*static_cast<const Arguments *>(arguments));                                                           \
  });

struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

#define threadIdx (emulator::self().thread)
#define blockIdx (emulator::block().index)
#define gridDim (emulator::currentGrid())

inline void __syncthreads() {
  emulator::meetBlock();
}
inline void __syncwarp() {
  emulator::meet("__syncwarp", nullptr, [](void **) {});
}

namespace popsparse_py::cuda {

struct alignas(128) TensorMap {
  uint8_t bytes[128];
};

inline uint8_t *sharedMemory() {
  return emulator::block().shared.data();
}
inline uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) - sharedMemory());
}
inline void barrierInit(uint32_t barrier, uint32_t count) {
  emulator::block().barriers[barrier] = {static_cast<int>(count), static_cast<int>(count), 0, 0};
}
inline void barrierInitFence() {}
inline void barrierArrive(uint32_t address) {
  emulator::arrive(emulator::barrierAt(address), 0);
}
inline void barrierExpect(uint32_t address, uint32_t bytes) {
  emulator::arrive(emulator::barrierAt(address), static_cast<long>(bytes));
}
inline void barrierWait(uint32_t address, uint32_t parity) {
  emulator::Barrier &barrier = emulator::barrierAt(address);
  emulator::waitUntil([&barrier, parity] { return (barrier.phase & 1) != parity; });
}

inline void tensorCopy(uint32_t to, const TensorMap *map, int column, int row, uint32_t barrier) {
  emulator::copyBox(to, map->bytes, column, row, barrier);
}
inline void tensorCopyToAll(uint32_t to, const TensorMap *map, int column, int row, uint32_t barrier, uint16_t blocks) {
  emulator::copyBox(to, map->bytes, column, row, barrier, blocks);
}
inline void barrierArriveAt(uint32_t address, int rank) {
  emulator::Block &there = emulator::blockOfCluster(rank);
  emulator::arrive(emulator::barrierAt(address, there), 0);
}
inline int clusterSize() {
  return static_cast<int>(emulator::block().cluster->size());
}
inline int clusterRank() {
  return emulator::block().rank;
}
inline float loadOfCluster(uint32_t address, int rank) {
  float found;
  std::memcpy(&found, emulator::readShared(address, 4, emulator::blockOfCluster(rank)), 4);
  return found;
}
inline void clusterSync() {
  emulator::meetCluster();
}
inline void asyncCopy(uint32_t to, const void *from, uint32_t bytes) {
  emulator::copy16(to, from, bytes);
}
inline void asyncCopyArrive(uint32_t barrier) {
  emulator::arriveAfterCopies(emulator::barrierAt(barrier));
}
inline void asyncCopyCommit() {
  emulator::commitCopies();
}
template <int groups> inline void asyncCopyWait() {
  emulator::waitForCopies(groups);
}

inline void loadMatrices(uint32_t address, uint32_t (&to)[4]) {
  emulator::loadMatrices(address, 4, false, to);
}
inline void loadMatricesTransposed(uint32_t address, uint32_t (&to)[4]) {
  emulator::loadMatrices(address, 4, true, to);
}
inline void loadMatricesTransposed(uint32_t address, uint32_t (&to)[2]) {
  emulator::loadMatrices(address, 2, true, to);
}
inline uint32_t transposeMatrix(uint32_t row) {
  return emulator::transposeMatrix(row);
}

inline uint32_t loadShared(uint32_t address) {
  uint32_t found;
  std::memcpy(&found, emulator::readShared(address, 4), 4);
  return found;
}

inline void storeShared(uint32_t address, float value) {
  std::memcpy(emulator::writeShared(address, 4), &value, 4);
}

struct Tf32 {
  static void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    emulator::multiplyTf32(c, a, b0, b1);
  }
  static uint32_t round(uint32_t bits) {
    const bool isNan = (bits & 0x7fffffff) > 0x7f800000;
    return isNan ? 0x7fffffff : (bits + 0x1000) & ~uint32_t{0x1fff};
  }
};

struct Bfloat16 {
  static void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    emulator::multiply(c, a, b0, b1, widen);
  }
  template <bool byRows> static void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x) {
    emulator::multiplyGroup(d, a, x, byRows, widen);
  }
  static uint32_t pack(float first, float second) {
    return rounded(first) | static_cast<uint32_t>(rounded(second)) << 16;
  }
  static float widen(uint16_t bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }

private:
  static uint16_t rounded(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return value != value ? uint16_t{0x7FC0} : static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
};

struct Float16 {
  static void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    emulator::multiply(c, a, b0, b1, widen);
  }
  template <bool byRows> static void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x) {
    emulator::multiplyGroup(d, a, x, byRows, widen);
  }
  static uint32_t pack(float first, float second) {
    return bitsOf(first) | static_cast<uint32_t>(bitsOf(second)) << 16;
  }
  static float widen(uint16_t bits) {
    _Float16 half;
    std::memcpy(&half, &bits, 2);
    return static_cast<float>(half);
  }

private:
  static uint16_t bitsOf(float value) {
    const auto half = static_cast<_Float16>(value);
    uint16_t bits;
    std::memcpy(&bits, &half, 2);
    return bits;
  }
};

inline void groupFence() {}
inline void groupFinish() {}

template <int count> inline void lowerRegisters() {}
template <int count> inline void raiseRegisters() {}

inline float notANumber() {
  return std::numeric_limits<float>::quiet_NaN();
}
inline uint2 loadOnce(const uint2 *from) {
  return emulator::checkedLoad(from);
}
inline uint4 loadOnce(const uint4 *from) {
  return emulator::checkedLoad(from);
}
template <class T> inline T loadConstant(const T *from) {
  return emulator::checkedLoad(from);
}

template <class T> inline T loadWritten(const T *from) {
  return emulator::checkedLoad(from);
}
template <class T> inline void store(T *to, T value) {
  emulator::checkGlobal(to, sizeof(T), alignof(T));
  *to = value;
}
inline uint32_t orInto(uint32_t *at, uint32_t bits) {
  const uint32_t before = loadWritten(at);
  *at = before | bits;
  return before;
}

inline uint32_t populationCount(uint32_t bits) {
  return static_cast<uint32_t>(__builtin_popcount(bits));
}
inline uint32_t sumOfLanes(uint32_t value) {
  return emulator::sumOfLanes(value, false);
}
inline uint32_t sumOfLanesBefore(uint32_t value) {
  return emulator::sumOfLanes(value, true);
}

} // namespace popsparse_py::cuda

using std::erff;

#endif
