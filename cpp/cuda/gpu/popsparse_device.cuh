// The instructions that the kernels use, each behind one function: here as PTX for nvcc and NVRTC. The tests put
// another file of this name on the include path, which carries the same functions out on the host.
#ifndef POPSPARSE_PY_CUDA_GPU_POPSPARSE_DEVICE_CUH
#define POPSPARSE_PY_CUDA_GPU_POPSPARSE_DEVICE_CUH

#ifdef __CUDACC_RTC__ // NVRTC has no <cstdint>
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <cstdint>
#endif

#define POPSPARSE_DEVICE __device__ __forceinline__

// A kernel named `name`_`machine` of `threads` threads a block that runs body(arguments); the driver finds it by its
// name.
#define POPSPARSE_DEFINE(name, machine, threads, Arguments, ...)                                                       \
  extern "C" __global__ void __launch_bounds__(threads, 1)                                                             \
      name##_##machine(const __grid_constant__ Arguments arguments) {                                                  \
    __VA_ARGS__(arguments);                                                                                            \
  }

#include "popsparse_mma.cuh"

namespace popsparse_py::cuda {

// CUtensorMap: 128 opaque bytes, made by the driver.
struct alignas(128) TensorMap {
  uint8_t bytes[128];
};

// Dynamic shared memory; `alignas` of what the tensor copies with a 128-byte swizzle need.
POPSPARSE_DEVICE uint8_t *sharedMemory() {
  extern __shared__ __align__(1024) uint8_t memory[];
  return memory;
}

POPSPARSE_DEVICE uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// --- mbarrier: `count` arrivals, and all bytes expected, end a phase

POPSPARSE_DEVICE void barrierInit(uint32_t barrier, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

POPSPARSE_DEVICE void barrierArrive(uint32_t barrier) {
  asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared::cta.b64 state, [%0];\n}" ::"r"(barrier) : "memory");
}

#if __CUDA_ARCH__ >= 900
// Makes initialised barriers visible to copies by tensor maps.
POPSPARSE_DEVICE void barrierInitFence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

POPSPARSE_DEVICE void barrierExpect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Waits until the phase of this parity is over.
POPSPARSE_DEVICE void barrierWait(uint32_t barrier, uint32_t parity) {
  asm volatile("{\n.reg .pred over;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
               "@over bra done;\nbra again;\ndone:\n}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}

// A box of a matrix to shared memory; column, row: of its first element; zeros beyond the edges.
POPSPARSE_DEVICE void tensorCopy(uint32_t to, const TensorMap *map, int column, int row, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          to),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}

// The same box to the same place of every block of the cluster whose bit is set, counted at the barrier of each.
POPSPARSE_DEVICE void tensorCopyToAll(uint32_t to, const TensorMap *map, int column, int row, uint32_t barrier,
                                      uint16_t blocks) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
               "[%1, {%2, %3}], [%4], %5;" ::"r"(to),
               "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks)
               : "memory");
}

// Arrives at the barrier of this address in another block of the cluster.
POPSPARSE_DEVICE void barrierArriveAt(uint32_t barrier, int rank) {
  asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n}" ::"r"(barrier),
               "r"(rank)
               : "memory");
}

// Blocks of the cluster, 1 without one, and which of them this is.
POPSPARSE_DEVICE int clusterSize() {
  int found;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(found));
  return found;
}
POPSPARSE_DEVICE int clusterRank() {
  int found;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(found));
  return found;
}

// A float of the shared memory of another block of the cluster, at the address that it has in this one.
POPSPARSE_DEVICE float loadOfCluster(uint32_t address, int rank) {
  float found;
  asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %1, %2;\nld.shared::cluster.f32 %0, [there];\n}"
               : "=f"(found)
               : "r"(address), "r"(rank)
               : "memory");
  return found;
}

// Waits for every thread of the cluster.
POPSPARSE_DEVICE void clusterSync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}
#else // never called: Machine::kTensorMaps is false there
POPSPARSE_DEVICE void barrierInitFence() {}
POPSPARSE_DEVICE void barrierExpect(uint32_t, uint32_t) {
  __trap();
}
POPSPARSE_DEVICE void tensorCopy(uint32_t, const TensorMap *, int, int, uint32_t) {
  __trap();
}
POPSPARSE_DEVICE void tensorCopyToAll(uint32_t, const TensorMap *, int, int, uint32_t, uint16_t) {
  __trap();
}
POPSPARSE_DEVICE void barrierArriveAt(uint32_t, int) {
  __trap();
}
POPSPARSE_DEVICE int clusterSize() {
  return 1;
}
POPSPARSE_DEVICE int clusterRank() {
  return 0;
}
POPSPARSE_DEVICE float loadOfCluster(uint32_t, int) {
  __trap();
  return 0.0f;
}
POPSPARSE_DEVICE void clusterSync() {}

