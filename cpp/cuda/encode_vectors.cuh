// The lists of the gathered kernel (vectors.cuh): steps of 8 rows of Y times 16 rows of X of one window, two units of
// each class, so that the rows that are read at once lie in different banks.
#ifndef POPSPARSE_PY_CUDA_ENCODE_VECTORS_CUH
#define POPSPARSE_PY_CUDA_ENCODE_VECTORS_CUH

#include "encode.cuh"

namespace popsparse_py::cuda {

constexpr int kVectorRows = 8, kVectorDepth = 16; // rows of Y and of X in a step
constexpr int kStepValues = kVectorRows * kVectorDepth;
constexpr int kClassBits = 3;

class VectorsEncoder {
public:
  POPSPARSE_DEVICE explicit VectorsEncoder(const EncodeVectorsArguments &given)
      : arguments(given), units(given.product, given.pattern), dealt(given.dealt),
        side(static_cast<int>(given.pattern.unitColumns)),
        windowUnits(static_cast<int>(given.windowRows) / kVectorRows), windows(ceilDiv(units.ofClass, windowUnits)) {}

  POPSPARSE_DEVICE void run(int phase) const {
    switch (phase) {
    case kClear:
      return clear();
    case kMark:
      return units.mark(team);
    case kCount:
      for (int row = team.warp; row < units.rows; row += team.warps) {
        units.count(row, team);
        dealt.setWork(row, countSteps(row), team);
      }
      return;
    case kDeal:
      return dealt.run(units.rows, team, [&](int place, int row) {
        if (team.lane < kVectorRows) {
          const int number = row * kVectorRows + team.lane;
          store(arguments.rows + place * kVectorRows + team.lane, number < arguments.product.m ? number : -1);
        }
      });
    case kBegins:
      return begins();
    case kScatter:
      return scatter();
    default:
      return;
    }
  }

private:
  const EncodeVectorsArguments &arguments;
  Team team;
  Units units;
  Deal dealt;
  int side, windowUnits, windows; // windowUnits: of one class

  // A piece of W: its row of units, column, class, and where its window's units of that class begin and end.
  struct Piece {
    int row, column, ofClass, window, from, to;
  };

  POPSPARSE_DEVICE void clear() const {
    units.clear(team);
    dealt.clear(team);
    fill(arguments.rows, static_cast<int64_t>(dealt.owners) * dealt.slots * kVectorRows, -1, team);
    fill(arguments.packed, arguments.steps * kStepValues / 2, 0u, team);
  }

  // Bits of a window's units of one class.
  POPSPARSE_DEVICE int windowBit(int ofClass, int window) const {
    const int unit = window * windowUnits;
    return ofClass * units.ofClass + (unit < units.ofClass ? unit : units.ofClass);
  }

  // Counts the steps of each window of a row, by a warp; how many there are.
  POPSPARSE_DEVICE uint32_t countSteps(int row) const {
    uint32_t all = 0;
    uint32_t *const stepsBefore = arguments.stepsBefore + static_cast<int64_t>(row) * (windows + 1);
    for (int first = 0; first < windows; first += kLanes) {
      const int window = first + team.lane;
      uint32_t most = 0, largest = 0;
#pragma unroll 1
      for (int c = 0; window < windows && c < units.classes; ++c) {
        const uint32_t found = units.unitsIn(row, windowBit(c, window), windowBit(c, window + 1));
        largest = found > most ? static_cast<uint32_t>(c) : largest;
        most = found > most ? found : most;
      }
      const uint32_t steps = (most + 1) / 2, earlier = sumOfLanesBefore(steps);
      if (window < windows) {
        store(stepsBefore + window, (all + earlier) << kClassBits | largest);
      }
      all += sumOfLanes(steps);
    }
    if (team.lane == 0) {
      store(stepsBefore + windows, all << kClassBits);
    }
    return all;
  }

  POPSPARSE_DEVICE void begins() const {
    writeBegins(dealt.dealt.begins, dealt.owners, units.fault(), team, [&](int owner) {
      uint32_t count = 0;
      for (int slot = 0; slot < dealt.slots; ++slot) {
        const int row = dealt.rowAt(owner, slot);
        count += row < 0 ? 0 : loadWritten(dealt.dealt.work + row);
      }
      return count;
    });
  }

  POPSPARSE_DEVICE uint32_t stepsBefore(int row, int window) const {
    return loadWritten(arguments.stepsBefore + static_cast<int64_t>(row) * (windows + 1) + window);
  }

  // The first step of a row in a window: its owner's steps are ordered by window, then slot.
  POPSPARSE_DEVICE uint32_t firstStep(int row, int window) const {
    const int place = dealt.place(row), owner = place / dealt.slots, slot = place % dealt.slots;
    uint32_t found = loadWritten(dealt.dealt.begins + owner);
#pragma unroll 1
    for (int s = 0; s < dealt.slots; ++s) {
      const int other = dealt.rowAt(owner, s);
      found += other < 0 ? 0 : stepsBefore(other, s < slot ? window + 1 : window) >> kClassBits;
    }
    return found;
  }

