// Copies, barriers and matrix instructions.
#include <algorithm>
#include <cstring>
#include <map>

#include "registry.hpp"

namespace emulator {

namespace {

std::map<std::string, Kernel> &kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

uint16_t half(uint32_t both, int which) {
  return static_cast<uint16_t>(both >> (16 * which));
}

struct MatrixLoad {
  uint32_t address;
  uint32_t *to;
};

struct Multiply {
  float *c;
  const uint32_t *a;
  uint32_t b[2];
  float (*widen)(uint16_t);
};

void multiplyTogether(void **lanes) {
  float a[16][16], b[16][8];
  for (int t = 0; t < 32; ++t) {
    const Multiply &mine = *static_cast<Multiply *>(lanes[t]);
    const int q = t / 4, p = t % 4 * 2;
    for (int e = 0; e < 2; ++e) {
      for (int r = 0; r < 4; ++r) {
        a[q + r % 2 * 8][p + r / 2 * 8 + e] = mine.widen(half(mine.a[r], e));
      }
      b[p + e][q] = mine.widen(half(mine.b[0], e));
      b[p + 8 + e][q] = mine.widen(half(mine.b[1], e));
    }
  }
  for (int t = 0; t < 32; ++t) {
    float *c = static_cast<Multiply *>(lanes[t])->c;
    for (int e = 0; e < 4; ++e) {
      const int row = t / 4 + e / 2 * 8, column = t % 4 * 2 + e % 2;
      for (int k = 0; k < 16; ++k) {
        c[e] += a[row][k] * b[k][column];
      }
    }
  }
}

float tf32(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  if ((bits & 0x1fff) != 0 && value == value) {
    fail("an operand of a TF32 product was not rounded");
  }
  return value;
}

void multiplyTf32Together(void **lanes) {
  float a[16][8], b[8][8];
  for (int t = 0; t < 32; ++t) {
    const Multiply &mine = *static_cast<Multiply *>(lanes[t]);
    const int q = t / 4, p = t % 4;
    for (int r = 0; r < 4; ++r) {
      a[q + r % 2 * 8][p + r / 2 * 4] = tf32(mine.a[r]);
    }
    b[p][q] = tf32(mine.b[0]);
    b[p + 4][q] = tf32(mine.b[1]);
  }
  for (int t = 0; t < 32; ++t) {
    float *c = static_cast<Multiply *>(lanes[t])->c;
    for (int e = 0; e < 4; ++e) {
      const int row = t / 4 + e / 2 * 8, column = t % 4 * 2 + e % 2;
      for (int k = 0; k < 8; ++k) {
        c[e] += a[row][k] * b[k][column];
      }
    }
  }
}

// A box in shared memory under the 128-byte swizzle, zeros beyond the edges of the matrix.
void fillBox(const BoxMap &box, int column, int row, uint8_t *shared) {
  for (int r = 0; r < box.boxRows; ++r) {
    for (int c = 0; c < box.boxColumns; ++c) {
      const int byte = c * box.elementBytes;
      uint8_t *place = shared + r * 128 + ((byte / 16) ^ (r & 7)) * 16 + byte % 16;
      const bool inside = row + r >= 0 && row + r < box.rows && column + c >= 0 && column + c < box.columns;
      const uint8_t *from = box.base + (row + r) * box.pitchBytes + (column + c) * box.elementBytes;
      for (int i = 0; i < box.elementBytes; ++i) {
        place[i] = inside ? from[i] : uint8_t{0};
      }
    }
  }
}

struct GroupMultiply {
  float (*d)[4];
  const uint32_t *a;
  uint64_t x;
  bool byRows;
  float (*widen)(uint16_t);
};

constexpr int kGroupColumns = 256;

// Element (k, column) of the right operand that a descriptor names, under the 128-byte swizzle: panels of 64 columns,
// atoms of 8 rows of 128 bytes; by rows, atoms of 8 columns of 128 bytes of k.
float rightElement(const GroupMultiply &mine, int k, int column) {
  const auto field = [&mine](int bit) { return static_cast<uint32_t>(mine.x >> bit & 0x3fff) << 4; };
  if (mine.x >> 62 != 1) {
    fail("a descriptor names another swizzle than that of 128 bytes");
  }
  const auto c = static_cast<uint32_t>(column), row = static_cast<uint32_t>(k);
  const uint32_t plain =
      field(0) + (mine.byRows ? c / 8 * field(32) + c % 8 * 128 + row * 2
                              : c / 64 * field(16) + row / 8 * field(32) + row % 8 * 128 + c % 64 * 2);
  uint16_t bits;
  std::memcpy(&bits, readShared(plain ^ (plain >> 7 & 7) << 4, 2), 2);
  return mine.widen(bits);
}

void multiplyGroupTogether(void **members) {
  float b[16][kGroupColumns];
  const GroupMultiply &first = *static_cast<GroupMultiply *>(members[0]);
  for (int i = 0; i < 16 * kGroupColumns; ++i) {
    b[i / kGroupColumns][i % kGroupColumns] = rightElement(first, i / kGroupColumns, i % kGroupColumns);
  }
  for (int w = 0; w < 4; ++w) {
    float a[16][16];
    for (int t = 0; t < 32; ++t) {
      const GroupMultiply &mine = *static_cast<GroupMultiply *>(members[32 * w + t]);
      if (mine.x != first.x) {
        fail("threads of a warpgroup name different descriptors");
      }
      for (int r = 0; r < 8; ++r) {
        a[t / 4 + r % 2 * 8][t % 4 * 2 + r / 2 % 2 * 8 + r / 4] = mine.widen(half(mine.a[r % 4], r / 4));
      }
    }
    for (int t = 0; t < 32; ++t) {
      float(*d)[4] = static_cast<GroupMultiply *>(members[32 * w + t])->d;
      for (int e = 0; e < kGroupColumns / 2; ++e) {
        const int row = t / 4 + e % 4 / 2 * 8, column = e / 4 * 8 + t % 4 * 2 + e % 2;
        for (int k = 0; k < 16; ++k) {
          d[e / 4][e % 4] += a[row][k] * b[k][column];
        }
      }
    }
  }
}

} // namespace

Registered::Registered(const char *name, int threads, void (*body)(const void *arguments)) {
  kernels()[name] = {threads, body};
}

const Kernel *findKernel(const std::string &name) {
  const auto found = kernels().find(name);
  return found == kernels().end() ? nullptr : &found->second;
}

Index3 &currentGrid() {
  static Index3 grid;
  return grid;
}

namespace {

// Waits until `count` fibers stand in `waiting`.
void meetAll(std::vector<Fiber *> &waiting, std::size_t count) {
  waiting.push_back(&self());
  if (waiting.size() == count) {
    std::vector<Fiber *> all;
    all.swap(waiting);
    for (Fiber *fiber : all) {
      fiber->ready = nullptr;
    }
    return;
  }
  self().ready = [] { return false; };
  leave();
}

} // namespace

void meetBlock() {
  meetAll(block().waiting, static_cast<std::size_t>(block().threads));
}

void meetCluster() {
  const auto &cluster = *block().cluster;
  meetAll(cluster[0]->waitingCluster, cluster.size() * static_cast<std::size_t>(block().threads));
}

Block &blockOfCluster(int rank) {
  Block &there = *block().cluster->at(static_cast<std::size_t>(rank));
  if (there.ended == there.threads) {
    fail("access to the memory of a block that has ended");
  }
  return there;
}

void arrive(Barrier &barrier, long bytes) {
  if (barrier.pending <= 0) {
    fail("more arrivals at a barrier than it counts");
  }
  barrier.bytes += bytes;
  --barrier.pending;
  endPhase(barrier);
}

void copyBox(uint32_t to, const uint8_t *map, int column, int row, uint32_t barrier, uint32_t blocks) {
  BoxMap box;
  std::memcpy(&box, map, sizeof box);
  const uint32_t rowBytes = static_cast<uint32_t>(box.boxColumns * box.elementBytes);
  if (to % 1024 != 0 || rowBytes != 128) {
    fail("a box with a 128-byte swizzle must be 128 bytes wide and begin at a multiple of 1024");
  }
  const uint32_t bytes = rowBytes * static_cast<uint32_t>(box.boxRows);
  for (int rank = 0; rank < static_cast<int>(block().cluster->size()); ++rank) {
    if (blocks == 0 ? rank != block().rank : (blocks >> rank & 1) == 0) {
      continue;
    }
    Block &there = blockOfCluster(rank);
    uint8_t *shared = writeShared(to, bytes, there);
    Barrier *done = &barrierAt(barrier, there);
    later([=] {
      fillBox(box, column, row, shared);
      done->bytes -= static_cast<long>(bytes);
      endPhase(*done);
    });
  }
}

void copy16(uint32_t to, const void *from, uint32_t bytes) {
  checkGlobal(from, bytes, 16);
  if (to % 16 != 0) {
    fail("cp.async to an address that is no multiple of 16");
  }
  uint8_t *shared = writeShared(to, 16);
  const std::shared_ptr<int> group = self().uncommitted;
  ++*group;
  later([=] {
    std::memset(shared, 0, 16);
    std::memcpy(shared, from, bytes);
    --*group;
  });
}

void arriveAfterCopies(Barrier &barrier) {
  const std::shared_ptr<int> group = self().uncommitted;
  self().uncommitted = std::make_shared<int>(0);
  Barrier *done = &barrier;
  const auto whenThere = std::make_shared<std::function<void()>>();
  *whenThere = [=] {
    if (*group != 0) {
      later(*whenThere);
      return;
    }
    --done->pending;
    endPhase(*done);
  };
  (*whenThere)();
}

void commitCopies() {
  self().groups.push_back(self().uncommitted);
  self().uncommitted = std::make_shared<int>(0);
}

void waitForCopies(int groups) {
  auto &all = self().groups;
  const std::size_t finished =
      all.size() > static_cast<std::size_t>(groups) ? all.size() - static_cast<std::size_t>(groups) : 0;
  const std::vector<std::shared_ptr<int>> waited(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(finished));
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(finished));
  waitUntil(
      [waited] { return std::all_of(waited.begin(), waited.end(), [](const auto &left) { return *left == 0; }); });
}

