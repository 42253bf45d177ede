// Steps that choose at run time which other steps are made: what they need to be right, what they read, what lives
// while they run.
#ifndef POPSPARSE_PY_MODEL_CONTROL_HPP
#define POPSPARSE_PY_MODEL_CONTROL_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "checks.hpp"
#include "program.hpp"
#include "storage.hpp"

namespace popsparse_py::model {

// "repeat", "while", "if" or "switch". Throws ProgramError.
ControlKind controlKindFromName(const std::string &name);

// Throws ProgramError unless the kind has the bodies that it needs, its variable is an integer, and its steps exist.
void checkControl(const Program &program, const std::string &name, const Control &control);

// What a control step itself reads: the first element of its variable.
std::vector<Access> controlAccesses(const Program &program, std::size_t step);

// The value of the control's variable now. Throws ProgramError if it was never written.
std::int64_t controlValue(const Program &program, const Step &step, const std::vector<Storage> &storage);

// The body of a switch for a value, or of an if: an index into bodies. Throws ProgramError if there is none.
std::size_t chosenBody(const Program &program, const Step &step, std::int64_t value);

// What a temp holds when a loop begins may be read in any round, and what a round leaves in the next: each access of
// a step inside a control becomes a read at the first of its steps and at its end.
void keepThroughControls(const Program &program, std::vector<Access> &accesses);

} // namespace popsparse_py::model

#endif
