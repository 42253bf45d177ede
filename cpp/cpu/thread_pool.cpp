#include "thread_pool.hpp"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace popsparse_py::cpu {

namespace {

using Body = std::function<void(std::int64_t, int)>;

constexpr int kSpins = 2000; // some 20 microseconds, about what waking a parked thread costs

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

class Pool {
public:
  explicit Pool(pid_t process) : process_(process) {}

  pid_t process() const { return process_; }

  // False if the helpers are busy for another caller.
  bool tryRun(int threads, std::int64_t tasks, const Body &body) {
    const std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) {
      return false;
    }
    grow(threads - 1);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      tasks_ = tasks;
      next_.store(0, std::memory_order_relaxed);
      helpers_ = threads - 1 < created_ ? threads - 1 : created_;
      open_ = true;
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(0);
    closeRound();
    return true;
  }

private:
  // The host may grant fewer.
  void grow(int wanted) {
    for (; created_ < wanted; ++created_) {
      try {
        std::thread([this, index = created_, seen = round_.load()] { serve(index, seen); }).detach();
      } catch (const std::system_error &) {
        return;
      }
    }
  }

  void work(int participant) {
    for (std::int64_t task = next_.fetch_add(1); task < tasks_; task = next_.fetch_add(1)) {
      (*body_)(task, participant);
    }
  }

  // Helpers that have not begun yet need not: their wake-up is not waited for.
  void closeRound() {
    std::unique_lock<std::mutex> lock(mutex_);
    open_ = false;
    for (int spin = 0; spin < kSpins && working_ > 0; ++spin) {
      lock.unlock();
      relax();
      lock.lock();
    }
    done_.wait(lock, [this] { return working_ == 0; });
  }

  void serve(int index, std::uint64_t seen) {
    for (;;) {
      for (int spin = 0; spin < kSpins && round_.load(std::memory_order_acquire) == seen; ++spin) {
        relax();
      }
      bool wanted = false;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
        seen = round_.load(std::memory_order_acquire);
        wanted = open_ && index < helpers_;
        working_ += wanted ? 1 : 0;
      }
      if (!wanted) {
        continue;
      }
      work(index + 1);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--working_ == 0) {
        done_.notify_one();
      }
    }
  }

  const pid_t process_;
  std::mutex owner_; // one caller at a time
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const Body *body_ = nullptr;
  std::int64_t tasks_ = 0;
  int created_ = 0, helpers_ = 0, working_ = 0;
  bool open_ = false; // helpers may still join the round
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint64_t> round_{0};
};

// Never destroyed: its threads are parked when the process ends. A forked child has no threads, so it makes a pool
// anew.
Pool &pool() {
  static std::atomic<Pool *> current{nullptr};
  const pid_t process = getpid();
  Pool *found = current.load(std::memory_order_acquire);
  while (found == nullptr || found->process() != process) {
    Pool *fresh = new Pool(process);
    if (current.compare_exchange_strong(found, fresh)) {
      return *fresh;
    }
    delete fresh;
  }
  return *found;
}

} // namespace

void parallelFor(int threads, std::int64_t tasks, const Body &body) {
  const int useful = static_cast<int>(tasks < threads ? tasks : threads);
  if (useful > 1 && pool().tryRun(useful, tasks, body)) {
    return;
  }
  for (std::int64_t task = 0; task < tasks; ++task) {
    body(task, 0);
  }
}

} // namespace popsparse_py::cpu
