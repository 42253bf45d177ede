// A pattern that lies on the device made into work lists there: the units that its blocks cover as bits, how many lie
// before each, and rows of units dealt to their owners. Nothing depends on the order of threads or of blocks.
#ifndef POPSPARSE_PY_CUDA_ENCODE_CUH
#define POPSPARSE_PY_CUDA_ENCODE_CUH

#include "encode_arguments.cuh"
#include "machine.cuh"

namespace popsparse_py::cuda {

constexpr int kEncodeThreads = 512;
constexpr int kEncodeWarps = kEncodeThreads / kLanes;
constexpr int kWordBits = 32;

enum EncodePhase : int { kClear, kMark, kCount, kDeal, kBegins, kScatter };

POPSPARSE_DEVICE int ceilDiv(int64_t count, int64_t size) {
  return static_cast<int>((count + size - 1) / size);
}

// All threads of the grid, which run a phase together.
struct Team {
  int thread, threads, warp, warps, lane;

  POPSPARSE_DEVICE Team()
      : thread(static_cast<int>((blockIdx.y * gridDim.x + blockIdx.x) * kEncodeThreads + threadIdx.x)),
        threads(static_cast<int>(gridDim.y * gridDim.x * kEncodeThreads)), warp(thread / kLanes),
        warps(threads / kLanes), lane(thread % kLanes) {}
};

template <class T> POPSPARSE_DEVICE void fill(T *to, int64_t count, T value, const Team &team) {
  for (int64_t i = team.thread; i < count; i += team.threads) {
    store(to + i, value);
  }
}

// The grid of units of a pattern. What lies wholly beyond the rows of Y or of X is no unit.
class Units {
public:
  POPSPARSE_DEVICE Units(const Product &product, const PatternArguments &given)
      : pattern(given), blockRows(ceilDiv(product.m, given.blockSize)),
        blockColumns(ceilDiv(product.k, given.blockSize)), rows(ceilDiv(product.m, given.unitRows)),
        columns(ceilDiv(product.k, given.unitColumns)), classes(static_cast<int>(given.classes)),
        ofClass(ceilDiv(columns, classes)), words(ceilDiv(classes * ofClass, kWordBits)) {}

  // Slots that count, none where the count is no count of slots.
  POPSPARSE_DEVICE int used() const {
    const int count = loadConstant(pattern.nnz);
    return count < 0 || count > pattern.slots ? 0 : count;
  }

  POPSPARSE_DEVICE bool fault() const { return loadWritten(pattern.fault) != 0; }

  POPSPARSE_DEVICE void clear(const Team &team) const {
    fill(pattern.units, static_cast<int64_t>(rows) * words, 0u, team);
    if (pattern.blocks != nullptr) {
      fill(pattern.blocks, static_cast<int64_t>(blockRows) * ceilDiv(blockColumns, kWordBits), 0u, team);
    }
    fill(pattern.fault, 1, 0u, team);
  }

  // Sets the bits of all blocks; finds what is wrong with them.
  POPSPARSE_DEVICE void mark(const Team &team) const {
    const int count = loadConstant(pattern.nnz);
    if (team.thread == 0) {
      store(pattern.fault + 1, static_cast<uint32_t>(used()));
      if (count < 0 || count > pattern.slots) {
        orInto(pattern.fault, kBeyondCapacity);
      }
    }
    for (int i = team.thread; i < used(); i += team.threads) {
      const int out = loadConstant(pattern.out + i), in = loadConstant(pattern.in + i);
      if (out < 0 || out >= blockRows || in < 0 || in >= blockColumns) {
        orInto(pattern.fault, kOutsideGrid);
      } else if (markBlock(out, in)) {
        orInto(pattern.fault, kTwice);
      }
    }
  }

  // Counts the units of a row, by a warp; how many there are.
  POPSPARSE_DEVICE uint32_t count(int row, const Team &team) const {
    uint32_t all = 0;
    for (int first = 0; first < words; first += kLanes) {
      const int word = first + team.lane;
      const uint32_t found = word < words ? populationCount(loadWritten(unitWord(row, word))) : 0;
      const uint32_t earlier = sumOfLanesBefore(found);
      if (word < words) {
        store(beforeWord(row, word), all + earlier);
      }
      all += sumOfLanes(found);
    }
    if (team.lane == 0) {
      store(beforeWord(row, words), all);
    }
    __syncwarp();
    return all;
  }

  // Where the bit of a column stands in its row.
  POPSPARSE_DEVICE int bitOf(int column) const { return column % classes * ofClass + column / classes; }

  // Units of a row before a bit, at most classes * ofClass.
  POPSPARSE_DEVICE uint32_t unitsBefore(int row, int bit) const {
    const int word = bit / kWordBits;
    const uint32_t below = (1u << bit % kWordBits) - 1;
    const uint32_t here = below ? populationCount(loadWritten(unitWord(row, word)) & below) : 0;
    return loadWritten(beforeWord(row, word)) + here;
  }

  // Units of a row in bits [from, to).
  POPSPARSE_DEVICE uint32_t unitsIn(int row, int from, int to) const {
    return unitsBefore(row, to) - unitsBefore(row, from);
  }

  const PatternArguments &pattern;
  int blockRows, blockColumns, rows, columns, classes, ofClass, words;

private:
  POPSPARSE_DEVICE uint32_t *unitWord(int row, int word) const {
    return pattern.units + static_cast<int64_t>(row) * words + word;
  }
  POPSPARSE_DEVICE uint32_t *beforeWord(int row, int word) const {
    return pattern.before + static_cast<int64_t>(row) * (words + 1) + word;
  }

