#include "private_field.hpp"

#include <algorithm>
#include <cstring>

#include "program.hpp"

namespace popsparse_py::model {

namespace {

constexpr std::size_t kWord = static_cast<std::size_t>(kStoreWordBytes);

template <class Unit> Unit load(const std::byte *bytes, std::size_t index) {
  Unit unit;
  std::memcpy(&unit, bytes + index * sizeof(Unit), sizeof(Unit));
  return unit;
}

// The first unit of [begin, end) at which the two differ, or `end`.
template <class Unit>
std::size_t firstDifference(const std::byte *one, const std::byte *two, std::size_t begin, std::size_t end) {
  constexpr std::size_t kStride = 64 / sizeof(Unit);
  while (begin + kStride <= end && std::memcmp(one + begin * sizeof(Unit), two + begin * sizeof(Unit), 64) == 0) {
    begin += kStride;
  }
  while (begin < end && load<Unit>(one, begin) == load<Unit>(two, begin)) {
    ++begin;
  }
  return begin;
}

template <class Unit>
std::size_t firstEqual(const std::byte *one, const std::byte *two, std::size_t begin, std::size_t end) {
  while (begin < end && load<Unit>(one, begin) != load<Unit>(two, begin)) {
    ++begin;
  }
  return begin;
}

} // namespace

void PrivateField::attach(const FieldMemory &memory) {
  memory_ = memory;
  const std::size_t bytes = memory.numBytes + 2 * kGuardBytes + kWord; // room for a last word of poison
  if (work_.size() < bytes) {
    work_ = AlignedBytes(bytes);
    reference_ = AlignedBytes(bytes);
  }
  owner_.assign((memory.numBytes + kWord - 1) / kWord, 0);
  if (!memory.keepsOld) {
    memory.written->clear(memory.firstUnit, memory.firstUnit + memory.numBytes / kUnitBytes);
  }
}

void PrivateField::fill(unsigned pass) {
  if (memory_.keepsOld && pass > 0) {
    return; // collect() has left the old contents in place
  }
  std::uint32_t poison = memory_.elementSize == 2 ? kPoison16 * 0x10001u : kPoison32;
  poison = pass == 0 ? poison : ~poison;
  const std::size_t bytes = memory_.numBytes + 2 * kGuardBytes;
  for (std::size_t at = 0; at < bytes; at += kWord) {
    std::memcpy(reference_.data() + at, &poison, kWord);
  }
  if (memory_.keepsOld) {
    std::memcpy(reference_.data() + kGuardBytes, memory_.contents, memory_.numBytes);
  }
  std::memcpy(work_.data(), reference_.data(), bytes);
}

std::optional<WriteFault> PrivateField::collect(unsigned worker) {
  return memory_.elementSize == 2 ? collectUnits<std::uint16_t>(worker) : collectUnits<std::uint32_t>(worker);
}

template <class Unit> std::optional<WriteFault> PrivateField::collectUnits(unsigned worker) {
  constexpr std::size_t kGuard = kGuardBytes / sizeof(Unit);
  const std::size_t fieldEnd = kGuard + memory_.numBytes / sizeof(Unit);
  const auto outside = [&](std::size_t begin, std::size_t end) -> std::optional<WriteFault> {
    const std::size_t at = firstDifference<Unit>(work_.data(), reference_.data(), begin, end);
    if (at == end) {
      return std::nullopt;
    }
    return WriteFault{WriteFault::Kind::OutOfRange, static_cast<std::int64_t>(at) - static_cast<std::int64_t>(kGuard)};
  };
  if (const auto fault = outside(0, kGuard)) {
    return fault;
  }
  if (const auto fault = outside(fieldEnd, fieldEnd + kGuard)) {
    return fault;
  }
  std::size_t begin = firstDifference<Unit>(work_.data(), reference_.data(), kGuard, fieldEnd);
  while (begin != fieldEnd) {
    const std::size_t end = firstEqual<Unit>(work_.data(), reference_.data(), begin, fieldEnd);
    if (const auto fault = takeRun(worker, (begin - kGuard) * sizeof(Unit), (end - kGuard) * sizeof(Unit))) {
      return fault;
    }
    begin = firstDifference<Unit>(work_.data(), reference_.data(), end, fieldEnd);
  }
  return std::nullopt;
}

std::optional<WriteFault> PrivateField::takeRun(unsigned worker, std::size_t begin, std::size_t end) {
  const auto mine = static_cast<std::uint8_t>(worker + 1);
  for (std::size_t word = begin / kWord; word * kWord < end; ++word) {
    if (owner_[word] != 0 && owner_[word] != mine) {
      const std::size_t at = std::max(begin, word * kWord) / memory_.elementSize;
      return WriteFault{WriteFault::Kind::SharedWord, static_cast<std::int64_t>(at), owner_[word] - 1u};
    }
    owner_[word] = mine;
  }
  std::memcpy(memory_.contents + begin, data() + begin, end - begin);
  memory_.written->set(memory_.firstUnit + begin / kUnitBytes, memory_.firstUnit + end / kUnitBytes);
  std::memcpy(data() + begin, reference_.data() + kGuardBytes + begin, end - begin);
  return std::nullopt;
}

} // namespace popsparse_py::model
