#include "scheduler.hpp"

#include <algorithm>
#include <deque>
#include <random>

namespace emulator {

namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr uint8_t kPoison = 0xFF; // not a number in every floating-point type

struct Scheduler {
  ucontext_t main{};
  Fiber *running = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<std::vector<char>> stacks;
  std::deque<Copy> copies;
  std::mt19937 random;
  bool shuffled = false;
  std::string error;
  const std::function<void()> *body = nullptr;
};

Scheduler scheduler;

void enter() {
  (*scheduler.body)();
  scheduler.running->done = true;
  ++scheduler.running->block->ended;
  swapcontext(&scheduler.running->context, &scheduler.main);
}

void start(Fiber &fiber, std::vector<char> &stack) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack.data();
  fiber.context.uc_stack.ss_size = stack.size();
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, enter, 0);
}

void carryOutOne() {
  const std::size_t which = scheduler.shuffled ? scheduler.random() % scheduler.copies.size() : 0;
  const Copy copy = scheduler.copies[which];
  scheduler.copies.erase(scheduler.copies.begin() + static_cast<std::ptrdiff_t>(which));
  copy();
}

void makeFibers(const std::vector<Block *> &cluster) {
  scheduler.fibers.clear();
  for (Block *block : cluster) {
    for (int t = 0; t < block->threads; ++t) {
      auto fiber = std::make_unique<Fiber>();
      fiber->block = block;
      fiber->thread.x = static_cast<unsigned>(t);
      scheduler.fibers.push_back(std::move(fiber));
    }
  }
  scheduler.stacks.resize(std::max(scheduler.stacks.size(), scheduler.fibers.size()));
  for (std::size_t i = 0; i < scheduler.fibers.size(); ++i) {
    scheduler.stacks[i].resize(kStackBytes);
    start(*scheduler.fibers[i], scheduler.stacks[i]);
  }
}

// Runs every fiber that can run once; how many ran.
int runOnce(std::vector<Fiber *> &order) {
  int ran = 0;
  if (scheduler.shuffled) {
    std::shuffle(order.begin(), order.end(), scheduler.random);
  }
  for (Fiber *fiber : order) {
    if (fiber->done || (fiber->ready && !fiber->ready())) {
      continue;
    }
    fiber->ready = nullptr;
    scheduler.running = fiber;
    swapcontext(&scheduler.main, &fiber->context);
    ++ran;
    if (!scheduler.error.empty()) {
      return ran;
    }
  }
  return ran;
}

void runCluster(const std::vector<Block *> &cluster) {
  makeFibers(cluster);
  std::vector<Fiber *> order;
  for (const auto &fiber : scheduler.fibers) {
    order.push_back(fiber.get());
  }
  while (scheduler.error.empty()) {
    const int ran = runOnce(order);
    if (!scheduler.error.empty()) {
      return;
    }
    const auto left = std::count_if(order.begin(), order.end(), [](const Fiber *fiber) { return !fiber->done; });
    if (left == 0) {
      break;
    }
    if (!scheduler.copies.empty() && (ran == 0 || scheduler.random() % 2 == 0)) {
      carryOutOne();
    } else if (ran == 0) {
      scheduler.error = "deadlock: " + std::to_string(left) + " threads wait and no copy is under way";
    }
  }
  if (scheduler.error.empty() && !scheduler.copies.empty()) {
    scheduler.error = "the block ended while copies to its shared memory were under way";
  }
}

} // namespace

Fiber &self() {
  return *scheduler.running;
}

Block &block() {
  return *self().block;
}

int lane() {
  return static_cast<int>(self().thread.x % 32);
}

void waitUntil(std::function<bool()> ready) {
  if (!ready()) {
    self().ready = std::move(ready);
    leave();
  }
}

void leave() {
  swapcontext(&scheduler.running->context, &scheduler.main);
}

void later(Copy copy) {
  if (scheduler.shuffled) {
    scheduler.copies.push_back(std::move(copy));
  } else {
    copy();
  }
}

