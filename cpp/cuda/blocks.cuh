// Y = W X with blocks of 64 rows and more (16-bit elements, sm_90a): as rows.cuh, by warpgroups. W's block comes to
// registers as the left operand of WGMMA, the slab of X is its right operand where it lies.
#ifndef POPSPARSE_PY_CUDA_BLOCKS_CUH
#define POPSPARSE_PY_CUDA_BLOCKS_CUH

#include "rows.cuh"

namespace popsparse_py::cuda {

constexpr int kBlockSide = 64;
constexpr int kGroupWarps = 4; // of a warpgroup
constexpr int kGroups = kConsumerWarps / kGroupWarps;

// Where 16 rows of a slab, from `row` on, lie as the right operand of WGMMA, under the 128-byte swizzle (PTX ISA,
// matrix descriptor): panels of 64 columns, rows 128 bytes apart in groups of 8; by rows, lines of columns in groups
// of 8.
template <class Shape> POPSPARSE_DEVICE uint64_t slabDescriptor(uint32_t slab, int row) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62, kEightLines = uint64_t{1024 >> 4} << 32;
  constexpr uint64_t kPanel = (Shape::kByRows ? uint64_t{1} : uint64_t{Shape::kPanelBytes >> 4}) << 16;
  const uint32_t address = slab + static_cast<uint32_t>(row * (Shape::kByRows ? Shape::kElementBytes : 128));
  return kSwizzle128 | kEightLines | kPanel | ((address >> 4) & 0x3fff);
}

// A block of 64 x 64, of which a warp holds 16 rows of Y. k stands in the order that the descriptor of X names.
template <bool transposed> struct WideBlock {
  static constexpr int kSteps = kBlockSide / 16;
  uint32_t parts[kSteps][4]; // as they lie: [step along k], or pairs of rows of W to be transposed

  POPSPARSE_DEVICE void load(const void *values, uint32_t offset, int64_t pitch) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes,
              rows = static_cast<int>(threadIdx.x) / kLanes % kGroupWarps * 16;
    const uint16_t *first = static_cast<const uint16_t *>(values) + static_cast<int64_t>(offset) * 16;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      if constexpr (transposed) {
        const uint16_t *row = first + (16 * step + lane / 4) * pitch + rows + 4 * (lane % 4);
        const uint2 upper = loadOnce(reinterpret_cast<const uint2 *>(row));
        const uint2 lower = loadOnce(reinterpret_cast<const uint2 *>(row + 8 * pitch));
        parts[step][0] = upper.x, parts[step][1] = upper.y;
        parts[step][2] = lower.x, parts[step][3] = lower.y;
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const uint16_t *pair = first + (rows + lane / 4 + e % 2 * 8) * pitch + 16 * step + e / 2 * 8 + 2 * (lane % 4);
          parts[step][e] = loadConstant(reinterpret_cast<const uint32_t *>(pair));
        }
      }
    }
  }

  POPSPARSE_DEVICE void operand(int step, uint32_t (&a)[4]) const {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      a[e] = transposed ? transposeMatrix(parts[step][e]) : parts[step][e];
    }
  }
};

template <class Element, class Machine, class Slab, bool transposed> struct BlocksProduct {
  using Block = WideBlock<transposed>;
  using Shape = Slab;
  using Ring = SlabRing<Machine, Shape>;
  static constexpr int kTiles = Shape::kColumns / 8;
  static_assert(Machine::kAccumulators == kTiles * 4, "a warpgroup owns one group of rows");
  float sums[kTiles][4];

  POPSPARSE_DEVICE void clear() {
#pragma unroll
    for (int e = 0; e < kTiles * 4; ++e) {
      sums[e / 4][e % 4] = 0.0f;
    }
  }

  POPSPARSE_DEVICE void multiply(const Block &block, uint32_t slab, int kRow) {
    uint32_t a[Block::kSteps][4];
#pragma unroll
    for (int step = 0; step < Block::kSteps; ++step) {
      block.operand(step, a[step]);
    }
    groupFence();
#pragma unroll
    for (int step = 0; step < Block::kSteps; ++step) {
      Element::template multiplyGroup<Shape::kByRows>(sums, a[step], slabDescriptor<Shape>(slab, kRow + 16 * step));
    }
    groupFinish(); // before the slab, or the registers of the block, are used for anything else
  }

  POPSPARSE_DEVICE void stream(const RowsArguments &arguments, Ring &ring, uint32_t begin, uint32_t end) {
    Block next;
    uint2 place = begin < end ? loadConstant(arguments.stream + begin) : uint2{};
    if (begin < end) {
      next.load(arguments.product.values, place.y, arguments.valuePitch);
    }
#pragma unroll 1
    for (uint32_t i = begin; i < end; ++i) {
      const Block block = next;
      const uint32_t where = place.x;
      if (i + 1 < end) {
        place = loadConstant(arguments.stream + i + 1);
        next.load(arguments.product.values, place.y, arguments.valuePitch);
      }
      const int row = static_cast<int>(where & 0xffffff);
      multiply(block, ring.reach(row / Shape::kRows), row % Shape::kRows);
    }
  }

  POPSPARSE_DEVICE void store(const RowsArguments &arguments, int group, int firstColumn) {
    const int rows = static_cast<int>(threadIdx.x) / kLanes % kGroupWarps * 16;
    const int first = loadConstant(arguments.rows + group), row = first < 0 ? -1 : first + rows;
    storeRows<Element, RowsBlock<16, transposed>, Shape>(arguments.product, row, firstColumn, sums);
  }
};

// Grid: (ceil(n / columns of a slab), row groups). See RowsArguments, with warpgroups in place of warps.
template <class Element, class Machine, class Slab, bool transposed>
POPSPARSE_DEVICE void multiplyBlocks(const RowsArguments &arguments) {
  using Work = BlocksProduct<Element, Machine, Slab, transposed>;
  overSlabs<Machine, typename Work::Shape>(arguments.product, arguments.list, [&](auto &ring, int warp, int column) {
    const int group = static_cast<int>(blockIdx.y) * kGroups + warp / kGroupWarps;
    Work product;
    product.clear();
    product.stream(arguments, ring, loadConstant(arguments.begins + group), loadConstant(arguments.begins + group + 1));
    ring.finish();
    product.store(arguments, group, column);
  });
}

} // namespace popsparse_py::cuda

#endif
