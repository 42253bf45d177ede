// Execution of one step on the storage of the variables, with the checks that depend on the data. Both throw
// ProgramError. Results and errors do not depend on the number of threads.
#ifndef POPSPARSE_PY_MODEL_RUN_STEP_HPP
#define POPSPARSE_PY_MODEL_RUN_STEP_HPP

#include <vector>

#include "program.hpp"
#include "storage.hpp"

namespace popsparse_py::model {

// Makes all copies of an exchange; every source element must have been written.
void runExchange(const Program &program, const Step &step, std::vector<Storage> &storage, unsigned threads);

// Runs all vertices of a compute set. Inputs must have been written; an element of an Output that no worker writes
// becomes unwritten. `exactPasses`: run each vertex a second time, on other memory contents, because data may look like
// unwritten memory.
void runCompute(const Program &program, const Step &step, std::vector<Storage> &storage, unsigned threads,
                bool exactPasses);

} // namespace popsparse_py::model

#endif
