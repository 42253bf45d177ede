#include "memory.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "errors.hpp"

namespace popsparse_py::model {

namespace {

using Segments = std::vector<std::pair<std::int64_t, std::int64_t>>;

// True if the segments cover [begin, end). Sorts them.
bool covers(Segments &segments, std::int64_t begin, std::int64_t end) {
  std::sort(segments.begin(), segments.end());
  std::int64_t reached = begin;
  for (const auto &[segmentBegin, segmentEnd] : segments) {
    if (segmentBegin > reached) {
      return false;
    }
    reached = std::max(reached, segmentEnd);
  }
  return reached >= end;
}

// The lifetimes of one interval; its accesses come ordered by step.
class IntervalLife {
public:
  IntervalLife(const Program &program, const Access &first)
      : begin_(program.variables[first.variable].begins[first.interval]),
        end_(program.variables[first.variable].intervalEnd(first.interval)),
        range_{first.variable, first.interval, first.step, first.step, true} {}

  // Adds all accesses of one step.
  void addStep(const Access *first, const Access *last, std::vector<LiveRange> &done) {
    const std::uint32_t step = first->step;
    if (std::any_of(first, last, [](const Access &access) { return access.reads; })) {
      read(step, done);
    }
    for (; first != last; ++first) {
      if (first->writes) {
        firstWrite_ = written_.empty() ? step : firstWrite_;
        written_.emplace_back(first->begin, first->end);
      }
    }
    lastUse_ = step;
  }

  void finish(std::vector<LiveRange> &done) {
    range_.last = lastUse_;
    done.push_back(range_);
  }

private:
  void read(std::uint32_t step, std::vector<LiveRange> &done) {
    if (lastRead_ < 0 && written_.empty()) {
      range_.first = 0;
      range_.bornUnwritten = false;
    } else if (lastRead_ >= 0 && firstWrite_ > lastRead_ && covers(written_, begin_, end_)) {
      range_.last = static_cast<std::uint32_t>(lastRead_);
      done.push_back(range_);
      range_.first = static_cast<std::uint32_t>(firstWrite_);
      range_.bornUnwritten = true;
    }
    written_.clear();
    lastRead_ = step;
  }

  std::int64_t begin_;
  std::int64_t end_;
  LiveRange range_;
  Segments written_; // since the last read
  std::int64_t firstWrite_ = 0;
  std::int64_t lastRead_ = -1;
  std::uint32_t lastUse_ = 0;
};

// Bytes of temps that live on each tile during each step: row step, column tile.
std::vector<std::vector<std::int64_t>> liveBytes(const Program &program, const std::vector<LiveRange> &ranges) {
  const std::vector<std::int64_t> none(static_cast<std::size_t>(program.numTiles), 0);
  std::vector<std::vector<std::int64_t>> live(program.steps.size() + 1, none);
  for (const LiveRange &range : ranges) {
    const Variable &variable = program.variables[range.variable];
    const auto tile = static_cast<std::size_t>(variable.tiles[range.interval]);
    live[range.first][tile] += variable.intervalBytes(range.interval);
    live[range.last + 1][tile] -= variable.intervalBytes(range.interval);
  }
  for (std::size_t step = 1; step < live.size(); ++step) {
    for (std::size_t tile = 0; tile < live[step].size(); ++tile) {
      live[step][tile] += live[step - 1][tile];
    }
  }
  return live;
}

// What holds bytes on a tile during a step, largest first.
std::vector<std::pair<std::int64_t, std::string>>
tileContents(const Program &program, const std::vector<LiveRange> &ranges, std::int32_t tile, std::size_t step) {
  std::map<std::string, std::int64_t> bytes{{"reserved", program.reservedBytes[static_cast<std::size_t>(tile)]}};
  for (const Variable &variable : program.variables) {
    for (std::size_t i = 0; i < variable.numIntervals() && variable.lifetime == Lifetime::Always; ++i) {
      bytes[variable.name] += variable.tiles[i] == tile ? variable.intervalBytes(i) : 0;
    }
  }
  for (const LiveRange &range : ranges) {
    const Variable &variable = program.variables[range.variable];
    if (variable.tiles[range.interval] == tile && range.first <= step && step <= range.last) {
      bytes[variable.name] += variable.intervalBytes(range.interval);
    }
  }
  std::vector<std::pair<std::int64_t, std::string>> contents;
  for (const auto &[name, amount] : bytes) {
    contents.emplace_back(amount, name);
  }
  std::stable_sort(contents.begin(), contents.end(),
                   [](const auto &one, const auto &two) { return one.first > two.first; });
  return contents;
}

} // namespace

std::vector<LiveRange> findLiveRanges(const Program &program, std::vector<Access> &accesses) {
  const auto key = [](const Access &access) { return std::tuple(access.variable, access.interval, access.step); };
  std::sort(accesses.begin(), accesses.end(),
            [&](const Access &one, const Access &two) { return key(one) < key(two); });
  std::vector<LiveRange> ranges;
  const Access *const end = accesses.data() + accesses.size();
  for (const Access *at = accesses.data(); at != end;) {
    const Access &first = *at;
    IntervalLife life(program, first);
    while (at != end && at->variable == first.variable && at->interval == first.interval) {
      const Access *next = std::find_if(at, end, [&](const Access &access) { return key(access) != key(*at); });
      life.addStep(at, next, ranges);
      at = next;
    }
    life.finish(ranges);
  }
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const LiveRange &one, const LiveRange &two) { return one.first < two.first; });
  return ranges;
}