void fail(const std::string &message) {
  const Fiber &fiber = self();
  const Index3 at = fiber.block->index;
  scheduler.error = message + " (block " + std::to_string(at.x) + ", " + std::to_string(at.y) + ", thread " +
                    std::to_string(fiber.thread.x) + ")";
  for (;;) {
    leave();
  }
}

void meet(const char *operation, void *mine, const std::function<void(void **)> &together, unsigned size) {
  const unsigned thread = self().thread.x;
  Team &here = size == 32 ? block().warps[thread / 32] : block().groups[thread / size];
  if (here.waiting.empty()) {
    here.operation = operation;
  } else if (std::string(here.operation) != operation) {
    fail(std::string("threads of one warp are in ") + here.operation + " and in " + operation);
  }
  here.members[thread % size] = mine;
  here.waiting.push_back(&self());
  if (here.waiting.size() == size) {
    together(here.members);
    for (Fiber *fiber : here.waiting) {
      fiber->ready = nullptr;
    }
    here.waiting.clear();
    return;
  }
  self().ready = [] { return false; };
  leave();
}

Barrier &barrierAt(uint32_t address) {
  return barrierAt(address, block());
}

Barrier &barrierAt(uint32_t address, Block &there) {
  const auto found = there.barriers.find(address);
  if (found == there.barriers.end()) {
    fail("no barrier was initialised at " + std::to_string(address));
  }
  return found->second;
}

void endPhase(Barrier &barrier) {
  if (barrier.pending == 0 && barrier.bytes == 0) {
    ++barrier.phase;
    barrier.pending = barrier.count;
  }
}

const uint8_t *readShared(uint32_t address, uint32_t bytes) {
  return readShared(address, bytes, block());
}

const uint8_t *readShared(uint32_t address, uint32_t bytes, const Block &here) {
  if (address + bytes > here.shared.size()) {
    fail("read beyond shared memory at " + std::to_string(address));
  }
  for (uint32_t i = address; i < address + bytes; ++i) {
    if (!here.written[i]) {
      fail("read of shared memory that nobody wrote at " + std::to_string(i));
    }
  }
  return here.shared.data() + address;
}

uint8_t *writeShared(uint32_t address, uint32_t bytes) {
  return writeShared(address, bytes, block());
}

uint8_t *writeShared(uint32_t address, uint32_t bytes, Block &here) {
  if (address + bytes > here.shared.size()) {
    fail("write beyond shared memory at " + std::to_string(address));
  }
  std::fill_n(here.written.begin() + address, bytes, uint8_t{1});
  return here.shared.data() + address;
}

std::string run(const Launch &launch, const std::function<void()> &body) {
  const int threads = static_cast<int>(launch.threads.x);
  scheduler.error.clear();
  scheduler.copies.clear();
  scheduler.random.seed(launch.seed);
  scheduler.shuffled = launch.seed != 0;
  scheduler.body = &body;
  for (unsigned y = 0; y < launch.grid.y; y += launch.cluster) {
    for (unsigned x = 0; x < launch.grid.x; ++x) {
      std::vector<Block> blocks(launch.cluster);
      std::vector<Block *> cluster;
      for (unsigned rank = 0; rank < launch.cluster; ++rank) {
        Block &block = blocks[rank];
        block.index = {x, y + rank, 0};
        block.threads = threads;
        block.rank = static_cast<int>(rank);
        block.cluster = &cluster;
        block.shared.assign(launch.sharedBytes, kPoison);
        block.written.assign(launch.sharedBytes, 0);
        block.warps.resize(static_cast<std::size_t>(threads + 31) / 32);
        block.groups.resize(static_cast<std::size_t>(threads + 127) / 128);
        cluster.push_back(&block);
      }
      runCluster(cluster);
      if (!scheduler.error.empty()) {
        return scheduler.error;
      }
    }
  }
  return "";
}

} // namespace emulator
