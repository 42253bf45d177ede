// values = dY X^T at W's blocks (16-bit elements): a block of threads holds up to 128 cells of 16 x 16 in registers and
// passes once over n with the rows of dY and of X that its cells need.
#ifndef POPSPARSE_PY_CUDA_SAMPLED_CUH
#define POPSPARSE_PY_CUDA_SAMPLED_CUH

#include "epilogue.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

constexpr int kSampledWarps = 8;
constexpr int kSampledThreads = kSampledWarps * kLanes;
constexpr int kSampledSlots = 16;   // cells of a warp
constexpr int kSampledColumns = 32; // of dY and X in a stage
constexpr int kSampledStages = 2;
constexpr int kPanelRows = 16, kPanelBytes = kPanelRows * kSampledColumns * 2;
constexpr uint32_t kNoCell = 0xffffffff;

// Address of 16 bytes of a panel; the swizzle keeps the 8 rows of a matrix in different banks.
POPSPARSE_DEVICE uint32_t panelChunk(uint32_t panel, int row, int chunk) {
  return panel + static_cast<uint32_t>(row * kSampledColumns * 2 + (chunk ^ (row / 2 & 3)) * 16);
}

template <class Element> struct SampledProduct {
  float sums[kSampledSlots][2][4];
  uint32_t panels[kSampledSlots]; // of dY | of X << 16

  POPSPARSE_DEVICE void start(const SampledArguments &arguments, int warp) {
#pragma unroll
    for (int s = 0; s < kSampledSlots; ++s) {
      panels[s] = loadConstant(arguments.cells + static_cast<int64_t>(warp) * kSampledSlots + s).x;
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        sums[s][e / 4][e % 4] = 0.0f;
      }
    }
  }

  POPSPARSE_DEVICE void multiply(uint32_t stage) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
    for (int s = 0; s < kSampledSlots; ++s) {
      if (panels[s] == kNoCell) { // the same for the whole warp
        continue;
      }
      const uint32_t dy = stage + (panels[s] & 0xffff) * kPanelBytes, x = stage + (panels[s] >> 16) * kPanelBytes;
#pragma unroll
      for (int step = 0; step < kSampledColumns / 16; ++step) {
        uint32_t a[4], b[4];
        loadMatrices(panelChunk(dy, lane % 16, 2 * step + lane / 16), a);
        loadMatrices(panelChunk(x, lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2), b);
        Element::multiply(sums[s][0], a, b[0], b[1]);
        Element::multiply(sums[s][1], a, b[2], b[3]);
      }
    }
  }

  POPSPARSE_DEVICE void store(const SampledArguments &arguments, int warp) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    uint16_t *values = static_cast<uint16_t *>(const_cast<void *>(arguments.product.values));
#pragma unroll
    for (int s = 0; s < kSampledSlots; ++s) {
      if (panels[s] == kNoCell) {
        continue;
      }
      const int64_t offset = loadConstant(arguments.cells + static_cast<int64_t>(warp) * kSampledSlots + s).y;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = lane / 4 + e % 2 * 8, column = lane % 4 * 2 + e / 2 * 8;
        const uint32_t both = Element::pack(sums[s][e / 2][e % 2 * 2], sums[s][e / 2][e % 2 * 2 + 1]);
        if (arguments.places == nullptr) {
          *reinterpret_cast<uint32_t *>(values + offset * 16 + row * arguments.valuePitch + column) = both;
          continue;
        }
        const int32_t *place = arguments.places + offset * 256 + row * 16 + column;
        const int32_t first = loadConstant(place), second = loadConstant(place + 1);
        if (first >= 0) {
          values[first] = static_cast<uint16_t>(both);
        }
        if (second >= 0) {
          values[second] = static_cast<uint16_t>(both >> 16);
        }
      }
    }
  }
};

// Columns [column, column + kSampledColumns) of the panels that this block of threads needs, zeros beyond the edges.
POPSPARSE_DEVICE void copyPanels(const SampledArguments &arguments, const int32_t *panels, int count, int countOfDy,
                                 int column, uint32_t stage) {
  const Product &product = arguments.product;
  constexpr int kChunks = kSampledColumns / 8, kOfPanel = kPanelRows * kChunks;
  for (int i = static_cast<int>(threadIdx.x); i < count * kOfPanel; i += kSampledThreads) {
    const int panel = i / kOfPanel, r = i % kOfPanel / kChunks, c = i % kChunks;
    const bool ofDy = panel < countOfDy;
    const int row = loadConstant(panels + panel) + r, first = column + 8 * c;
    const int columns = row < (ofDy ? product.m : product.k) ? product.n - first : 0;
    const uint32_t bytes = columns <= 0 ? 0u : columns >= 8 ? 16u : static_cast<uint32_t>(columns) * 2;
    const uint16_t *matrix = static_cast<const uint16_t *>(ofDy ? product.y : product.x);
    const int64_t element = bytes ? row * (ofDy ? product.yPitch : product.xPitch) + first : 0;
    asyncCopy(panelChunk(stage + static_cast<uint32_t>(panel * kPanelBytes), r, c), matrix + element, bytes);
  }
  asyncCopyCommit();
}

// Grid: (1, CTAs). See SampledArguments.
template <class Element> POPSPARSE_DEVICE void multiplySampled(const SampledArguments &arguments) {
  const uint32_t base = sharedAddress(sharedMemory());
  const uint32_t *begins = arguments.begins + 3 * static_cast<int64_t>(blockIdx.y);
  const int begin = static_cast<int>(loadConstant(begins)), ofDy = static_cast<int>(loadConstant(begins + 1));
  const int count = static_cast<int>(loadConstant(begins + 2));
  if (count == 0) { // nothing was left for this block of threads
    return;
  }
  const int warp = static_cast<int>(blockIdx.y) * kSampledWarps + static_cast<int>(threadIdx.x) / kLanes;
  const int stages = (arguments.product.n + kSampledColumns - 1) / kSampledColumns;
  const uint32_t stageBytes = static_cast<uint32_t>(arguments.stageBytes);
  SampledProduct<Element> product;
  product.start(arguments, warp);
  copyPanels(arguments, arguments.panels + begin, count, ofDy, 0, base);
#pragma unroll 1
  for (int s = 0; s < stages; ++s) {
    asyncCopyWait<0>();
    __syncthreads(); // everybody's copies are there, and nobody reads the other stage any more
    if (s + 1 < stages) {
      copyPanels(arguments, arguments.panels + begin, count, ofDy, (s + 1) * kSampledColumns,
                 base + static_cast<uint32_t>(s + 1) % kSampledStages * stageBytes);
    }
    product.multiply(base + static_cast<uint32_t>(s) % kSampledStages * stageBytes);
  }
  product.store(arguments, warp);
}

} // namespace popsparse_py::cuda

#endif