std::vector<std::int64_t> peakBytes(const Program &program, const std::vector<LiveRange> &ranges) {
  std::vector<std::int64_t> peaks(static_cast<std::size_t>(program.numTiles), 0);
  for (const auto &step : liveBytes(program, ranges)) {
    std::transform(peaks.begin(), peaks.end(), step.begin(), peaks.begin(),
                   [](std::int64_t peak, std::int64_t bytes) { return std::max(peak, bytes); });
  }
  for (const Variable &variable : program.variables) {
    for (std::size_t i = 0; i < variable.numIntervals() && variable.lifetime == Lifetime::Always; ++i) {
      peaks[static_cast<std::size_t>(variable.tiles[i])] += variable.intervalBytes(i);
    }
  }
  std::transform(peaks.begin(), peaks.end(), program.reservedBytes.begin(), peaks.begin(), std::plus<>());
  return peaks;
}

void checkTileMemory(const Program &program, const std::vector<LiveRange> &ranges,
                     const std::vector<std::int64_t> &peaks) {
  const auto worst = std::max_element(peaks.begin(), peaks.end());
  if (*worst <= program.tileBytes) {
    return;
  }
  const auto tile = static_cast<std::size_t>(worst - peaks.begin());
  const auto live = liveBytes(program, ranges);
  const auto fullest = std::max_element(live.begin(), live.end(),
                                        [&](const auto &one, const auto &two) { return one[tile] < two[tile]; });
  const auto step = static_cast<std::size_t>(fullest - live.begin());
  const auto contents = tileContents(program, ranges, static_cast<std::int32_t>(tile), step);
  std::string largest;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, contents.size()) && contents[i].first > 0; ++i) {
    largest += text(i == 0 ? "" : ", ", contents[i].second, " ", withCommas(contents[i].first));
  }
  const std::string when =
      step < program.steps.size() ? text("; fullest in step '", program.steps[step].name, "'") : std::string();
  throw TileMemoryError(text("tile ", tile, " needs ", withCommas(*worst), " B (", largest, "), has ",
                             withCommas(program.tileBytes), " B", when),
                        static_cast<std::int32_t>(tile), *worst, program.tileBytes);
}

} // namespace popsparse_py::model
