// The static dot products against a dense loop in the same order: equal bit for bit, every element written by one
// worker, no byte read beyond an operand.
#include <algorithm>
#include <string>
#include <vector>

#include <poplar/HalfFloat.hpp>

#include "instance.hpp"
#include "poisoned.hpp"
#include "registry.hpp"

namespace {

struct Shape {
  unsigned rows, columns, numColumns; // R and C in blocks, n_t
};

// Blocks of row i of the test pattern, in an order that is not sorted; row 1 is empty.
std::vector<unsigned> blocksOfRow(unsigned row, unsigned columns) {
  std::vector<unsigned> found;
  for (unsigned j = 0; row != 1 && j < columns; ++j) {
    if ((row + 2 * j) % 3 != 2) {
      found.insert(row % 2 == 0 ? found.end() : found.begin(), j);
    }
  }
  return found;
}

// Signed fractions of `bits` bits in [-1, 1): half holds 12 of them exactly, float 24. With 4 bits every sum of
// products is exact; with all of them float sums round, so that another order or an early rounding shows.
template <class T> std::vector<T> fractions(std::size_t count, unsigned bits, unsigned seed) {
  std::vector<T> values(count);
  const int limit = 1 << (bits - 1);
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const int numerator = static_cast<int>(seed >> (32 - bits)) - limit;
    values[i] = static_cast<T>(static_cast<float>(numerator) / static_cast<float>(limit));
  }
  return values;
}

void append(std::vector<unsigned short> &list, unsigned value) {
  CHECK(value < 65536);
  list.push_back(static_cast<unsigned short>(value));
}

template <class T>
void bindInputs(Instance &vertex, std::vector<T> &s, std::vector<T> &r, std::vector<unsigned short> &workList,
                unsigned numColumns) {
  vertex.vector("s", s);
  vertex.vector("r", r);
  vertex.vector("workList", workList);
  vertex.scalar("numColumns", numColumns);
}

// q (R, n_t, b) must be W (R b, C b) times s (C, n_t, b), W given by blocksOfRow and the values r.
template <class T, class P>
void checkProduct(const std::vector<P> &q, const std::vector<T> &s, const std::vector<T> &r, Shape shape, unsigned b) {
  const unsigned n = shape.numColumns;
  std::size_t block = 0;
  for (unsigned row = 0; row < shape.rows; ++row) {
    const std::vector<unsigned> blocks = blocksOfRow(row, shape.columns);
    for (unsigned column = 0; column < n; ++column) {
      for (unsigned i = 0; i < b; ++i) {
        float sum = 0.0f;
        for (std::size_t j = 0; j < blocks.size(); ++j) {
          for (unsigned k = 0; k < b; ++k) {
            sum += static_cast<float>(r[((block + j) * b + i) * b + k]) *
                   static_cast<float>(s[(blocks[j] * n + column) * b + k]);
          }
        }
        CHECK(static_cast<float>(q[(row * n + column) * b + i]) == static_cast<float>(static_cast<P>(sum)));
      }
    }
    block += blocks.size();
  }
}

template <class T, class P> void checkBlockDot(const char *name, unsigned bits, unsigned b, Shape shape) {
  std::vector<unsigned short> workList;
  const unsigned share = (shape.numColumns + 5) / 6;
  for (unsigned worker = 0; worker < 6; ++worker) {
    const unsigned first = std::min(worker * share, shape.numColumns);
    append(workList, first);
    append(workList, std::min(first + share, shape.numColumns) - first);
  }
  append(workList, shape.rows);
  std::size_t numBlocks = 0;
  for (unsigned row = 0; row < shape.rows; ++row) {
    const std::vector<unsigned> blocks = blocksOfRow(row, shape.columns);
    append(workList, row);
    append(workList, static_cast<unsigned>(blocks.size()));
    for (const unsigned column : blocks) {
      append(workList, column);
    }
    numBlocks += blocks.size();
  }
  std::vector<T> s = fractions<T>(shape.columns * shape.numColumns * b, bits, 1),
                 r = fractions<T>(numBlocks * b * b, bits, 2);
  Instance vertex(*popsparse_py::model::findVertex(name));
  bindInputs(vertex, s, r, workList, shape.numColumns);
  checkProduct(runPoisoned<P>(vertex, "q", shape.rows * shape.numColumns * b).values, s, r, shape, b);
}

// groups of columns times 6 / groups of rows; workers of one row group share its entries and values.
template <class T, class P> void checkElementDot(const char *name, unsigned bits, unsigned groups, Shape shape) {
  const unsigned unit = 8 / sizeof(T), rowGroups = 6 / groups;
  const unsigned rowShare = (shape.rows + rowGroups - 1) / rowGroups;
  const unsigned width = (shape.numColumns / unit + groups - 1) / groups * unit;
  std::vector<unsigned short> headers(48), entries;
  unsigned value = 0;
  for (unsigned group = 0; group < rowGroups; ++group) {
    const unsigned firstRow = std::min(group * rowShare, shape.rows),
                   endRow = std::min(firstRow + rowShare, shape.rows);
    for (unsigned part = 0; part < groups; ++part) {
      const unsigned column = std::min(part * width, shape.numColumns),
                     entry = 48 + static_cast<unsigned>(entries.size());
      const unsigned fields[8] = {
          entry & 0xffff,    entry >> 16, value & 0xffff, value >> 16,
          endRow - firstRow, firstRow,    column,         std::min(width, shape.numColumns - column)};
      for (unsigned i = 0; i < 8; ++i) {
        headers[(group * groups + part) * 8 + i] = static_cast<unsigned short>(fields[i]);
      }
    }
    for (unsigned row = firstRow; row < endRow; ++row) {
      const std::vector<unsigned> blocks = blocksOfRow(row, shape.columns);
      append(entries, static_cast<unsigned>(blocks.size()));
      for (const unsigned column : blocks) {
        append(entries, column * (shape.numColumns / unit));
      }
      value += static_cast<unsigned>(blocks.size());
    }
  }
  headers.insert(headers.end(), entries.begin(), entries.end());
  std::vector<T> s = fractions<T>(shape.columns * shape.numColumns, bits, 3), r = fractions<T>(value, bits, 4);
  Instance vertex(*popsparse_py::model::findVertex(name));
  bindInputs(vertex, s, r, headers, shape.numColumns);
  checkProduct(runPoisoned<P>(vertex, "q", shape.rows * shape.numColumns).values, s, r, shape, 1);
}

template <class T, class P> void checkPair(const std::string &types, unsigned bits) {
  const unsigned unit = 8 / sizeof(T);
  const Shape shapes[] = {{1, 1, unit},      {2, 3, 2 * unit}, {5, 7, 5 * unit}, {9, 4, 12 * unit},
                          {3, 70, 2 * unit}, {4, 5, 60},       {2, 1, unit}};
  for (const Shape shape : shapes) {
    for (const unsigned groups : {1u, 2u, 3u, 6u}) {
      checkElementDot<T, P>(("popsparse_py::StaticElementDot<" + types + ">").c_str(), bits, groups, shape);
    }
    for (const unsigned b : {4u, 8u, 16u}) {
      const std::string name = "popsparse_py::StaticBlockDot<" + types + "," + std::to_string(b) + ">";
      checkBlockDot<T, P>(name.c_str(), bits, b, shape);
    }
  }
}

} // namespace

int main() {
  for (const bool isExact : {true, false}) {
    checkPair<half, half>("half,half", isExact ? 4 : 12);
    checkPair<half, float>("half,float", isExact ? 4 : 12);
    checkPair<float, float>("float,float", isExact ? 4 : 24);
  }
  return 0;
}
