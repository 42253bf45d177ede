// Threads of a GPU as fibers of this process: one runs until it must wait for others, then a random one that can go on.
#ifndef POPSPARSE_PY_TESTS_EMULATOR_SCHEDULER_HPP
#define POPSPARSE_PY_TESTS_EMULATOR_SCHEDULER_HPP

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ucontext.h>

namespace emulator {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

// An arrival barrier in shared memory: a phase ends when nothing is pending and all bytes that were expected have come.
struct Barrier {
  int count = 0, pending = 0;
  long bytes = 0;
  uint32_t phase = 0;
};

// A copy under way: carried out at some later moment, as the hardware may.
using Copy = std::function<void()>;

struct Fiber;

// Threads that carry out an operation together: a warp or a warpgroup.
struct Team {
  std::vector<Fiber *> waiting;
  const char *operation = nullptr;
  void *members[128] = {};
};

// One block of threads with its shared memory.
struct Block {
  Index3 index;
  std::vector<uint8_t> shared, written;
  std::map<uint32_t, Barrier> barriers;
  std::vector<Team> warps, groups;
  std::vector<Fiber *> waiting;        // in __syncthreads
  std::vector<Fiber *> waitingCluster; // in the first block of a cluster, for all of it
  std::vector<Block *> *cluster = nullptr;
  int rank = 0, threads = 0, ended = 0; // threads that have ended
};

struct Fiber {
  ucontext_t context{};
  Block *block = nullptr;
  Index3 thread;
  std::vector<Copy> asyncCopies;            // of the group that is not committed yet
  std::vector<std::shared_ptr<int>> groups; // copies of each committed group that are still under way
  std::shared_ptr<int> uncommitted = std::make_shared<int>(0);
  std::function<bool()> ready; // what it waits for, empty if it can run
  bool done = false;
};

Fiber &self();
Block &block();
int lane();

// Leaves the fiber until `ready` holds.
void waitUntil(std::function<bool()> ready);

// Leaves the fiber; it goes on when its `ready` is empty or holds.
void leave();

// Carries `copy` out later; at random, at the latest when every fiber waits.
void later(Copy copy);

// Ends the launch with this message.
[[noreturn]] void fail(const std::string &message);

// The threads of a warp (size 32) or warpgroup (128) meet here with their operands; the last to come runs `together`.
void meet(const char *operation, void *mine, const std::function<void(void **)> &together, unsigned size = 32);

Barrier &barrierAt(uint32_t address);
Barrier &barrierAt(uint32_t address, Block &there);
void endPhase(Barrier &barrier);

// `bytes` of shared memory; reading what nobody wrote, and any access beyond the block's memory, is an error.
const uint8_t *readShared(uint32_t address, uint32_t bytes);
const uint8_t *readShared(uint32_t address, uint32_t bytes, const Block &there);
uint8_t *writeShared(uint32_t address, uint32_t bytes);
uint8_t *writeShared(uint32_t address, uint32_t bytes, Block &there);

struct Launch {
  Index3 grid, threads;
  uint32_t sharedBytes = 0;
  unsigned cluster = 1; // blocks along y
  uint32_t seed = 0;    // 0: fibers in their order, copies at once
};

// Runs `body` in every thread of the grid, block after block; the message of the first error, "" if all went well.
std::string run(const Launch &launch, const std::function<void()> &body);

} // namespace emulator

#endif