POPSPARSE_DEVICE void barrierWait(uint32_t barrier, uint32_t parity) {
  asm volatile("{\n.reg .pred over;\nagain:\nmbarrier.test_wait.parity.shared::cta.b64 over, [%0], %1;\n"
               "@over bra done;\nbra again;\ndone:\n}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}
#endif

// --- cp.async: 16 bytes from a 16-byte aligned address, those after the first `bytes` as zeros

POPSPARSE_DEVICE void asyncCopy(uint32_t to, const void *from, uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

// Arrives at the barrier when all earlier copies of this thread are there.
POPSPARSE_DEVICE void asyncCopyArrive(uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

POPSPARSE_DEVICE void asyncCopyCommit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most `groups` of this thread's committed groups are under way.
template <int groups> POPSPARSE_DEVICE void asyncCopyWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

// --- 8 x 8 matrices of 16-bit elements in shared memory; each lane names the address of one row of 16 bytes

POPSPARSE_DEVICE void loadMatrices(uint32_t address, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

POPSPARSE_DEVICE void loadMatricesTransposed(uint32_t address, uint32_t (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

POPSPARSE_DEVICE void loadMatricesTransposed(uint32_t address, uint32_t (&to)[2]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(to[0]), "=r"(to[1])
               : "r"(address)
               : "memory");
}

// The transpose of an 8 x 8 matrix that lies over the warp, two neighbours of a row in each lane.
POPSPARSE_DEVICE uint32_t transposeMatrix(uint32_t row) {
  uint32_t column;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(column) : "r"(row));
  return column;
}

// 4 bytes of shared memory.
POPSPARSE_DEVICE uint32_t loadShared(uint32_t address) {
  uint32_t found;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(found) : "r"(address) : "memory");
  return found;
}

POPSPARSE_DEVICE void storeShared(uint32_t address, float value) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
}

// --- registers of a warpgroup: all its warps must call the same

template <int count> POPSPARSE_DEVICE void lowerRegisters() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
#endif
}

template <int count> POPSPARSE_DEVICE void raiseRegisters() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
#endif
}

POPSPARSE_DEVICE float notANumber() {
  return __int_as_float(0x7fffffff);
}

// --- loads of what no kernel writes

// 8 or 16 bytes that are read once: they take no place in the first cache.
POPSPARSE_DEVICE uint2 loadOnce(const uint2 *from) {
  uint2 found;
  asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(found.x), "=r"(found.y) : "l"(from));
  return found;
}

POPSPARSE_DEVICE uint4 loadOnce(const uint4 *from) {
  uint4 found;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(found.x), "=r"(found.y), "=r"(found.z), "=r"(found.w)
               : "l"(from));
  return found;
}

template <class T> POPSPARSE_DEVICE T loadConstant(const T *from) {
  return __ldg(from);
}

// --- memory that kernels write and read again

template <class T> POPSPARSE_DEVICE T loadWritten(const T *from) {
  return *from;
}

template <class T> POPSPARSE_DEVICE void store(T *to, T value) {
  *to = value;
}

// Sets bits in one step; what was there before.
POPSPARSE_DEVICE uint32_t orInto(uint32_t *at, uint32_t bits) {
  return atomicOr(at, bits);
}

// --- bits, and sums over a warp: all its lanes must call the same

POPSPARSE_DEVICE uint32_t populationCount(uint32_t bits) {
  return static_cast<uint32_t>(__popc(bits));
}

POPSPARSE_DEVICE uint32_t sumOfLanes(uint32_t value) {
  return __reduce_add_sync(0xffffffff, value);
}

POPSPARSE_DEVICE uint32_t sumOfLanesBefore(uint32_t value) {
  uint32_t sum = value;
#pragma unroll
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const uint32_t earlier = __shfl_up_sync(0xffffffff, sum, distance);
    sum += threadIdx.x % 32 >= distance ? earlier : 0;
  }
  return sum - value;
}

} // namespace popsparse_py::cuda

#endif
