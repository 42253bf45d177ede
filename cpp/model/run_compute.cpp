#include <algorithm>
#include <deque>

#include "errors.hpp"
#include "parallel.hpp"
#include "private_field.hpp"
#include "run_step.hpp"
#include "vertices.hpp"

namespace popsparse_py::model {

namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POPSPARSE_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(POPSPARSE_ADDRESS_SANITIZER)
constexpr bool kCheckReads =
    true; // the sanitizer finds reads outside a field, if each field is an allocation of its own
#else
constexpr bool kCheckReads = false;
#endif

bool isInteger(Element element) {
  return scalarOf(element) != Element::Half && scalarOf(element) != Element::Float;
}

// Runs vertices one by one on one host thread, with memory of its own.
class VertexRunner {
public:
  VertexRunner(const Program &program, const Step &step, std::vector<Storage> &storage, bool exactPasses)
      : program_(program), step_(step), storage_(storage), exactPasses_(exactPasses) {}

  void run(const VertexSet &set, const VertexInfo &info, std::size_t row) {
    set_ = &set;
    info_ = &info;
    row_ = row;
    passes_ = exactPasses_ ? 2 : 1;
    outputs_.clear();
    if (instance_.size() < info.hostBytes) {
      instance_ = AlignedBytes(info.hostBytes);
      before_ = AlignedBytes(info.hostBytes);
    }
    std::memset(instance_.data(), 0, info.hostBytes);
    for (const FieldSlices &slices : set.fields) {
      bindField(slices, *info.findField(slices.field));
    }
    for (const ScalarColumn &scalar : set.scalars) {
      setScalar(instance_.data(), *info.findField(scalar.field), static_cast<double>(scalar.values[row]));
    }
    for (unsigned pass = 0; pass < passes_; ++pass) {
      runPass(pass);
    }
    inputCopies_.clear();
  }

private:
  struct Output {
    const FieldSlices *slices;
    PrivateField *field;
  };

  void bindField(const FieldSlices &slices, const FieldInfo &field) {
    const Variable &variable = program_.variables[slices.variable];
    Storage &storage = storage_[slices.variable];
    const auto size = static_cast<std::size_t>(variable.elementSize());
    const auto begin = static_cast<std::size_t>(slices.begin[row_]);
    const auto length = static_cast<std::size_t>(slices.length[row_]);
    if (field.direction != Direction::Out) {
      checkWritten(slices, variable, storage.written);
    }
    std::byte *seen = storage.contents.data() + begin * size;
    if (field.direction != Direction::In) {
      if (outputs_.size() == fields_.size()) {
        fields_.emplace_back();
      }
      PrivateField &own = fields_[outputs_.size()];
      own.attach({seen, &storage.written, begin * size / kUnitBytes, length * size, size,
                  field.direction == Direction::InOut});
      outputs_.push_back({&slices, &own});
      passes_ = isInteger(field.element) ? 2 : passes_;
      seen = own.data();
    } else if (kCheckReads) {
      seen = copyInput(seen, length * size);
    }
    const std::size_t lanes = elementBytes(field.element) / size;
    bindVector(instance_.data(), field, seen, length / lanes);
  }

  // An exact copy, so that the address sanitizer sees a read outside the field.
  std::byte *copyInput(const std::byte *contents, std::size_t bytes) {
    inputCopies_.emplace_back(bytes);
    if (bytes > 0) {
      std::memcpy(inputCopies_.back().data(), contents, bytes);
    }
    return inputCopies_.back().data();
  }

  void checkWritten(const FieldSlices &slices, const Variable &variable, const WrittenMap &written) const {
    const auto units = static_cast<std::size_t>(variable.elementSize()) / kUnitBytes;
    const std::int64_t begin = slices.begin[row_];
    const std::int64_t end = begin + slices.length[row_];
    const std::size_t endUnit = static_cast<std::size_t>(end) * units;
    const std::size_t unwritten = written.firstUnwritten(static_cast<std::size_t>(begin) * units, endUnit);
    if (unwritten != endUnit) {
      throw ProgramError(text(describeVertex(step_.name, *set_, row_), ", field '", slices.field,
                              "': expected written memory, but element ", unwritten / units, " of ",
                              describeSlice(variable, begin, end), " was never written"));
    }
  }

  void runPass(unsigned pass) {
    for (const Output &output : outputs_) {
      output.field->fill(pass);
    }
    for (unsigned worker = 0; worker < info_->workers; ++worker) {
      std::memcpy(before_.data(), instance_.data(), info_->hostBytes);
      info_->run(instance_.data(), worker);
      if (info_->workers > 1 && std::memcmp(before_.data(), instance_.data(), info_->hostBytes) != 0) {
        throw ProgramError(text(describeVertex(step_.name, *set_, row_), ": worker ", worker,
                                " changes fields of the vertex itself, which all workers share"));
      }
      std::memcpy(instance_.data(), before_.data(), info_->hostBytes);
      for (const Output &output : outputs_) {
        if (const auto fault = output.field->collect(worker)) {
          failWrite(*output.slices, *fault, worker);
        }
      }
    }
  }

  [[noreturn]] void failWrite(const FieldSlices &slices, const WriteFault &fault, unsigned worker) const {
    const Variable &variable = program_.variables[slices.variable];
    const std::int64_t begin = slices.begin[row_];
    const std::int64_t length = slices.length[row_];
    const std::string where = text(describeVertex(step_.name, *set_, row_), ", field '", slices.field,
                                   "' = ", describeSlice(variable, begin, begin + length), ": ");
    if (fault.kind == WriteFault::Kind::OutOfRange) {
      throw ProgramError(
          text(where, "worker ", worker, " writes outside it, at element ", fault.element, " of ", length));
    }
    throw ProgramError(text(where, "expected one writer for each 32-bit word, but workers ", fault.otherWorker, " and ",
                            worker, " both write the word of element ", fault.element, " (", begin + fault.element,
                            " of the variable)"));
  }

  const Program &program_;
  const Step &step_;
  std::vector<Storage> &storage_;
  bool exactPasses_;
  const VertexSet *set_ = nullptr;
  const VertexInfo *info_ = nullptr;
  std::size_t row_ = 0;
  unsigned passes_ = 1;
  AlignedBytes instance_;
  AlignedBytes before_;
  std::deque<PrivateField> fields_; // reused from vertex to vertex
  std::vector<Output> outputs_;
  std::deque<std::vector<std::byte>> inputCopies_;
};

} // namespace

void runCompute(const Program &program, const Step &step, std::vector<Storage> &storage, unsigned threads,
                bool exactPasses) {
  const auto &sets = std::get<Compute>(step.action).vertices;
  std::vector<std::size_t> firstInstance{0};
  std::vector<const VertexInfo *> infos;
  for (const VertexSet &set : sets) {
    firstInstance.push_back(firstInstance.back() + set.tiles.size());
    infos.push_back(lookUpVertex(set.vertex));
  }
  parallelFor(threads, firstInstance.back(), 1, [&]() {
    return [&, runner = VertexRunner(program, step, storage, exactPasses)](std::size_t instance, std::size_t) mutable {
      const auto after = std::upper_bound(firstInstance.begin(), firstInstance.end(), instance);
      const auto set = static_cast<std::size_t>(after - firstInstance.begin()) - 1;
      runner.run(sets[set], *infos[set], instance - firstInstance[set]);
    };
  });
}

} // namespace popsparse_py::model
