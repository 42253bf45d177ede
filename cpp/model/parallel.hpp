// Work over host threads whose outcome does not depend on their number.
#ifndef POPSPARSE_PY_MODEL_PARALLEL_HPP
#define POPSPARSE_PY_MODEL_PARALLEL_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace popsparse_py::model {

// Keeps the exception of the lowest index.
class FirstFailure {
public:
  void record(std::size_t index, std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error_ == nullptr || index < index_.load()) {
      index_.store(index);
      error_ = std::move(error);
    }
  }
  // Work from this index on need not be done.
  std::size_t index() const { return index_.load(); }
  void rethrow() const {
    if (error_ != nullptr) {
      std::rethrow_exception(error_);
    }
  }

private:
  std::mutex mutex_;
  std::atomic<std::size_t> index_{std::numeric_limits<std::size_t>::max()};
  std::exception_ptr error_;
};

// Calls body(begin, end) for ranges of up to `grain` indices that together are [0, count). Each thread asks makeBody()
// for a body of its own. The ranges must not depend on each other. Rethrows what the lowest failing range threw.
template <class MakeBody>
void parallelFor(unsigned threads, std::size_t count, std::size_t grain, const MakeBody &makeBody) {
  std::atomic<std::size_t> next{0};
  FirstFailure failure;
  const auto work = [&]() {
    std::size_t begin = count;
    try {
      auto body = makeBody();
      for (begin = next.fetch_add(grain); begin < std::min(count, failure.index()); begin = next.fetch_add(grain)) {
        body(begin, std::min(begin + grain, count));
      }
    } catch (...) {
      failure.record(begin, std::current_exception());
    }
  };
  const std::size_t ranges = (count + grain - 1) / grain;
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < std::min<std::size_t>(threads, ranges); ++i) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error &) {
      break; // the host grants no more threads; those there are do all the work
    }
  }
  work();
  for (std::thread &helper : helpers) {
    helper.join();
  }
  failure.rethrow();
}

} // namespace popsparse_py::model

#endif
