#include "test_vertices.hpp"

#include <algorithm>
#include <vector>

#include <poplar/HalfFloat.hpp>
#include <poplar/Vertex.hpp>

#include "../registry_entry.hpp"

namespace popsparse_py::testing {

using poplar::InOut;
using poplar::Input;
using poplar::MultiVertex;
using poplar::Output;
using poplar::Vector;
using poplar::VectorLayout;

// Each worker writes the half of its own number: workers 0 and 1 share a 32-bit word.
class SharedWord : public MultiVertex {
public:
  Output<Vector<half, VectorLayout::ONE_PTR, 8>> out; // (6)
  bool compute(unsigned workerId) {
    out[workerId] = half(1.0f);
    return true;
  }
};

// The first two workers copy their input to the same element.
class SameElement : public MultiVertex {
public:
  Input<Vector<half, VectorLayout::ONE_PTR, 8>> in;   // (2)
  Output<Vector<half, VectorLayout::ONE_PTR, 8>> out; // (1 or more)
  bool compute(unsigned workerId) {
    if (workerId < 2) {
      out[0] = in[workerId];
    }
    return true;
  }
};

// Writes all of out but element `hole`.
class LeavesHole : public MultiVertex {
public:
  Output<Vector<float, VectorLayout::ONE_PTR, 8>> out; // (count)
  unsigned count;
  unsigned hole;
  bool compute(unsigned workerId) {
    for (unsigned i = workerId; i < count; i += numWorkers()) {
      if (i != hole) {
        out[i] = 1.0f;
      }
    }
    return true;
  }
};

// Worker 3 writes one element, wherever it lies.
class WritesAt : public MultiVertex {
public:
  Output<Vector<half, VectorLayout::ONE_PTR, 8>> out;
  int element;
  bool compute(unsigned workerId) {
    if (workerId == 3) {
      *(out.data() + element) = half(1.0f);
    }
    return true;
  }
};

// Workers count in the vertex itself.
class ChangesField : public MultiVertex {
public:
  unsigned count;
  bool compute(unsigned) {
    ++count;
    return true;
  }
};

// sums += in, each worker its own elements; `twice`: worker 5 adds to element 0 as well.
class Accumulate : public MultiVertex {
public:
  Input<Vector<float, VectorLayout::ONE_PTR, 8>> in;   // (count)
  InOut<Vector<float, VectorLayout::ONE_PTR, 8>> sums; // (count)
  unsigned count;
  bool twice;
  bool compute(unsigned workerId) {
    for (unsigned i = workerId; i < count; i += numWorkers()) {
      sums[i] += in[i];
    }
    if (twice && workerId == 5) {
      sums[0] += in[0];
    }
    return true;
  }
};

// One worker; a scalar edge, a SHORT_SPAN and a float scalar: out = factor * sum(in).
class ScaledSum : public poplar::Vertex {
public:
  Input<Vector<float, VectorLayout::SHORT_SPAN>> in;
  Output<float> out;
  float factor;
  bool compute() {
    float sum = 0.0f;
    for (unsigned i = 0; i < in.size(); ++i) {
      sum += in[i];
    }
    *out = factor * sum;
    return true;
  }
};

// Fills integers; `value` may be any pattern.
class FillIntegers : public MultiVertex {
public:
  Output<Vector<unsigned short, VectorLayout::ONE_PTR, 4>> out; // (count)
  unsigned short value;
  unsigned short count;
  bool compute(unsigned workerId) {
    for (unsigned i = 2 * workerId; i < count; i += 2 * numWorkers()) {
      out[i] = value;
      out[i + 1] = value;
    }
    return true;
  }
};

// Reads vectors of four halves.
class ReadsHalf4 : public poplar::Vertex {
public:
  Input<Vector<half4, VectorLayout::SPAN, 8>> in;
  Output<float> out; // number of half4
  bool compute() {
    *out = static_cast<float>(in.size());
    return true;
  }
};

// Has a field that a program cannot connect.
class ListOfVectors : public poplar::Vertex {
public:
  Vector<Input<Vector<float, VectorLayout::SPAN>>, VectorLayout::SPAN> rows;
  bool compute() { return true; }
};

} // namespace popsparse_py::testing

namespace popsparse_py::model {

namespace {

std::vector<VertexInfo> makeTable() {
  using namespace popsparse_py::testing;
  return {
      describe<SharedWord>("popsparse_py::testing::SharedWord", {field<SharedWord>("out", &SharedWord::out)}),
      describe<SameElement>("popsparse_py::testing::SameElement",
                            {field<SameElement>("in", &SameElement::in), field<SameElement>("out", &SameElement::out)}),
      describe<LeavesHole>("popsparse_py::testing::LeavesHole",
                           {field<LeavesHole>("out", &LeavesHole::out), field<LeavesHole>("count", &LeavesHole::count),
                            field<LeavesHole>("hole", &LeavesHole::hole)}),
      describe<WritesAt>("popsparse_py::testing::WritesAt",
                         {field<WritesAt>("out", &WritesAt::out), field<WritesAt>("element", &WritesAt::element)}),
      describe<ChangesField>("popsparse_py::testing::ChangesField",
                             {field<ChangesField>("count", &ChangesField::count)}),
      describe<Accumulate>("popsparse_py::testing::Accumulate",
                           {field<Accumulate>("in", &Accumulate::in), field<Accumulate>("sums", &Accumulate::sums),
                            field<Accumulate>("count", &Accumulate::count),
                            field<Accumulate>("twice", &Accumulate::twice)}),
      describe<ScaledSum>("popsparse_py::testing::ScaledSum",
                          {field<ScaledSum>("in", &ScaledSum::in), field<ScaledSum>("out", &ScaledSum::out),
                           field<ScaledSum>("factor", &ScaledSum::factor)}),
      describe<FillIntegers>("popsparse_py::testing::FillIntegers",
                             {field<FillIntegers>("out", &FillIntegers::out),
                              field<FillIntegers>("value", &FillIntegers::value),
                              field<FillIntegers>("count", &FillIntegers::count)}),
      describe<ReadsHalf4>("popsparse_py::testing::ReadsHalf4",
                           {field<ReadsHalf4>("in", &ReadsHalf4::in), field<ReadsHalf4>("out", &ReadsHalf4::out)}),
      describe<ListOfVectors>("popsparse_py::testing::ListOfVectors",
                              {field<ListOfVectors>("rows", &ListOfVectors::rows)}),
  };
}

} // namespace

const VertexInfo *findTestVertex(const std::string &name) {
  static const std::vector<VertexInfo> table = makeTable();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const VertexInfo &info) { return info.name == name; });
  return found != table.end() ? &*found : nullptr;
}

} // namespace popsparse_py::model
