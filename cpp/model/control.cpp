#include "control.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "errors.hpp"

namespace popsparse_py::model {

namespace {

struct Region {
  std::uint32_t first;
  std::uint32_t last;
};

// Widens `region` by all steps below `step`, and notes them.
void collectSteps(const Program &program, std::size_t step, Region &region, std::vector<std::size_t> &inside) {
  const auto *control = std::get_if<Control>(&program.steps[step].action);
  if (control == nullptr) {
    return;
  }
  for (const auto &body : control->bodies) {
    for (const std::size_t nested : body) {
      region.first = std::min(region.first, static_cast<std::uint32_t>(nested));
      inside.push_back(nested);
      collectSteps(program, nested, region, inside);
    }
  }
}

std::int64_t readInteger(Element element, const std::byte *memory) {
  const auto load = [&](auto value) {
    std::memcpy(&value, memory, sizeof(value));
    return static_cast<std::int64_t>(value);
  };
  switch (element) {
  case Element::U16:
    return load(std::uint16_t{});
  case Element::U32:
    return load(std::uint32_t{});
  default:
    return load(std::int32_t{});
  }
}

} // namespace

ControlKind controlKindFromName(const std::string &name) {
  static const std::map<std::string, ControlKind> kinds = {{"repeat", ControlKind::Repeat},
                                                           {"while", ControlKind::While},
                                                           {"if", ControlKind::If},
                                                           {"switch", ControlKind::Switch}};
  const auto found = kinds.find(name);
  if (found == kinds.end()) {
    throw ProgramError(text("expected control repeat, while, if or switch, got '", name, "'"));
  }
  return found->second;
}

void checkControl(const Program &program, const std::string &name, const Control &control) {
  const auto fail = [&](const auto &...parts) { throw ProgramError(text("control '", name, "': ", parts...)); };
  const std::size_t bodies = control.bodies.size();
  const bool isLoop = control.kind == ControlKind::Repeat || control.kind == ControlKind::While;
  if (isLoop && bodies != 1) {
    fail("expected one body, got ", bodies);
  }
  if (control.kind == ControlKind::If && bodies != 2) {
    fail("expected two bodies, for true and false, got ", bodies);
  }
  if (control.kind == ControlKind::Switch && bodies == 0) {
    fail("expected at least one case");
  }
  if (control.kind == ControlKind::Repeat && control.count < 0) {
    fail("expected a count of at least 0, got ", control.count);
  }
  for (const auto &body : control.bodies) {
    for (const std::size_t step : body) {
      if (step >= program.steps.size()) {
        fail("expected steps below ", program.steps.size(), ", got ", step);
      }
    }
  }
  if (control.kind == ControlKind::Repeat) {
    return;
  }
  if (control.variable >= program.variables.size()) {
    fail("expected a variable below ", program.variables.size(), ", got ", control.variable);
  }
  const Variable &variable = program.variables[control.variable];
  if (variable.element != Element::U16 && variable.element != Element::U32 && variable.element != Element::I32) {
    fail("expected an integer as variable '", variable.name, "', got ", elementName(variable.element));
  }
  if (variable.length < 1) {
    fail("variable '", variable.name, "' has no element");
  }
}

std::vector<Access> controlAccesses(const Program &program, std::size_t step) {
  const auto &control = std::get<Control>(program.steps[step].action);
  if (control.kind == ControlKind::Repeat) {
    return {};
  }
  return {
      {0, 1, static_cast<std::uint32_t>(control.variable), 0, static_cast<std::uint32_t>(step), 0, 0, 0, true, false}};
}

std::int64_t controlValue(const Program &program, const Step &step, const std::vector<Storage> &storage) {
  const auto &control = std::get<Control>(step.action);
  const Variable &variable = program.variables[control.variable];
  const Storage &memory = storage[control.variable];
  const auto units = static_cast<std::size_t>(variable.elementSize()) / kUnitBytes;
  if (memory.written.firstUnwritten(0, units) != units) {
    throw ProgramError(
        text("control '", step.name, "': expected written memory, but ", describeSlice(variable, 0, 1), " is not"));
  }
  return readInteger(variable.element, memory.contents.data());
}

std::size_t chosenBody(const Program &program, const Step &step, std::int64_t value) {
  const auto &control = std::get<Control>(step.action);
  if (control.kind == ControlKind::If) {
    return value != 0 ? 0 : 1;
  }
  if (value < 0 || static_cast<std::size_t>(value) >= control.bodies.size()) {
    throw ProgramError(text("switch '", step.name, "': expected variable '", program.variables[control.variable].name,
                            "' in [0, ", control.bodies.size(), "), it is ", value));
  }
  return static_cast<std::size_t>(value);
}

void keepThroughControls(const Program &program, std::vector<Access> &accesses) {
  std::vector<Region> regions(program.steps.size(), {0, 0});
  std::vector<bool> isInside(program.steps.size(), false);
  for (std::size_t step = 0; step < program.steps.size(); ++step) {
    if (program.steps[step].nested || !std::holds_alternative<Control>(program.steps[step].action)) {
      continue;
    }
    Region region{static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step)};
    std::vector<std::size_t> inside;
    collectSteps(program, step, region, inside);
    for (const std::size_t nested : inside) {
      if (isInside[nested]) { // shared by two controls
        region.first = std::min(region.first, regions[nested].first);
      }
    }
    for (const std::size_t nested : inside) {
      regions[nested] = region;
      isInside[nested] = true;
    }
  }
  const std::size_t count = accesses.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (isInside[accesses[i].step]) {
      for (const std::uint32_t step : {regions[accesses[i].step].first, regions[accesses[i].step].last}) {
        Access kept = accesses[i];
        kept.step = step;
        kept.reads = true;
        kept.writes = false;
        accesses.push_back(kept);
      }
    }
  }
}

} // namespace popsparse_py::model
