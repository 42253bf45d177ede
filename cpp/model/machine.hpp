// The tile machine: runs a program over many tiles, functionally and strictly. It knows no cycles.
//
// Add variables and steps, compile() (all static checks), write() inputs, run(), read() results. Wrong calls and
// programs that break a rule throw ProgramError, an over-full tile TileMemoryError. One thread at a time may use a
// machine.
#ifndef POPSPARSE_PY_MODEL_MACHINE_HPP
#define POPSPARSE_PY_MODEL_MACHINE_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "memory.hpp"
#include "program.hpp"
#include "storage.hpp"

namespace popsparse_py::model {

class Machine {
public:
  // threads: of the host; 0 takes one for each core. workers: must be 6, for which codelets are compiled.
  Machine(std::int32_t numTiles, std::int64_t tileBytes, unsigned workers, unsigned threads);

  // Each returns the index of what it added.
  std::size_t addVariable(Variable variable);
  std::size_t addExchange(const std::string &name, Exchange exchange);
  std::size_t addCompute(const std::string &name, Compute compute);
  // The steps of its bodies are no longer made by themselves.
  std::size_t addControl(const std::string &name, Control control);
  // Counts bytes on each tile (code, vertex state, exchange code) into its memory; calls add up.
  void reserve(const std::vector<std::int64_t> &bytesPerTile);

  // Runs all static checks and finds the bytes per tile. After a TileMemoryError, tileBytes() is known nevertheless.
  void compile();
  // Bytes that each tile needs at its fullest step.
  std::vector<std::int64_t> tileBytes() const;

  const Variable &variable(std::size_t id) const;
  // `contents`: variable(id).length elements. Marks all of them written.
  void write(std::size_t id, const void *contents);
  // Copies the variable out; throws if an element was never written.
  void read(std::size_t id, void *contents) const;

  // How often each step was made in the last run.
  const std::vector<std::int64_t> &executions() const { return executions_; }

  // Runs all steps once, those of controls as these say; calls betweenSteps() before each. If that throws, the run
  // stops there.
  void run(const std::function<void()> &betweenSteps);

private:
  std::unique_lock<std::mutex> lockForUse() const;
  std::size_t addStep(Step step);
  void checkVariableId(const std::string &step, std::size_t id) const;
  Storage &allocate(std::size_t id);
  void killContents(std::size_t step, std::size_t &nextRange);
  void runStep(std::size_t id, const std::function<void()> &betweenSteps);
  void runControl(const Step &step, const std::function<void()> &betweenSteps);

  Program program_;
  unsigned threads_;
  bool compiled_ = false;
  bool measured_ = false;
  bool poisonWritten_ = false; // data from the host that look like unwritten memory
  std::vector<LiveRange> liveRanges_;
  std::vector<std::int64_t> peakBytes_;
  std::vector<Storage> storage_;
  std::vector<std::int64_t> executions_;
  mutable std::mutex inUse_;
};

} // namespace popsparse_py::model

#endif
