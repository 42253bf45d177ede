// A ring of slabs of X in shared memory: one warpgroup fills it, eight warps read it, each at its own pace. The blocks
// of a cluster have the same columns and the same list of slabs: each copies its share of a slab to all of them.
#ifndef POPSPARSE_PY_CUDA_SLAB_RING_CUH
#define POPSPARSE_PY_CUDA_SLAB_RING_CUH

#include "arguments.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

// Address of 16 bytes of a panel: those of `chunk` (of 8) of a line, under the 128-byte swizzle.
POPSPARSE_DEVICE uint32_t slabChunk(uint32_t panel, int line, int chunk) {
  return panel + static_cast<uint32_t>(line * 128 + (chunk ^ (line & 7)) * 16);
}

// A slab lies as its panels, one behind the other, each `Shape::kLines` lines of 128 bytes.
template <class Machine, class Shape = NarrowSlab> class SlabRing {
public:
  static constexpr int kStages = Machine::kSlabsBytes / Shape::kBytes;
  // Slabs, one behind the other, that a reader may keep. It waits for a slab with one less in its hands, so that the
  // slowest reader, with all others at its slab or further, always finds its next slab's stage free: a span < kStages.
  static constexpr int kSpan = kStages * 2 / 3;
  // The two barriers of each stage lie behind the slabs.
  static constexpr int kBytes = kStages * (Shape::kBytes + 16);

  // Both are the kernel's arguments: they are looked up again where they are needed, as registers are scarce.
  POPSPARSE_DEVICE SlabRing(const Product &ofX, const SlabList &ofSlabs)
      : product(ofX), list(ofSlabs), base(sharedAddress(sharedMemory())), current(-1),
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

  // Fills the ring with the slabs of columns [column, column + Shape::kColumns): called by the producers.
  POPSPARSE_DEVICE void produce(int column) {
    const int thread = static_cast<int>(threadIdx.x) - kConsumerWarps * kLanes;
    if (Machine::kTensorMaps && thread != 0) {
      return;
    }
    const int slabs = count();
    const int32_t *listed = list.slabs == nullptr ? nullptr : list.slabs + loadConstant(listBegin());
    int next = listed != nullptr && slabs > 0 ? loadConstant(listed) : 0;
    for (int position = 0; position < slabs; ++position) {
      const int stage = position % kStages, row = next * Shape::kRows;
      next = position + 1;
      if (listed != nullptr && next < slabs) {
        next = loadConstant(listed + next);
      }
      if (position >= kStages) {
        barrierWait(empty(stage), static_cast<uint32_t>(position / kStages + 1) & 1);
      }
      if constexpr (Machine::kTensorMaps) {
        barrierExpect(full(stage), Shape::kBytes);
        copyShare(column, row, stage);
      } else {
        copySlab(column, row, memory(stage), thread);
        asyncCopyArrive(full(stage));
      }
    }
  }

  // Waits for the slab at `position` and keeps those less than `span` before it, no others; its address. Slabs are
  // asked for in ascending order, always with the same span.
  template <int span = 1> POPSPARSE_DEVICE uint32_t reach(int position) {
    static_assert(span <= kSpan, "readers would wait for one another");
    while (current < position) {
      if (current >= span - 1) {
        release((current - span + 1) % kStages);
      }
      ++current;
      barrierWait(full(current % kStages), static_cast<uint32_t>(current / kStages) & 1);
    }
    return memory(current % kStages);
  }

  // Waits for the last slab: no copy may be under way when the block of threads ends.
  template <int span = 1> POPSPARSE_DEVICE void finish() { reach<span>(count() - 1); }

  POPSPARSE_DEVICE uint32_t memory(int stage) const { return base + static_cast<uint32_t>(stage * Shape::kBytes); }

private:
  POPSPARSE_DEVICE uint32_t full(int stage) const {
    return base + static_cast<uint32_t>(kStages * Shape::kBytes + 16 * stage);
  }
  POPSPARSE_DEVICE uint32_t empty(int stage) const { return full(stage) + 8; }

  // Where this cluster's part of the list begins.
  POPSPARSE_DEVICE const uint32_t *listBegin() const { return list.begins + static_cast<int>(blockIdx.y) / cluster; }

  // Slabs that pass.
  POPSPARSE_DEVICE int count() const {
    return list.slabs == nullptr ? (product.k + Shape::kRows - 1) / Shape::kRows
                                 : static_cast<int>(loadConstant(listBegin() + 1) - loadConstant(listBegin()));
  }

  // This block's share of a slab, to every block of the cluster.
  POPSPARSE_DEVICE void copyShare(int column, int row, int stage) {
    constexpr int kOfLine = 128 / Shape::kElementBytes;
    const int inner = Shape::kByRows ? row : column, outer = Shape::kByRows ? column : row;
#pragma unroll
    for (int p = 0; p < Shape::kPanels; ++p) {
      const uint32_t to = memory(stage) + static_cast<uint32_t>(p * Shape::kPanelBytes);
      const int first = inner + p * kOfLine;
      if constexpr (Machine::kClusters) {
        const int lines = Shape::kLines / cluster, share = lines * clusterRank();
        tensorCopyToAll(to + static_cast<uint32_t>(share * 128), &product.xMap, first, outer + share, full(stage),
                        static_cast<uint16_t>((1 << cluster) - 1));
      } else {
        tensorCopy(to, &product.xMap, first, outer, full(stage));
      }
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
  POPSPARSE_DEVICE void copySlab(int column, int row, uint32_t to, int thread) {
    constexpr int kChunks = 8 * Shape::kPanels, kOfChunk = 16 / Shape::kElementBytes;
    const int inner = Shape::kByRows ? row : column, outer = Shape::kByRows ? column : row;
    const int inners = Shape::kByRows ? product.k : product.n, outers = Shape::kByRows ? product.n : product.k;
    const char *x = static_cast<const char *>(product.x);
    for (int i = thread; i < Shape::kLines * kChunks; i += kProducerWarps * kLanes) {
      const int line = i / kChunks, c = i % kChunks, first = inner + kOfChunk * c;
      const int left = outer + line < outers ? inners - first : 0;
      const int held = left <= 0 ? 0 : left >= kOfChunk ? kOfChunk : left;
      const int64_t element = held > 0 ? (outer + line) * product.xPitch + first : 0;
      asyncCopy(slabChunk(to + static_cast<uint32_t>(c / 8 * Shape::kPanelBytes), line, c % 8),
                x + element * Shape::kElementBytes, static_cast<uint32_t>(held * Shape::kElementBytes));
    }
  }

  const Product &product;
  const SlabList &list;
  uint32_t base;
  int current, cluster;
};

// Producers fill the ring with the slabs of the list; the consumers each run consume(ring, warp, first column).
template <class Machine, class Shape, class Consume>
POPSPARSE_DEVICE void overSlabs(const Product &product, const SlabList &list, const Consume &consume) {
  SlabRing<Machine, Shape> ring(product, list);
  ring.prepare();
  const int column = static_cast<int>(blockIdx.x) * Shape::kColumns, warp = static_cast<int>(threadIdx.x) / kLanes;
  if (warp >= kConsumerWarps) {
    lowerRegisters<Machine::kProducerRegisters>();
    ring.produce(column);
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
