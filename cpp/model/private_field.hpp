// Private memory for one Output or InOut field of one vertex, in which every write of a worker can be seen.
//
// An Output starts as poison, an InOut as its old contents, both between two guard zones of poison. After a worker ran,
// whatever differs from the start was written by it: inside the field the words get an owner and go to the tile's
// memory, in a guard zone the write is out of range. The poison is a signalling NaN, which no arithmetic result is;
// data that may equal it anyway (copied bits, integers) need a second pass with the complement. A write to an InOut
// that leaves its old value cannot be seen.
#ifndef POPSPARSE_PY_MODEL_PRIVATE_FIELD_HPP
#define POPSPARSE_PY_MODEL_PRIVATE_FIELD_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "registry.hpp"
#include "storage.hpp"

namespace popsparse_py::model {

// Poison of one element: a signalling NaN for half and float.
constexpr std::uint16_t kPoison16 = 0x7DA5;
constexpr std::uint32_t kPoison32 = 0x7FA5A5A5;

// A slice of the tile's memory that a field stands for.
struct FieldMemory {
  std::byte *contents;
  WrittenMap *written;
  std::size_t firstUnit; // of the slice in the written map
  std::size_t numBytes;
  std::size_t elementSize; // 2 or 4 bytes
  bool keepsOld;           // InOut
};

struct WriteFault {
  enum class Kind { OutOfRange, SharedWord } kind;
  std::int64_t element;    // from the start of the field; negative, or its length and above, if out of range
  unsigned otherWorker{0}; // SharedWord: who wrote the word first
};

class PrivateField {
public:
  // Makes room for the field and forgets all owners; marks an Output unwritten.
  void attach(const FieldMemory &memory);
  // Fills the memory with the pass's poison (or the old contents); pass is 0 or 1.
  void fill(unsigned pass);
  // What the worker sees as the field.
  std::byte *data() const { return work_.data() + kGuardBytes; }
  // Moves what the worker wrote to the tile's memory and makes the private memory as it was before.
  std::optional<WriteFault> collect(unsigned worker);

private:
  static constexpr std::size_t kGuardBytes = 64; // on either side

  template <class Unit> std::optional<WriteFault> collectUnits(unsigned worker);
  // Takes the run [begin, end) of bytes of the field; the fault names the word that had another owner.
  std::optional<WriteFault> takeRun(unsigned worker, std::size_t begin, std::size_t end);

  FieldMemory memory_{};
  AlignedBytes work_;               // guard, field, guard
  AlignedBytes reference_;          // what work_ held before the worker ran
  std::vector<std::uint8_t> owner_; // of each 32-bit word: 0, or 1 + worker
};

} // namespace popsparse_py::model

#endif