  // Whether it was set already.
  static POPSPARSE_DEVICE bool setBit(uint32_t *words, int bit) {
    const uint32_t mask = 1u << bit % kWordBits;
    return (orInto(words + bit / kWordBits, mask) & mask) != 0;
  }

  // Whether the block was marked already.
  POPSPARSE_DEVICE bool markBlock(int out, int in) const {
    const int b = static_cast<int>(pattern.blockSize), height = static_cast<int>(pattern.unitRows),
              width = static_cast<int>(pattern.unitColumns);
    bool twice = false;
    for (int row = out * b / height; row <= (out * b + b - 1) / height && row < rows; ++row) {
      for (int column = in * b / width; column <= (in * b + b - 1) / width && column < columns; ++column) {
        twice |= setBit(unitWord(row, 0), bitOf(column));
      }
    }
    if (pattern.blocks == nullptr) {
      return twice;
    }
    return setBit(pattern.blocks + static_cast<int64_t>(out) * ceilDiv(blockColumns, kWordBits), in);
  }
};

// Rows of units and their owners.
class Deal {
public:
  POPSPARSE_DEVICE explicit Deal(const DealArguments &given)
      : dealt(given), owners(static_cast<int>(given.owners)), slots(static_cast<int>(given.slots)) {}

  POPSPARSE_DEVICE void clear(const Team &team) const {
    fill(dealt.order, static_cast<int64_t>(owners) * slots, -1, team);
  }

  POPSPARSE_DEVICE void setWork(int row, uint32_t work, const Team &team) const {
    if (team.lane == 0) {
      store(dealt.work + row, work);
    }
  }

  POPSPARSE_DEVICE int place(int row) const { return loadWritten(dealt.place + row); }
  POPSPARSE_DEVICE int rowAt(int owner, int slot) const { return loadWritten(dealt.order + owner * slots + slot); }

  // Gives each row of units its place, a warp a row; writeRows(place, row) by all its lanes.
  template <class WriteRows> POPSPARSE_DEVICE void run(int rows, const Team &team, const WriteRows &writeRows) const {
    const int share = static_cast<int>(dealt.share), shareOwners = static_cast<int>(dealt.shareOwners);
#pragma unroll 1
    for (int row = team.warp; row < rows; row += team.warps) {
      const int first = row / share * share, last = first + share < rows ? first + share : rows;
      const uint32_t rank = dealt.ranked != 0 ? rankOf(row, first, last, team) : static_cast<uint32_t>(row - first);
      const int slot = static_cast<int>(rank) / shareOwners, turn = static_cast<int>(rank) % shareOwners;
      const int owner = row / share * shareOwners + (slot % 2 == 0 ? turn : shareOwners - 1 - turn);
      if (team.lane == 0) {
        store(dealt.place + row, owner * slots + slot);
        store(dealt.order + owner * slots + slot, row);
      }
      writeRows(owner * slots + slot, row);
    }
  }

  const DealArguments &dealt;
  int owners, slots;

private:
  // How many rows of [first, last) have more to do, or as much and come earlier.
  POPSPARSE_DEVICE uint32_t rankOf(int row, int first, int last, const Team &team) const {
    const uint32_t mine = loadWritten(dealt.work + row);
    uint32_t earlier = 0;
#pragma unroll 1
    for (int other = first + team.lane; other < last; other += kLanes) {
      const uint32_t theirs = loadWritten(dealt.work + other);
      earlier += theirs > mine || (theirs == mine && other < row);
    }
    return sumOfLanes(earlier);
  }
};

// begins[i] = sum of countOf(j) for j < i, for i in [0, entries]; zeros where there is a fault. By one block of
// threads.
template <class Count>
POPSPARSE_DEVICE void writeBegins(uint32_t *begins, int entries, bool fault, const Team &team, const Count &countOf) {
  if (blockIdx.x + blockIdx.y != 0) {
    return;
  }
  auto *sums = reinterpret_cast<uint32_t *>(sharedMemory()); // of each warp
  __syncthreads();                                           // of an earlier call
  const int thread = static_cast<int>(threadIdx.x), share = ceilDiv(entries, kEncodeThreads);
  const int from = thread * share, to = from + share < entries ? from + share : entries;
  uint32_t mine = 0;
#pragma unroll 1
  for (int i = from; i < to; ++i) {
    mine += countOf(i);
  }
  uint32_t before = sumOfLanesBefore(mine);
  const uint32_t ofWarp = sumOfLanes(mine);
  if (team.lane == 0) {
    sums[thread / kLanes] = ofWarp;
  }
  __syncthreads();
  for (int warp = 0; warp < thread / kLanes; ++warp) {
    before += sums[warp];
  }
#pragma unroll 1
  for (int i = from; i < to; ++i) {
    store(begins + i, fault ? 0u : before);
    before += countOf(i);
  }
  if (from < entries && to == entries) {
    store(begins + entries, fault ? 0u : before);
  }
}

// Runs phases [first, last): run(phase). More than one by a block of threads, or by a cluster where there are some.
template <class Machine, class Run> POPSPARSE_DEVICE void runPhases(const PatternArguments &pattern, const Run &run) {
  for (int phase = static_cast<int>(pattern.first); phase < pattern.last; ++phase) {
    run(phase);
    if constexpr (Machine::kClusters) { // what one thread wrote another reads in the next phase
      clusterSync();
    } else {
      __syncthreads();
    }
  }
}

} // namespace popsparse_py::cuda

#endif
