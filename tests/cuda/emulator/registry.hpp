// Kernels by name, and the instructions of a GPU as functions on the fibers of scheduler.hpp.
#ifndef POPSPARSE_PY_TESTS_EMULATOR_REGISTRY_HPP
#define POPSPARSE_PY_TESTS_EMULATOR_REGISTRY_HPP

#include <cstdint>
#include <string>

#include "scheduler.hpp"

namespace emulator {

struct Kernel {
  int threads = 0;
  void (*body)(const void *arguments) = nullptr;
};

// Makes a kernel known under its name when the library is loaded.
struct Registered {
  Registered(const char *name, int threads, void (*body)(const void *arguments));
};

const Kernel *findKernel(const std::string &name);

Index3 &currentGrid();

void meetBlock();
void meetCluster();

// A block of this cluster, which must not have ended.
Block &blockOfCluster(int rank);

// An arrival, with `bytes` more to come in this phase.
void arrive(Barrier &barrier, long bytes);

// What cuTensorMapEncodeTiled was told, inside the 128 bytes of a map: boxes of a matrix, 128-byte swizzle.
struct BoxMap {
  const uint8_t *base;
  int64_t columns, rows, pitchBytes;
  int32_t boxColumns, boxRows, elementBytes;
};

// blocks: bits of those of the cluster that get it, 0: this one.
void copyBox(uint32_t to, const uint8_t *map, int column, int row, uint32_t barrier, uint32_t blocks = 0);

void copy16(uint32_t to, const void *from, uint32_t bytes);
void arriveAfterCopies(Barrier &barrier);
void commitCopies();
void waitForCopies(int groups);

void loadMatrices(uint32_t address, int count, bool transposed, uint32_t *to);
uint32_t transposeMatrix(uint32_t row);
void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (*widen)(uint16_t));

// The same of 8 columns of a and rows of b; their elements: float32 rounded to TF32.
void multiplyTf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

// A product of a warpgroup; x: descriptor of 16 rows of 256 columns in shared memory, byRows: of their transpose.
void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x, bool byRows, float (*widen)(uint16_t));

// The sum of the warp's values, or of those of lower lanes.
uint32_t sumOfLanes(uint32_t value, bool before);

// Fails unless [at, at + bytes) lies in one allocation of the emulated driver.
void checkGlobal(const void *at, std::size_t bytes, std::size_t alignment);

template <class T> T checkedLoad(const T *from) {
  checkGlobal(from, sizeof(T), alignof(T));
  return *from;
}

} // namespace emulator

#endif
