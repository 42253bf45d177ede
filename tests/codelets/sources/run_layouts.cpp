// Runs third_party/layouts.cpp: every vector layout, four forms of compute().
#include "third_party/layouts.cpp"

#include "instance.hpp"
#include "registry_entry.hpp"

using popsparse_py::model::describe;
using popsparse_py::model::Element;
using popsparse_py::model::field;
using popsparse_py::model::FieldInfo;

class BoolNoWorker : public Vertex {
public:
  InOut<Vector<int>> data;
  bool compute() {
    data[0] += 1;
    return data[0] == 1;
  }
};

class VoidNoWorker : public BoolNoWorker {
public:
  void compute() { data[0] += 10; }
};

void checkLayout(const FieldInfo &info, VectorLayout layout, unsigned ipuBytes, unsigned align, bool interleaved) {
  CHECK(info.nesting == 1 && info.layout == static_cast<int>(layout));
  CHECK(info.ipuBytes == ipuBytes && info.minAlign == align && info.interleaved == interleaved);
  CHECK(info.carriesLength() == (layout == VectorLayout::SPAN || layout == VectorLayout::SHORT_SPAN));
}

template <class T> void checkAddSix() {
  using V = AddSix<T>;
  Instance vertex(
      describe<V>("AddSix", {field<V>("first", &V::first), field<V>("second", &V::second), field<V>("third", &V::third),
                             field<V>("fourth", &V::fourth), field<V>("fifth", &V::fifth), field<V>("sixth", &V::sixth),
                             field<V>("out", &V::out), field<V>("touched", &V::touched)}));
  const char *inputs[] = {"first", "second", "third", "fourth", "fifth", "sixth"};
  std::vector<T> in(29);
  for (unsigned i = 0; i < in.size(); ++i) {
    in[i] = static_cast<T>(static_cast<float>(i) * 0.25f);
  }
  for (const char *name : inputs) {
    vertex.vector(name, in);
  }
  std::vector<T> out(in.size());
  std::vector<unsigned short> touched(4, 1);
  vertex.vector("out", out);
  vertex.vector("touched", touched);
  CHECK(vertex.info.workers == 6);
  vertex.run();
  for (unsigned i = 0; i < in.size(); ++i) {
    CHECK(static_cast<float>(out[i]) == 1.5f * static_cast<float>(i));
  }
  CHECK(touched[0] == 30 && touched[3] == 30);

  checkLayout(vertex.field("first"), VectorLayout::SPAN, 8, sizeof(T), false);
  checkLayout(vertex.field("second"), VectorLayout::SHORT_SPAN, 4, 8, false);
  checkLayout(vertex.field("third"), VectorLayout::ONE_PTR, 4, 8, false);
  checkLayout(vertex.field("fourth"), VectorLayout::COMPACT_PTR, 4, 16, true);
  checkLayout(vertex.field("fifth"), VectorLayout::SCALED_PTR32, 2, 4, false);
  checkLayout(vertex.field("sixth"), VectorLayout::SCALED_PTR64, 2, 8, false);
  checkLayout(vertex.field("out"), VectorLayout::SCALED_PTR128, 2, 16, true);
}

void checkForms() {
  Instance fill(describe<FillByWorker>("FillByWorker", {field<FillByWorker>("out", &FillByWorker::out),
                                                        field<FillByWorker>("perWorker", &FillByWorker::perWorker)}));
  std::vector<int> filled(18, -1);
  fill.vector("out", filled);
  fill.scalar("perWorker", 3);
  fill.run();
  for (unsigned i = 0; i < filled.size(); ++i) {
    CHECK(filled[i] == static_cast<int>(i / 3));
  }

  Instance plain(describe<BoolNoWorker>("BoolNoWorker", {field<BoolNoWorker>("data", &BoolNoWorker::data)}));
  Instance nothing(describe<VoidNoWorker>("VoidNoWorker", {field<VoidNoWorker>("data", &VoidNoWorker::data)}));
  std::vector<int> data{0};
  plain.vector("data", data);
  nothing.vector("data", data);
  plain.run();
  nothing.run();
  CHECK(data[0] == 11 && plain.info.workers == 1);
  CHECK(plain.field("data").element == Element::I32);
}

void checkDot() {
  Instance dot(describe<Dot>("Dot", {field<Dot>("a", &Dot::a), field<Dot>("b", &Dot::b),
                                     field<Dot>("result", &Dot::result), field<Dot>("bias", &Dot::bias)}));
  std::vector<float> a{1, 2, 3}, b{4, 5, 6}, result{0};
  dot.vector("a", a);
  dot.vector("b", b);
  dot.vector("result", result);
  dot.scalar("bias", -2);
  dot.run();
  CHECK(result[0] == 30.0f);
}

int main() {
  checkAddSix<float>();
  checkAddSix<half>();
  checkForms();
  checkDot();
  return 0;
}
