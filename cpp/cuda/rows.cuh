// Y = W X with blocks of 16 rows and more (16-bit elements): a warp owns rows of W, whose sums stay in its registers,
// and multiplies every slab of X that passes by with the blocks that it holds there. Values are read as they lie.
#ifndef POPSPARSE_PY_CUDA_ROWS_CUH
#define POPSPARSE_PY_CUDA_ROWS_CUH

#include "epilogue.cuh"
#include "slab_ring.cuh"

namespace popsparse_py::cuda {

// One block of `side` x `side` as the left operand of MMA, in pieces of 16 x 16, and where it belongs. A lane holds
// four neighbours of a row, not the two pairs 8 columns apart that MMA names: k is taken in another order, the same for
// X. Where X lies by rows (n, k) its order cannot be changed, and the two pairs are loaded.
template <int side, bool transposed, bool byRows = false> struct RowsBlock {
  static constexpr int kPieces = side / 16, kDepth = 16; // of X's rows in a step
  static constexpr int kAhead = side == 16 ? 4 : 1;      // blocks whose values are under way
  // Whether rows of X are kept for the next block, and steps of it take the registers of those in use.
  static constexpr bool kKeepsX = true, kInPlace = false;
  static constexpr bool kPairs = byRows && !transposed;
  uint2 upper[kPieces][kPieces], lower[kPieces][kPieces]; // [piece of W's rows][of W's columns], as they lie

  POPSPARSE_DEVICE void load(const void *values, uint32_t offset, int64_t pitch) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const uint16_t *first = static_cast<const uint16_t *>(values) + static_cast<int64_t>(offset) * 16;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
#pragma unroll
      for (int j = 0; j < kPieces; ++j) {
        const uint16_t *row = first + (16 * i + lane / 4) * pitch + 16 * j + (kPairs ? 2 : 4) * (lane % 4);
        upper[i][j] = loadFour(row);
        lower[i][j] = loadFour(row + 8 * pitch);
      }
    }
  }

  static POPSPARSE_DEVICE uint2 loadFour(const uint16_t *from) {
    if constexpr (kPairs) {
      const auto pairAt = [from](int k) { return loadConstant(reinterpret_cast<const uint32_t *>(from + k)); };
      return uint2{pairAt(0), pairAt(8)};
    } else {
      return loadOnce(reinterpret_cast<const uint2 *>(from));
    }
  }

  // The left operand of 16 rows of Y and 16 of X.
  POPSPARSE_DEVICE void operand(int rows, int step, uint32_t (&a)[4]) const {
    if constexpr (transposed) {
      const uint2 up = upper[step][rows], low = lower[step][rows];
      a[0] = transposeMatrix(up.x);
      a[1] = transposeMatrix(up.y);
      a[2] = transposeMatrix(low.x);
      a[3] = transposeMatrix(low.y);
    } else {
      const uint2 up = upper[rows][step], low = lower[rows][step];
      const bool swapped = !kPairs && (threadIdx.x & 2); // so that the 8 rows of X of a matrix lie in 8 different banks
      a[0] = swapped ? up.y : up.x;
      a[1] = swapped ? low.y : low.x;
      a[2] = swapped ? up.x : up.y;
      a[3] = swapped ? low.x : low.y;
    }
  }

  // The row of X, of 16, whose address this lane names, for row `lane % 16` of the right operand.
  static POPSPARSE_DEVICE int xRow() {
    const int row = static_cast<int>(threadIdx.x) % 16;
    const int pair = row % 8 / 2;
    return transposed ? row : 4 * pair + 2 * (row / 8 ^ pair / 2) + row % 2;
  }

  // The right operand: rows [first, first + 16) of a slab of X.
  template <class Shape, int tiles>
  static POPSPARSE_DEVICE void loadX(uint32_t slab, int first, uint32_t (&to)[tiles][2]) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
    for (int j = 0; j < tiles; j += 2) {
      uint32_t two[4];
      if constexpr (byRows) {
        const uint32_t panel = slab + static_cast<uint32_t>(first / Shape::kPanelRows * Shape::kPanelBytes);
        const int chunk = first % Shape::kPanelRows / 8 + lane / 8 % 2;
        loadMatrices(slabChunk(panel, 8 * j + lane / 16 * 8 + lane % 8, chunk), two);
      } else {
        const uint32_t panel = slab + static_cast<uint32_t>(j / 8 * Shape::kPanelBytes);
        loadMatricesTransposed(slabChunk(panel, first + xRow(), j % 8 + lane / 16), two);
      }
      to[j][0] = two[0], to[j][1] = two[1], to[j + 1][0] = two[2], to[j + 1][1] = two[3];
    }
  }

  // The row of Y, of 16, that rows `lane / 4` and, with second, `lane / 4 + 8` of the sums are, kOn from one to the
  // other.
  static constexpr int kOn = transposed ? 2 : 8;
  static POPSPARSE_DEVICE int yRow(int second) {
    const int row = static_cast<int>(threadIdx.x) % kLanes / 4;
    return (transposed ? 4 * (row / 2) + row % 2 : row) + kOn * second;
  }

  // The row of Y that row 2 * (lane % 4) of the sums is; the next is its neighbour.
  static POPSPARSE_DEVICE int pairRow() { return static_cast<int>(threadIdx.x) % 4 * (transposed ? 4 : 2); }
};

// 16 rows of Y from `first` on, -1: none.
template <class Element, class Block, class Shape, int tiles>
POPSPARSE_DEVICE void storeRows(const Product &product, int first, int firstColumn, const float (&sums)[tiles][4]) {
  if constexpr (Shape::kByRows) {
    const int row = first < 0 ? -1 : first + Block::yRow(0);
    storeTurned<Element>(product, row, first + Block::pairRow(), Block::kOn, firstColumn, sums);
  } else {
    const int column = firstColumn + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      storeRow<Element>(product, first < 0 ? -1 : first + Block::yRow(half), column, sums, half);
    }
  }
}

