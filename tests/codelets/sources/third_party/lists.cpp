// Lists: vectors of vector edges, of scalar edges, and VectorList.
#include <poplar/Vertex.hpp>

using namespace poplar;

static constexpr auto ONE_PTR = poplar::VectorLayout::ONE_PTR;
static constexpr auto DELTAN = poplar::VectorListLayout::DELTAN;

template <typename T, std::size_t stride> class SumRows : public Vertex {
public:
  Vector<Input<Vector<T>>> rows;
  Vector<Input<Vector<T, ONE_PTR, 8>>, ONE_PTR> weights;
  Vector<Output<Vector<T, VectorLayout::SHORT_SPAN>>, VectorLayout::SHORT_SPAN> out;
  Input<VectorList<unsigned short, DELTAN>> picks;
  InOut<VectorList<float, VectorListLayout::DELTANELEMENTS, 8, false>> sums;
  Vector<InOut<float>> totals;
  Vector<Input<unsigned>> offsets;

  bool compute() {
    for (unsigned i = 0; i < rows.size(); ++i) {
      const auto &row = rows[i];
      float sum = 0.0f;
      for (unsigned j = 0; j < row.size(); j += stride) {
        sum += static_cast<float>(row[j]) * static_cast<float>(weights[i][j]);
      }
      for (unsigned j = 0; j < out[i].size(); ++j) {
        out[i][j] = static_cast<T>(sum);
      }
      *totals[i] += sum + static_cast<float>(offsets[i]);
      totals[i] = *totals[i] + 1.0f;
    }
    for (unsigned i = 0; i < picks.size(); ++i) {
      for (unsigned j = 0; j < picks[i].size(); ++j) {
        sums[i][picks[i][j]] += 1.0f;
      }
    }
    return out.size() == rows.size() && sums.size() == picks.size();
  }
};

template class SumRows<float, 1>;
template class SumRows<half, 2>;
