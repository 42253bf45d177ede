// Runs third_party/lists.cpp: lists of vectors, of scalar edges, and VectorList.
#include "third_party/lists.cpp"

#include "instance.hpp"
#include "registry_entry.hpp"

using popsparse_py::model::describe;
using popsparse_py::model::Direction;
using popsparse_py::model::field;
using popsparse_py::model::FieldInfo;

void checkList(const FieldInfo &info, Direction direction, VectorLayout outer, int inner, unsigned ipuBytes,
               unsigned ipuRowBytes) {
  CHECK(info.nesting == 2 && info.direction == direction);
  CHECK(info.outerLayout == static_cast<int>(outer) && info.layout == inner);
  CHECK(info.ipuBytes == ipuBytes && info.ipuRowBytes == ipuRowBytes);
}

template <class T, std::size_t stride> void checkSumRows(float expected) {
  using V = SumRows<T, stride>;
  Instance vertex(
      describe<V>("SumRows", {field<V>("rows", &V::rows), field<V>("weights", &V::weights), field<V>("out", &V::out),
                              field<V>("picks", &V::picks), field<V>("sums", &V::sums), field<V>("totals", &V::totals),
                              field<V>("offsets", &V::offsets)}));
  const T one = static_cast<T>(1.0f);
  std::vector<std::vector<T>> rows{{one, one, one, one}, {one, one}}, weights{{one, one, one, one}, {one, one}};
  std::vector<std::vector<T>> out{{0, 0, 0}, {0}};
  std::vector<std::vector<unsigned short>> picks{{0, 2}, {1}, {}};
  std::vector<std::vector<float>> sums{{0, 0, 0}, {0, 5}, {7}}, totals{{10}, {20}};
  std::vector<std::vector<unsigned>> offsets{{100}, {200}};
  vertex.list("rows", rows);
  vertex.list("weights", weights);
  vertex.list("out", out);
  vertex.list("picks", picks);
  vertex.list("sums", sums);
  vertex.list("totals", totals);
  vertex.list("offsets", offsets);
  vertex.run();
  CHECK(static_cast<float>(out[0][2]) == expected && static_cast<float>(out[1][0]) == expected / 2);
  CHECK(sums[0][0] == 1 && sums[0][1] == 0 && sums[0][2] == 1 && sums[1][1] == 6 && sums[2][0] == 7);
  CHECK(totals[0][0] == 111 + expected && totals[1][0] == 221 + expected / 2);

  const int onePtr = static_cast<int>(VectorLayout::ONE_PTR);
  checkList(vertex.field("rows"), Direction::In, VectorLayout::SPAN, static_cast<int>(VectorLayout::SPAN), 8, 8);
  checkList(vertex.field("weights"), Direction::In, VectorLayout::ONE_PTR, onePtr, 4, 4);
  CHECK(vertex.field("weights").minAlign == 8 && !vertex.field("weights").carriesLength());
  checkList(vertex.field("out"), Direction::Out, VectorLayout::SHORT_SPAN, static_cast<int>(VectorLayout::SHORT_SPAN),
            4, 4);
  checkList(vertex.field("totals"), Direction::InOut, VectorLayout::SPAN, popsparse_py::model::kScalarLayout, 8, 4);
  CHECK(vertex.field("picks").nesting == 2 && vertex.field("sums").minAlign == 8);
}

int main() {
  checkSumRows<float, 1>(4.0f);
  checkSumRows<half, 2>(2.0f);
  return 0;
}
