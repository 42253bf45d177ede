// Host memory of one variable: its contents and which of them were written.
#ifndef POPSPARSE_PY_MODEL_STORAGE_HPP
#define POPSPARSE_PY_MODEL_STORAGE_HPP

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace popsparse_py::model {

constexpr std::size_t kHostAlign = 64; // bytes; a cache line, and more than any field asks for
constexpr std::size_t kUnitBytes =
    2; // the written map has one byte for each two of memory: the smallest element is a half

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};

// Contiguous bytes on a 64-byte boundary. Contents are not initialised.
class AlignedBytes {
public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t bytes) : size_(bytes) {
    const std::size_t whole = (bytes + kHostAlign - 1) / kHostAlign * kHostAlign;
    bytes_.reset(static_cast<std::byte *>(std::aligned_alloc(kHostAlign, whole == 0 ? kHostAlign : whole)));
    if (bytes_ == nullptr) {
      throw std::bad_alloc();
    }
  }

  std::byte *data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

private:
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

// One byte for each two-byte unit: 1 if it was written since the memory came to life.
class WrittenMap {
public:
  WrittenMap() = default;
  explicit WrittenMap(std::size_t units)
      : units_(units), map_(static_cast<char *>(std::calloc(units == 0 ? 1 : units, 1))) {
    if (map_ == nullptr) {
      throw std::bad_alloc();
    }
  }

  void set(std::size_t begin, std::size_t end) { std::memset(map_.get() + begin, 1, end - begin); }
  void clear(std::size_t begin, std::size_t end) { std::memset(map_.get() + begin, 0, end - begin); }
  // The first unwritten unit of [begin, end), or `end`.
  std::size_t firstUnwritten(std::size_t begin, std::size_t end) const {
    const void *found = begin == end ? nullptr : std::memchr(map_.get() + begin, 0, end - begin);
    return found == nullptr ? end : static_cast<std::size_t>(static_cast<const char *>(found) - map_.get());
  }
  std::size_t units() const { return units_; }

private:
  std::size_t units_ = 0;
  std::unique_ptr<char, Free> map_;
};

struct Storage {
  Storage() = default;
  explicit Storage(std::size_t bytes) : contents(bytes), written(bytes / kUnitBytes) {}

  AlignedBytes contents;
  WrittenMap written;
};

} // namespace popsparse_py::model

#endif
