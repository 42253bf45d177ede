#include <algorithm>

#include "errors.hpp"
#include "parallel.hpp"
#include "run_step.hpp"

namespace popsparse_py::model {

namespace {

constexpr std::size_t kCopiesPerRange = 1024;

class ExchangeRunner {
public:
  ExchangeRunner(const Program &program, const Step &step, std::vector<Storage> &storage)
      : program_(program), step_(step), storage_(storage), firstCopy_{0} {
    for (const CopySet &set : copies()) {
      firstCopy_.push_back(firstCopy_.back() + set.length.size());
    }
  }

  std::size_t numCopies() const { return firstCopy_.back(); }

  // Copies are numbered through all sets in order.
  void run(std::size_t begin, std::size_t end) const {
    auto set =
        static_cast<std::size_t>(std::upper_bound(firstCopy_.begin(), firstCopy_.end(), begin) - firstCopy_.begin()) -
        1;
    for (; begin < end; ++set) {
      const std::size_t last = std::min(end, firstCopy_[set + 1]);
      for (; begin < last; ++begin) {
        runCopy(copies()[set], begin - firstCopy_[set]);
      }
    }
  }

private:
  const std::vector<CopySet> &copies() const { return std::get<Exchange>(step_.action).copies; }

  void runCopy(const CopySet &set, std::size_t row) const {
    const Variable &source = program_.variables[set.source];
    const auto size = static_cast<std::size_t>(source.elementSize());
    const std::size_t units = size / kUnitBytes;
    const auto length = static_cast<std::size_t>(set.length[row]);
    const auto from = static_cast<std::size_t>(set.sourceBegin[row]);
    const auto to = static_cast<std::size_t>(set.destinationBegin[row]);
    const std::size_t unwritten = storage_[set.source].written.firstUnwritten(from * units, (from + length) * units);
    if (unwritten != (from + length) * units) {
      const auto element = static_cast<std::int64_t>(unwritten / units);
      throw ProgramError(text("exchange '", step_.name, "', copy ", row,
                              ": expected written memory as source, but element ", element, " of ",
                              describeSlice(source, set.sourceBegin[row], set.sourceBegin[row] + set.length[row]),
                              " was never written"));
    }
    std::memcpy(storage_[set.destination].contents.data() + to * size,
                storage_[set.source].contents.data() + from * size, length * size);
    storage_[set.destination].written.set(to * units, (to + length) * units);
  }

  const Program &program_;
  const Step &step_;
  std::vector<Storage> &storage_;
  std::vector<std::size_t> firstCopy_; // of each set; the last entry is the number of copies
};

} // namespace

void runExchange(const Program &program, const Step &step, std::vector<Storage> &storage, unsigned threads) {
  const ExchangeRunner runner(program, step, storage);
  parallelFor(threads, runner.numCopies(), kCopiesPerRange,
              [&]() { return [&](std::size_t begin, std::size_t end) { runner.run(begin, end); }; });
}

} // namespace popsparse_py::model
