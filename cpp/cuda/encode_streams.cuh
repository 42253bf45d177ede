// The lists of the kernels that take W's blocks one by one: those of rows.cuh, blocks.cuh, elements.cuh, decode.cuh.
#ifndef POPSPARSE_PY_CUDA_ENCODE_STREAMS_CUH
#define POPSPARSE_PY_CUDA_ENCODE_STREAMS_CUH

#include "encode.cuh"

namespace popsparse_py::cuda {

class StreamEncoder {
public:
  POPSPARSE_DEVICE explicit StreamEncoder(const EncodeStreamArguments &given)
      : arguments(given), units(given.product, given.pattern), dealt(given.dealt),
        side(static_cast<int>(given.pattern.unitRows)), rangeUnits(static_cast<int>(given.rangeUnits)),
        slabs(given.slabBits == nullptr ? 0 : ceilDiv(given.product.k, given.slabRows)),
        slabWords(ceilDiv(slabs, kWordBits)),
        clusters(slabs == 0 ? 0 : static_cast<int>(given.dealt.owners / given.clusterOwners)) {}

  POPSPARSE_DEVICE void run(int phase) const {
    switch (phase) {
    case kClear:
      return clear();
    case kMark:
      return units.mark(team);
    case kCount:
      for (int row = team.warp; row < units.rows; row += team.warps) {
        dealt.setWork(row, units.count(row, team), team);
      }
      return;
    case kDeal:
      return dealt.run(units.rows, team, [&](int place, int row) {
        if (team.lane == 0 && arguments.rows != nullptr) {
          store(arguments.rows + place, row * side);
        }
        markSlabs(place, row);
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
  const EncodeStreamArguments &arguments;
  Team team;
  Units units;
  Deal dealt;
  int side, rangeUnits, slabs, slabWords, clusters; // slabs: of X that clusters have lists of

  POPSPARSE_DEVICE int within(int column) const { return column < units.columns ? column : units.columns; }

  POPSPARSE_DEVICE void clear() const {
    units.clear(team);
    dealt.clear(team);
    if (arguments.rows != nullptr) {
      fill(arguments.rows, static_cast<int64_t>(dealt.owners) * dealt.slots, -1, team);
    }
    fill(arguments.slabBits, static_cast<int64_t>(clusters) * slabWords, 0u, team);
  }

  POPSPARSE_DEVICE int clusterOf(int place) const {
    return place / dealt.slots / static_cast<int>(arguments.clusterOwners);
  }

  // Adds the slabs that a row of pieces needs to those of its cluster.
  POPSPARSE_DEVICE void markSlabs(int place, int row) const {
    const int ofSlab = static_cast<int>(arguments.slabRows) / side;
#pragma unroll 1
    for (int slab = team.lane; slab < slabs; slab += kLanes) {
      if (units.unitsIn(row, within(slab * ofSlab), within((slab + 1) * ofSlab)) != 0) {
        orInto(arguments.slabBits + clusterOf(place) * slabWords + slab / kWordBits, 1u << slab % kWordBits);
      }
    }
  }

  // Slabs that a cluster, and those before it, need before this one.
  POPSPARSE_DEVICE uint32_t slabsBefore(int cluster, int slab) const {
    const int word = cluster * slabWords + slab / kWordBits;
    const uint32_t below = (1u << slab % kWordBits) - 1;
    return loadWritten(arguments.slabStarts + word) + populationCount(loadWritten(arguments.slabBits + word) & below);
  }

  POPSPARSE_DEVICE void listSlabs() const {
#pragma unroll 1
    for (int i = team.thread; i <= clusters; i += team.threads) {
      store(arguments.slabBegins + i, loadWritten(arguments.slabStarts + i * slabWords));
    }
#pragma unroll 1
    for (int i = team.thread; i < clusters * slabs && !units.fault(); i += team.threads) {
      const int cluster = i / slabs, slab = i % slabs;
      if (loadWritten(arguments.slabBits + cluster * slabWords + slab / kWordBits) >> slab % kWordBits & 1) {
        store(arguments.slabs + slabsBefore(cluster, slab), slab);
      }
    }
  }

  // The row of X as the stream names it: in its range, or in the list of slabs.
  POPSPARSE_DEVICE int kRowOf(int place, int column) const {
    if (slabs == 0) {
      return column % rangeUnits * side;
    }
    const int slabRows = static_cast<int>(arguments.slabRows), slab = column * side / slabRows;
    const int cluster = clusterOf(place);
    const uint32_t position = slabsBefore(cluster, slab) - slabsBefore(cluster, 0);
    return static_cast<int>(position) * slabRows + column * side % slabRows;
  }

  // Pieces of each owner in each range. A range has an entry more than owners: where its last owner's end.
  POPSPARSE_DEVICE void begins() const {
    const int entries = static_cast<int>(arguments.ranges) * (dealt.owners + 1) - 1;
    writeBegins(dealt.dealt.begins, entries, units.fault(), team, [&](int entry) {
      const int owner = entry % (dealt.owners + 1), range = entry / (dealt.owners + 1);
      const int from = within(range * rangeUnits), to = within((range + 1) * rangeUnits);
      uint32_t count = 0;
#pragma unroll 1
      for (int slot = 0; owner < dealt.owners && slot < dealt.slots; ++slot) {
        const int row = dealt.rowAt(owner, slot);
        count += row < 0 ? 0 : units.unitsIn(row, from, to);
      }
      return count;
    });
    if (slabs != 0) {
      writeBegins(arguments.slabStarts, clusters * slabWords, units.fault(), team,
                  [&](int word) { return populationCount(loadWritten(arguments.slabBits + word)); });
    }
  }

  // Writes each piece to its place: by range, owner, row of X, slot.
  POPSPARSE_DEVICE void scatter() const {
    if (slabs != 0) {
      listSlabs();
    }
    const int b = static_cast<int>(arguments.pattern.blockSize), parts = b / side;
    const int pieces = units.fault() ? 0 : units.used() * parts * parts;
#pragma unroll 1
    for (int i = team.thread; i < pieces; i += team.threads) {
      const int block = i / (parts * parts), first = i % (parts * parts) / parts, second = i % parts;
      const bool turned = arguments.transposed != 0;
      const int row = loadConstant(arguments.pattern.out + block) * parts + (turned ? second : first);
      const int column = loadConstant(arguments.pattern.in + block) * parts + (turned ? first : second);
      if (row >= units.rows || column >= units.columns) {
        continue;
      }
      const int place = dealt.place(row), slot = place % dealt.slots;
      const int64_t offset = static_cast<int64_t>(block) * b * b + (first * b + second) * side;
      const auto kRow = static_cast<uint32_t>(kRowOf(place, column));
      store(arguments.stream + position(place / dealt.slots, slot, column),
            uint2{kRow | static_cast<uint32_t>(slot) << 24, static_cast<uint32_t>(offset / arguments.offsetUnit)});
    }
  }

  POPSPARSE_DEVICE uint32_t position(int owner, int slot, int column) const {
    const int range = column / rangeUnits, from = range * rangeUnits;
    uint32_t found = loadWritten(dealt.dealt.begins + range * (dealt.owners + 1) + owner);
#pragma unroll 1
    for (int s = 0; s < dealt.slots; ++s) {
      const int row = dealt.rowAt(owner, s);
      if (row >= 0) {
        found += units.unitsIn(row, from, s < slot ? column + 1 : column);
      }
    }
    return found;
  }
};

// Grid: any number of blocks; one, or one cluster, where it runs more than one phase. See EncodeStreamArguments.
template <class Machine> POPSPARSE_DEVICE void encodeStream(const EncodeStreamArguments &arguments) {
  const StreamEncoder encoder(arguments);
  runPhases<Machine>(arguments.pattern, [&](int phase) { encoder.run(phase); });
}

} // namespace popsparse_py::cuda

#endif