  // Writes every piece's vectors to its step.
  POPSPARSE_DEVICE void scatter() const {
    const int b = static_cast<int>(arguments.pattern.blockSize), parts = b / side;
    const int pieces = units.fault() ? 0 : units.used() * parts * parts;
#pragma unroll 1
    for (int i = team.thread; i < pieces; i += team.threads) {
      const int block = i / (parts * parts), first = i % (parts * parts) / parts, second = i % parts;
      const bool turned = arguments.transposed != 0;
      const int row = (loadConstant(arguments.pattern.out + block) * parts + (turned ? second : first)) * side;
      const int column = loadConstant(arguments.pattern.in + block) * parts + (turned ? first : second);
      if (row / kVectorRows >= units.rows || column >= units.columns) {
        store(arguments.codes + i, ~0u);
        continue;
      }
      const int ofClass = column % units.classes, window = column / units.classes / windowUnits;
      const Piece piece{
          row / kVectorRows, column, ofClass, window, windowBit(ofClass, window), windowBit(ofClass, window + 1)};
      const uint32_t code = writePiece(piece);
      store(arguments.codes + i, code + static_cast<uint32_t>(row % kVectorRows * kVectorDepth));
    }
  }

  // The step of a unit and its column there; all pieces of a unit write the same.
  POPSPARSE_DEVICE uint32_t writePiece(const Piece &piece) const {
    const uint32_t rank = units.unitsIn(piece.row, piece.from, units.bitOf(piece.column));
    const uint32_t step = firstStep(piece.row, piece.window) + rank / 2;
    const int half = static_cast<int>(rank % 2) * kVectorRows, column = half + piece.ofClass * side;
    const int slabs = ceilDiv(arguments.product.k, arguments.slabRows);
    const int end = static_cast<int>(arguments.windowRows / arguments.slabRows) * (piece.window + 1);
    const auto last = static_cast<uint32_t>((end < slabs ? end : slabs) - 1);
    store(arguments.stream + step, last | static_cast<uint32_t>(dealt.place(piece.row) % dealt.slots) << 24);
    uint16_t *const kRows = arguments.kRows + static_cast<int64_t>(step) * kVectorDepth;
#pragma unroll 1
    for (int j = 0; j < side; ++j) {
      store(kRows + column + j, ringRow(piece.column * side + j));
    }
    if (static_cast<int>(stepsBefore(piece.row, piece.window) & ((1 << kClassBits) - 1)) == piece.ofClass) {
      writeSpare(piece, rank, kRows);
    }
    return step * kStepValues + static_cast<uint32_t>(column);
  }

  // A unit of the largest class, which every half of a step has if it has any, lends its row to the places that no unit
  // takes: a row that is read at the same time, and one that belongs to the step.
  POPSPARSE_DEVICE void writeSpare(const Piece &piece, uint32_t rank, uint16_t *kRows) const {
    const bool alone = rank % 2 == 0 && rank + 1 == units.unitsIn(piece.row, piece.from, piece.to);
    const int half = static_cast<int>(rank % 2);
#pragma unroll 1
    for (int c = 0; c < units.classes; ++c) {
      const uint32_t found = units.unitsIn(piece.row, windowBit(c, piece.window), windowBit(c, piece.window + 1));
#pragma unroll 1
      for (int h = half; h < (alone ? 2 : half + 1); ++h) {
#pragma unroll 1
        for (int j = 0; j < side && found <= rank - static_cast<uint32_t>(half - h); ++j) {
          store(kRows + h * kVectorRows + c * side + j, ringRow(piece.column * side));
        }
      }
    }
  }

  POPSPARSE_DEVICE uint16_t ringRow(int row) const { return static_cast<uint16_t>(row % arguments.ringRows); }
};

// Grid: any number of blocks; one, or one cluster, where it runs more than one phase. See EncodeVectorsArguments.
template <class Machine> POPSPARSE_DEVICE void encodeVectors(const EncodeVectorsArguments &arguments) {
  const VectorsEncoder encoder(arguments);
  runPhases<Machine>(arguments.pattern, [&](int phase) { encoder.run(phase); });
}

// Grid: any number of blocks of kEncodeThreads. See PackArguments.
POPSPARSE_DEVICE void packValues(const PackArguments &arguments) {
  const auto *values = static_cast<const uint16_t *>(arguments.product.values);
  auto *packed = static_cast<uint16_t *>(arguments.product.y);
  const int b = static_cast<int>(arguments.blockSize), side = static_cast<int>(arguments.side), parts = b / side;
  const int count =
      loadConstant(arguments.product.fault) != 0 ? 0 : static_cast<int>(loadConstant(arguments.used)) * b * b;
  const Team team;
  for (int i = team.thread; i < count; i += team.threads) {
    const int row = i % (b * b) / b, column = i % b;
    const uint32_t code = loadConstant(arguments.codes + (i / (b * b) * parts + row / side) * parts + column / side);
    if (code == ~0u) { // beyond the rows of Y or of X
      continue;
    }
    const int r = static_cast<int>(code) / kVectorDepth % kVectorRows + (arguments.transposed ? column : row) % side;
    const int v = static_cast<int>(code) % kVectorDepth + (arguments.transposed ? row : column) % side;
    const int64_t step = code / kStepValues;
    store(packed + step * kStepValues + (r * 4 + v % 8 / 2) * 4 + v / 8 * 2 + v % 2, loadConstant(values + i));
  }
}

} // namespace popsparse_py::cuda

#endif
