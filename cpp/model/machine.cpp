#include "machine.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "checks.hpp"
#include "control.hpp"
#include "errors.hpp"
#include "private_field.hpp"
#include "run_step.hpp"

namespace popsparse_py::model {

namespace {

// A column must have a row for each copy or vertex.
void checkColumn(const std::string &step, const std::string &column, std::size_t rows, std::size_t expected) {
  if (rows != expected) {
    throw ProgramError(text("step '", step, "': expected ", expected, " rows in column '", column, "', got ", rows));
  }
}

template <class Unit> bool holds(const void *contents, std::size_t count, Unit pattern) {
  const auto *bytes = static_cast<const std::byte *>(contents);
  for (std::size_t i = 0; i < count; ++i) {
    Unit unit;
    std::memcpy(&unit, bytes + i * sizeof(Unit), sizeof(Unit));
    if (unit == pattern) {
      return true;
    }
  }
  return false;
}

bool holdsPoison(const Variable &variable, const void *contents) {
  const auto count = static_cast<std::size_t>(variable.length);
  switch (variable.element) {
  case Element::Half:
    return holds(contents, count, kPoison16);
  case Element::Float:
    return holds(contents, count, kPoison32);
  default:
    return false; // integer outputs always run twice
  }
}

std::vector<Access> checkStep(const Program &program, std::size_t step) {
  const auto &action = program.steps[step].action;
  if (std::holds_alternative<Exchange>(action)) {
    return checkExchange(program, step);
  }
  return std::holds_alternative<Compute>(action) ? checkCompute(program, step) : controlAccesses(program, step);
}

} // namespace

Machine::Machine(std::int32_t numTiles, std::int64_t tileBytes, unsigned workers, unsigned threads)
    : threads_(threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency())) {
  if (numTiles < 1 || tileBytes < 1) {
    throw ProgramError(
        text("expected at least one tile with at least one byte, got ", numTiles, " tiles of ", tileBytes, " B"));
  }
  if (workers != kWorkersPerTile) {
    throw ProgramError(
        text("expected ", kWorkersPerTile, " workers, for which the codelets are compiled, got ", workers));
  }
  program_.numTiles = numTiles;
  program_.tileBytes = tileBytes;
  program_.reservedBytes.assign(static_cast<std::size_t>(numTiles), 0);
}

std::unique_lock<std::mutex> Machine::lockForUse() const {
  std::unique_lock<std::mutex> lock(inUse_, std::try_to_lock);
  if (!lock.owns_lock()) {
    throw ProgramError("expected one user at a time, but another thread is using this model");
  }
  return lock;
}

std::size_t Machine::addVariable(Variable variable) {
  const auto lock = lockForUse();
  program_.variables.push_back(makeVariable(program_, std::move(variable)));
  storage_.emplace_back();
  compiled_ = measured_ = false;
  return program_.variables.size() - 1;
}

void Machine::checkVariableId(const std::string &step, std::size_t id) const {
  if (id >= program_.variables.size()) {
    throw ProgramError(text("step '", step, "': expected a variable below ", program_.variables.size(), ", got ", id));
  }
}

std::size_t Machine::addStep(Step step) {
  program_.steps.push_back(std::move(step));
  compiled_ = measured_ = false;
  return program_.steps.size() - 1;
}

std::size_t Machine::addExchange(const std::string &name, Exchange exchange) {
  const auto lock = lockForUse();
  for (const CopySet &set : exchange.copies) {
    checkVariableId(name, set.source);
    checkVariableId(name, set.destination);
    checkColumn(name, "source_begin", set.sourceBegin.size(), set.length.size());
    checkColumn(name, "destination_begin", set.destinationBegin.size(), set.length.size());
  }
  return addStep({name, std::move(exchange)});
}

std::size_t Machine::addCompute(const std::string &name, Compute compute) {
  const auto lock = lockForUse();
  for (const VertexSet &set : compute.vertices) {
    for (const FieldSlices &field : set.fields) {
      checkVariableId(name, field.variable);
      checkColumn(name, field.field, field.begin.size(), set.tiles.size());
      checkColumn(name, field.field, field.length.size(), set.tiles.size());
    }
    for (const ScalarColumn &scalar : set.scalars) {
      checkColumn(name, scalar.field, scalar.values.size(), set.tiles.size());
    }
  }
  return addStep({name, std::move(compute)});
}

std::size_t Machine::addControl(const std::string &name, Control control) {
  const auto lock = lockForUse();
  checkControl(program_, name, control);
  for (const auto &body : control.bodies) {
    for (const std::size_t step : body) {
      program_.steps[step].nested = true;
    }
  }
  return addStep({name, std::move(control)});
}

void Machine::reserve(const std::vector<std::int64_t> &bytesPerTile) {
  const auto lock = lockForUse();
  if (bytesPerTile.size() != program_.reservedBytes.size()) {
    throw ProgramError(text("expected reserved bytes for ", program_.numTiles, " tiles, got ", bytesPerTile.size()));
  }
  const auto negative =
      std::find_if(bytesPerTile.begin(), bytesPerTile.end(), [](std::int64_t bytes) { return bytes < 0; });
  if (negative != bytesPerTile.end()) {
    throw ProgramError(
        text("expected reserved bytes of at least 0, got ", *negative, " for tile ", negative - bytesPerTile.begin()));
  }
  std::transform(bytesPerTile.begin(), bytesPerTile.end(), program_.reservedBytes.begin(),
                 program_.reservedBytes.begin(), std::plus<>());
  compiled_ = measured_ = false;
}

