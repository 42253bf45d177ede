// An output of a vertex, and who wrote it: poisoned before each worker runs, compared after.
#ifndef POPSPARSE_PY_TESTS_POISONED_HPP
#define POPSPARSE_PY_TESTS_POISONED_HPP

#include <cstddef>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "instance.hpp"

template <class T> struct Written {
  std::vector<T> values;
  std::vector<int> workers; // per element
};

// Runs all workers of a vertex on an output bound as `name`. Checks that each worker writes 32-bit words
// that no other writes, and that in the end every element is written. All bits set is no value that the tests produce.
template <class T> Written<T> runPoisoned(Instance &vertex, const char *name, std::size_t length) {
  const std::size_t numBytes = length * sizeof(T);
  std::vector<T> output(length);
  Written<T> written{std::vector<T>(length), std::vector<int>(length, -1)};
  std::vector<int> ownerOfWord((numBytes + 3) / 4, -1);
  const std::vector<unsigned char> poison(sizeof(T), 0xff);
  vertex.vector(name, output);
  for (unsigned worker = 0; worker < vertex.info.workers; ++worker) {
    for (T &value : output) {
      std::memcpy(&value, poison.data(), sizeof(T));
    }
    vertex.run(worker);
    for (std::size_t i = 0; i < length; ++i) {
      if (std::memcmp(&output[i], poison.data(), sizeof(T)) == 0) {
        continue;
      }
      int &owner = ownerOfWord[i * sizeof(T) / 4];
      CHECK(owner == -1 || owner == static_cast<int>(worker));
      owner = static_cast<int>(worker);
      written.workers[i] = owner;
      written.values[i] = output[i];
    }
  }
  for (const int worker : written.workers) {
    CHECK(worker != -1);
  }
  return written;
}

#endif