void loadMatrices(uint32_t address, int count, bool transposed, uint32_t *to) {
  MatrixLoad mine{address, to};
  if (address % 16 != 0) {
    fail("ldmatrix from an address that is no multiple of 16");
  }
  meet(transposed ? "ldmatrix.trans" : "ldmatrix", &mine, [count, transposed](void **lanes) {
    for (int i = 0; i < count; ++i) {
      uint16_t matrix[8][8];
      for (int row = 0; row < 8; ++row) {
        std::memcpy(matrix[row], readShared(static_cast<MatrixLoad *>(lanes[8 * i + row])->address, 16), 16);
      }
      for (int t = 0; t < 32; ++t) {
        const int q = t / 4, p = t % 4 * 2;
        const uint16_t first = transposed ? matrix[p][q] : matrix[q][p];
        const uint16_t second = transposed ? matrix[p + 1][q] : matrix[q][p + 1];
        static_cast<MatrixLoad *>(lanes[t])->to[i] = first | static_cast<uint32_t>(second) << 16;
      }
    }
  });
}

uint32_t transposeMatrix(uint32_t row) {
  uint32_t mine[2] = {row, 0};
  meet("movmatrix", mine, [](void **lanes) {
    for (int t = 0; t < 32; ++t) {
      const int q = t / 4, p = t % 4 * 2; // row q of the transpose: elements (p, q) and (p + 1, q)
      const uint32_t *first = static_cast<uint32_t *>(lanes[4 * p + q / 2]);
      const uint32_t *second = static_cast<uint32_t *>(lanes[4 * (p + 1) + q / 2]);
      static_cast<uint32_t *>(lanes[t])[1] = half(first[0], q % 2) | static_cast<uint32_t>(half(second[0], q % 2))
                                                                         << 16;
    }
  });
  return mine[1];
}

uint32_t sumOfLanes(uint32_t value, bool before) {
  uint32_t mine = value;
  meet(before ? "sum of lanes before" : "sum of lanes", &mine, [before](void **lanes) {
    uint32_t sum = 0;
    for (int t = 0; t < 32; ++t) {
      const uint32_t own = *static_cast<uint32_t *>(lanes[t]);
      *static_cast<uint32_t *>(lanes[t]) = sum;
      sum += own;
    }
    for (int t = 0; !before && t < 32; ++t) {
      *static_cast<uint32_t *>(lanes[t]) = sum;
    }
  });
  return mine;
}

void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (*widen)(uint16_t)) {
  Multiply mine{c, a, {b0, b1}, widen};
  meet("mma", &mine, multiplyTogether);
}

void multiplyTf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  Multiply mine{c, a, {b0, b1}, nullptr};
  meet("mma.tf32", &mine, multiplyTf32Together);
}

void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x, bool byRows, float (*widen)(uint16_t)) {
  GroupMultiply mine{d, a, x, byRows, widen};
  meet("wgmma", &mine, multiplyGroupTogether, 128);
}

} // namespace emulator