void Machine::compile() {
  const auto lock = lockForUse();
  compiled_ = measured_ = false;
  std::vector<Access> temps;
  for (std::size_t step = 0; step < program_.steps.size(); ++step) {
    std::vector<Access> accesses = checkStep(program_, step);
    checkConflicts(program_, accesses);
    std::copy_if(accesses.begin(), accesses.end(), std::back_inserter(temps),
                 [&](const Access &access) { return program_.variables[access.variable].lifetime == Lifetime::Temp; });
  }
  keepThroughControls(program_, temps);
  liveRanges_ = findLiveRanges(program_, temps);
  peakBytes_ = model::peakBytes(program_, liveRanges_);
  measured_ = true;
  checkTileMemory(program_, liveRanges_, peakBytes_);
  compiled_ = true;
}

std::vector<std::int64_t> Machine::tileBytes() const {
  const auto lock = lockForUse();
  if (!measured_) {
    throw ProgramError("expected a compiled program: call compile() before tile_bytes()");
  }
  return peakBytes_;
}

const Variable &Machine::variable(std::size_t id) const {
  if (id >= program_.variables.size()) {
    throw ProgramError(text("expected a variable below ", program_.variables.size(), ", got ", id));
  }
  return program_.variables[id];
}

Storage &Machine::allocate(std::size_t id) {
  const auto bytes = static_cast<std::size_t>(program_.variables[id].length * program_.variables[id].elementSize());
  if (storage_[id].contents.data() == nullptr) {
    storage_[id] = Storage(bytes);
  }
  return storage_[id];
}

void Machine::write(std::size_t id, const void *contents) {
  const auto lock = lockForUse();
  const Variable &target = variable(id);
  Storage &storage = allocate(id);
  if (storage.contents.size() > 0) {
    std::memcpy(storage.contents.data(), contents, storage.contents.size());
    storage.written.set(0, storage.written.units());
  }
  poisonWritten_ = poisonWritten_ || holdsPoison(target, contents);
}

void Machine::read(std::size_t id, void *contents) const {
  const auto lock = lockForUse();
  const Variable &source = variable(id);
  const Storage &storage = storage_[id];
  const auto units = static_cast<std::size_t>(source.elementSize()) / kUnitBytes;
  const bool exists = storage.contents.data() != nullptr;
  const std::size_t unwritten = exists ? storage.written.firstUnwritten(0, storage.written.units()) : 0;
  if (unwritten != static_cast<std::size_t>(source.length) * units) {
    throw ProgramError(text("read: expected written memory, but element ", unwritten / units, " of ",
                            describeSlice(source, 0, source.length), " was never written"));
  }
  if (storage.contents.size() > 0) {
    std::memcpy(contents, storage.contents.data(), storage.contents.size());
  }
}

// Memory that comes to life at a step holds nothing of use: whatever lay there before is unwritten.
void Machine::killContents(std::size_t step, std::size_t &nextRange) {
  for (; nextRange < liveRanges_.size() && liveRanges_[nextRange].first <= step; ++nextRange) {
    const LiveRange &range = liveRanges_[nextRange];
    const Variable &temp = program_.variables[range.variable];
    const auto units = static_cast<std::size_t>(temp.elementSize()) / kUnitBytes;
    if (range.bornUnwritten) {
      storage_[range.variable].written.clear(static_cast<std::size_t>(temp.begins[range.interval]) * units,
                                             static_cast<std::size_t>(temp.intervalEnd(range.interval)) * units);
    }
  }
}

void Machine::run(const std::function<void()> &betweenSteps) {
  const auto lock = lockForUse();
  if (!compiled_) {
    throw ProgramError("expected a compiled program: call compile() before run()");
  }
  for (std::size_t id = 0; id < storage_.size(); ++id) {
    allocate(id);
  }
  executions_.assign(program_.steps.size(), 0);
  std::size_t nextRange = 0;
  for (std::size_t i = 0; i < program_.steps.size(); ++i) {
    if (!program_.steps[i].nested) {
      killContents(i, nextRange);
      runStep(i, betweenSteps);
    }
  }
}

void Machine::runStep(std::size_t id, const std::function<void()> &betweenSteps) {
  betweenSteps();
  ++executions_[id];
  const Step &step = program_.steps[id];
  if (std::holds_alternative<Exchange>(step.action)) {
    runExchange(program_, step, storage_, threads_);
  } else if (std::holds_alternative<Compute>(step.action)) {
    runCompute(program_, step, storage_, threads_, poisonWritten_);
  } else {
    runControl(step, betweenSteps);
  }
}

void Machine::runControl(const Step &step, const std::function<void()> &betweenSteps) {
  const auto &control = std::get<Control>(step.action);
  const auto runBody = [&](std::size_t body) {
    for (const std::size_t nested : control.bodies[body]) {
      runStep(nested, betweenSteps);
    }
  };
  switch (control.kind) {
  case ControlKind::Repeat:
    for (std::int64_t round = 0; round < control.count; ++round) {
      runBody(0);
    }
    break;
  case ControlKind::While:
    while (controlValue(program_, step, storage_) != 0) {
      runBody(0);
    }
    break;
  default:
    runBody(chosenBody(program_, step, controlValue(program_, step, storage_)));
  }
}

} // namespace popsparse_py::model
