// A ring of slabs of X in shared memory: one warpgroup fills it, eight warps read it, each at its own pace. The blocks
// of a cluster have the same columns: each copies its share of a slab to all of them.
#ifndef POPSPARSE_PY_CUDA_SLAB_RING_CUH
#define POPSPARSE_PY_CUDA_SLAB_RING_CUH

#include "arguments.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

// Address of 16 bytes of a slab: those of `chunk` (8 columns) of `row`, under the 128-byte swizzle.
POPSPARSE_DEVICE uint32_t slabChunk(uint32_t slab, int row, int chunk) {
  return slab + static_cast<uint32_t>(row * 128 + (chunk ^ (row & 7)) * 16);
}

template <class Machine> class SlabRing {
public:
  // The two barriers of each stage lie behind the slabs.
  static constexpr int kBytes = kStages * (kSlabBytes + 16);

  POPSPARSE_DEVICE explicit SlabRing(const Product &product)
      : base(sharedAddress(sharedMemory())), slabs((product.k + kSlabRows - 1) / kSlabRows), current(-1),
        cluster(Machine::kClusters ? clusterSize() : 1) {}

  // Called by every thread before anything else.
  POPSPARSE_DEVICE void prepare() {
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        barrierInit(full(stage), Machine::kTensorMaps ? 1 : kProducerWarps * kLanes);
        barrierInit(empty(stage), static_cast<uint32_t>(kConsumerWarps * cluster));
      }
      barrierInitFence();
    }
    together();
  }

  // Waits for every thread of the block, and of its cluster: at the start for the barriers, at the end because copies
  // and arrivals of others reach into this block's memory.
  POPSPARSE_DEVICE void together() {
    if constexpr (Machine::kClusters) {
      clusterSync();
    } else {
      __syncthreads();
    }
  }

  // Fills the ring with the slabs of columns [column, column + kSlabColumns): called by the producers.
  POPSPARSE_DEVICE void produce(const Product &product, int column) {
    const int thread = static_cast<int>(threadIdx.x) - kConsumerWarps * kLanes;
    if (Machine::kTensorMaps && thread != 0) {
      return;
    }
    for (int slab = 0; slab < slabs; ++slab) {
      const int stage = slab % kStages;
      if (slab >= kStages) {
        barrierWait(empty(stage), static_cast<uint32_t>(slab / kStages + 1) & 1);
      }
      if constexpr (Machine::kTensorMaps) {
        barrierExpect(full(stage), kSlabBytes);
        copyShare(product, column, slab * kSlabRows, stage);
      } else {
        copySlab(product, column, slab * kSlabRows, memory(stage), thread);
        asyncCopyArrive(full(stage));
      }
    }
  }

  // Lets go of every slab before `slab` and waits for it; its address. Slabs are asked for in ascending order.
  POPSPARSE_DEVICE uint32_t reach(int slab) {
    while (current < slab) {
      if (current >= 0) {
        release(current % kStages);
      }
      ++current;
      barrierWait(full(current % kStages), static_cast<uint32_t>(current / kStages) & 1);
    }
    return memory(current % kStages);
  }

  // Waits for the last slab: no copy may be under way when the block of threads ends.
  POPSPARSE_DEVICE void finish() { reach(slabs - 1); }

private:
  POPSPARSE_DEVICE uint32_t memory(int stage) const { return base + static_cast<uint32_t>(stage * kSlabBytes); }
  POPSPARSE_DEVICE uint32_t full(int stage) const {
    return base + static_cast<uint32_t>(kStages * kSlabBytes + 16 * stage);
  }
  POPSPARSE_DEVICE uint32_t empty(int stage) const { return full(stage) + 8; }

  // This block's share of a slab, to every block of the cluster.
  POPSPARSE_DEVICE void copyShare(const Product &product, int column, int row, int stage) {
    if constexpr (Machine::kClusters) {
      const int rows = kSlabRows / cluster, first = rows * clusterRank();
      const uint32_t to = memory(stage) + static_cast<uint32_t>(first * 128);
      tensorCopyToAll(to, &product.xMap, column, row + first, full(stage), static_cast<uint16_t>((1 << cluster) - 1));
    } else {
      tensorCopy(memory(stage), &product.xMap, column, row, full(stage));
    }
  }

  // Tells every block that copies here that this warp has read a stage.
  POPSPARSE_DEVICE void release(int stage) {
    __syncwarp();
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    if (lane < cluster) {
      if constexpr (Machine::kClusters) {
        barrierArriveAt(empty(stage), lane);
      } else {
        barrierArrive(empty(stage));
      }
    }
  }

  // A slab by copies of 16 bytes, zeros beyond the edges of X.
  static POPSPARSE_DEVICE void copySlab(const Product &product, int column, int row, uint32_t to, int thread) {
    constexpr int kChunks = kSlabColumns / 8;
    const char *x = static_cast<const char *>(product.x);
    for (int i = thread; i < kSlabRows * kChunks; i += kProducerWarps * kLanes) {
      const int r = i / kChunks, c = i % kChunks, first = column + 8 * c;
      const int columns = row + r < product.k ? product.n - first : 0;
      const uint32_t bytes = columns <= 0 ? 0u : columns >= 8 ? 16u : static_cast<uint32_t>(columns) * 2;
      const int64_t element = bytes ? (row + r) * product.xPitch + first : 0;
      asyncCopy(slabChunk(to, r, c), x + element * 2, bytes);
    }
  }

  uint32_t base;
  int slabs, current, cluster;
};

// Producers fill the ring; the consumers each run consume(ring, warp, first column).
template <class Machine, class Consume>
POPSPARSE_DEVICE void overSlabs(const Product &product, const Consume &consume) {
  SlabRing<Machine> ring(product);
  ring.prepare();
  const int column = static_cast<int>(blockIdx.x) * kSlabColumns, warp = static_cast<int>(threadIdx.x) / kLanes;
  if (warp >= kConsumerWarps) {
    lowerRegisters<Machine::kProducerRegisters>();
    ring.produce(product, column);
  } else {
    raiseRegisters<Machine::kConsumerRegisters>();
    consume(ring, warp, column);
  }
  if constexpr (Machine::kClusters) {
    ring.together();
  }
}

} // namespace popsparse_py::cuda

#endif