// The blocks of a type of elements.
template <class Element, int side, bool transposed, bool byRows> struct RowsScheme {
  using Block = RowsBlock<side, transposed, byRows>;
};

template <class Element, class Machine, class Slab, int side, bool transposed> struct RowsProduct {
  using Block = typename RowsScheme<Element, side, transposed, Slab::kByRows>::Block;
  using Shape = Slab;
  using Ring = SlabRing<Machine, Shape>;
  static constexpr int kTiles = Shape::kColumns / 8, kPieces = side / 16;
  static constexpr int kSlots = Machine::kAccumulators / (kTiles * 4 * kPieces);
  static constexpr int kAhead = Block::kAhead, kSteps = side / Block::kDepth;
  float sums[kSlots][kPieces][kTiles][4];
  static constexpr bool kShares = Block::kKeepsX && kSlots > 1; // X's rows may be the same for blocks of several slots
  uint32_t x[kShares ? kSteps : 1][kTiles][2]; // rows of X as the right operand, those that were multiplied last
  int held;                                    // the first of them, as the stream names it, -1: none

  POPSPARSE_DEVICE void clear() {
    held = -1;
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
#pragma unroll
      for (int r = 0; r < kPieces; ++r) {
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            sums[s][r][j][e] = 0.0f;
          }
        }
      }
    }
  }

  // A block times `side` rows of X, which are those of the block before where `held` says so. used(step): called when a
  // step of the block has been read for the last time.
  template <class Used>
  POPSPARSE_DEVICE void multiply(const Block &block, Ring &ring, int row, int slot, const Used &used) {
    const bool same = kShares && row == held;
    const uint32_t slab = same ? 0 : ring.reach(row / Shape::kRows);
    held = row;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint32_t(&b)[kTiles][2] = x[kShares ? step : 0];
      if (!same) { // the same for the whole warp
        Block::template loadX<Shape>(slab, row % Shape::kRows + Block::kDepth * step, b);
      }
      uint32_t a[kPieces][4];
#pragma unroll
      for (int r = 0; r < kPieces; ++r) {
        block.operand(r, step, a[r]);
      }
      used(step);
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        if (slot == s) { // accumulators can only be named, not indexed
#pragma unroll
          for (int r = 0; r < kPieces; ++r) {
#pragma unroll
            for (int j = 0; j < kTiles; ++j) {
              Element::multiply(sums[s][r][j], a[r], b[j][0], b[j][1]);
            }
          }
        }
      }
    }
  }

  // Blocks [begin, end) of the stream, values of kAhead blocks and places of twice as many under way.
  POPSPARSE_DEVICE void stream(const RowsArguments &arguments, Ring &ring, uint32_t begin, uint32_t end) {
    Block blocks[kAhead];
    uint2 places[kAhead], later[kAhead];
#pragma unroll
    for (int p = 0; p < kAhead; ++p) {
      places[p] = begin + p < end ? loadConstant(arguments.stream + begin + p) : uint2{};
      later[p] = begin + p + kAhead < end ? loadConstant(arguments.stream + begin + p + kAhead) : uint2{};
      if (begin + p < end) {
        blocks[p].load(arguments.product.values, places[p].y, arguments.valuePitch);
      }
    }
    for (uint32_t i = begin; i < end; i += kAhead) {
#pragma unroll
      for (int p = 0; p < kAhead; ++p) {
        if (i + p >= end) {
          break;
        }
        const int row = static_cast<int>(places[p].x & 0xffffff), slot = static_cast<int>(places[p].x >> 24);
        places[p] = later[p];
        if (i + p + 2 * kAhead < end) {
          later[p] = loadConstant(arguments.stream + i + p + 2 * kAhead);
        }
        const bool more = i + p + kAhead < end;
        if constexpr (Block::kInPlace) {
          multiply(blocks[p], ring, row, slot, [&](int step) {
            if (more) {
              blocks[p].loadStep(step, arguments.product.values, places[p].y, arguments.valuePitch);
            }
          });
        } else {
          const Block block = blocks[p];
          if (more) {
            blocks[p].load(arguments.product.values, places[p].y, arguments.valuePitch);
          }
          multiply(block, ring, row, slot, [](int) {});
        }
      }
    }
  }

  POPSPARSE_DEVICE void store(const RowsArguments &arguments, int warp, int firstColumn) {
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int first = loadConstant(arguments.rows + static_cast<int64_t>(warp) * kSlots + s);
#pragma unroll
      for (int r = 0; r < kPieces; ++r) {
        storeRows<Element, Block, Shape>(arguments.product, first < 0 ? -1 : first + 16 * r, firstColumn, sums[s][r]);
      }
    }
  }
};

// Grid: (ceil(n / columns of a slab), row groups). See RowsArguments.
template <class Element, class Machine, class Slab, int side, bool transposed>
POPSPARSE_DEVICE void multiplyRows(const RowsArguments &arguments) {
  using Work = RowsProduct<Element, Machine, Slab, side, transposed>;
  overSlabs<Machine, typename Work::Shape>(arguments.product, arguments.list, [&](auto &ring, int warp, int column) {
    const int place = static_cast<int>(blockIdx.y) * kConsumerWarps + warp;
    Work product;
    product.clear();
    product.stream(arguments, ring, loadConstant(arguments.begins + place), loadConstant(arguments.begins + place + 1));
    ring.finish();
    product.store(arguments, place, column);
  });
}

} // namespace popsparse_py::cuda

#endif
