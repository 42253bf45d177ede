#include "checks.hpp"
#include "errors.hpp"

namespace popsparse_py::model {

namespace {

struct Side {
  const char *role; // "source" or "destination"
  std::size_t variable;
  std::int64_t begin;
};

class ExchangeCheck {
public:
  ExchangeCheck(const Program &program, std::size_t step, std::vector<Access> &accesses)
      : program_(program), step_(step), accesses_(accesses) {}

  void checkSet(const CopySet &set, std::size_t setIndex) {
    const Variable &source = program_.variables[set.source];
    const Variable &destination = program_.variables[set.destination];
    if (source.element != destination.element) {
      throw ProgramError(text("exchange '", program_.steps[step_].name, "': expected one dtype on both sides, got ",
                              elementName(source.element), " of '", source.name, "' and ",
                              elementName(destination.element), " of '", destination.name, "'"));
    }
    for (std::size_t row = 0; row < set.length.size(); ++row) {
      if (set.length[row] != 0) {
        addSide({"source", set.source, set.sourceBegin[row]}, set.length[row], setIndex, row);
        addSide({"destination", set.destination, set.destinationBegin[row]}, set.length[row], setIndex, row);
      }
    }
  }

private:
  void addSide(const Side &side, std::int64_t length, std::size_t set, std::size_t row) {
    const Variable &variable = program_.variables[side.variable];
    const std::int64_t end = side.begin + length;
    const auto fail = [&](const std::string &expected) {
      throw ProgramError(text("exchange '", program_.steps[step_].name, "', copy ", row, ": ", expected, " as ",
                              side.role, ", got ", describeSlice(variable, side.begin, end)));
    };
    if (length < 0 || side.begin < 0 || end > variable.length) {
      fail(text("expected elements within [0, ", variable.length, ")"));
    }
    const std::size_t interval = variable.intervalAt(side.begin);
    if (end > variable.intervalEnd(interval)) {
      fail(text("expected a slice inside one interval [", variable.begins[interval], ", ",
                variable.intervalEnd(interval), ")"));
    }
    if (side.begin * variable.elementSize() % kExchangeAlign != 0 ||
        length * variable.elementSize() % kExchangeAlign != 0) {
      fail(text("expected whole ", kExchangeAlign, "-byte words of ", elementName(variable.element)));
    }
    const bool isSource = side.role[0] == 's';
    accesses_.push_back({side.begin, end, static_cast<std::uint32_t>(side.variable),
                         static_cast<std::uint32_t>(interval), static_cast<std::uint32_t>(step_),
                         static_cast<std::uint32_t>(set), static_cast<std::uint32_t>(row), 0, isSource, !isSource});
  }

  const Program &program_;
  std::size_t step_;
  std::vector<Access> &accesses_;
};

} // namespace

std::vector<Access> checkExchange(const Program &program, std::size_t step) {
  const auto &copies = std::get<Exchange>(program.steps[step].action).copies;
  std::size_t count = 0;
  for (const CopySet &set : copies) {
    count += 2 * set.length.size();
  }
  std::vector<Access> accesses;
  accesses.reserve(count);
  ExchangeCheck check(program, step, accesses);
  for (std::size_t set = 0; set < copies.size(); ++set) {
    check.checkSet(copies[set], set);
  }
  return accesses;
}

} // namespace popsparse_py::model
