// One vertex instance in raw memory, bound by field name.
#ifndef POPSPARSE_PY_TESTS_INSTANCE_HPP
#define POPSPARSE_PY_TESTS_INSTANCE_HPP

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "check.hpp"
#include "registry.hpp"

class Instance {
public:
  explicit Instance(popsparse_py::model::VertexInfo vertex) : info(std::move(vertex)), memory(info.hostBytes / 16 + 1) {
    std::memset(memory.data(), 0, memory.size() * sizeof(Line));
  }

  template <class T> void vector(const char *name, std::vector<T> &data) { vector(name, data.data(), data.size()); }
  template <class T> void vector(const char *name, T *data, std::size_t length) {
    CHECK(popsparse_py::model::elementBytes(field(name).element) == sizeof(T));
    popsparse_py::model::bindVector(memory.data(), field(name), data, length);
  }

  template <class T> void list(const char *name, std::vector<std::vector<T>> &rows) {
    std::vector<void *> data;
    std::vector<std::size_t> lengths;
    for (std::vector<T> &row : rows) {
      data.push_back(row.data());
      lengths.push_back(row.size());
    }
    lists.emplace_back(rows.size() * field(name).rowBytes / sizeof(double));
    popsparse_py::model::bindVectorList(memory.data(), field(name), lists.back().data(), data.data(), lengths.data(),
                                        rows.size());
  }

  void scalar(const char *name, double value) { popsparse_py::model::setScalar(memory.data(), field(name), value); }

  void run(unsigned worker) { CHECK(info.run(memory.data(), worker)); }
  void run() {
    for (unsigned worker = 0; worker < info.workers; ++worker) {
      run(worker);
    }
  }

  const popsparse_py::model::FieldInfo &field(const char *name) const {
    const popsparse_py::model::FieldInfo *found = info.findField(name);
    CHECK(found != nullptr);
    return *found;
  }

  const popsparse_py::model::VertexInfo info;

private:
  struct alignas(16) Line {
    unsigned char bytes[16];
  };

  std::vector<Line> memory;
  std::vector<std::vector<double>> lists;
};

#endif
