// The next entry of the list of operations that a loop works off, and the place after it; 0 ends the list.
#include <poplar/Vertex.hpp>

namespace popsparse_py {

class NextOperation : public poplar::Vertex {
public:
  poplar::Input<poplar::Vector<unsigned short, poplar::VectorLayout::ONE_PTR, 4>> operations;
  poplar::Input<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> place;      // (2), the second unused
  poplar::Output<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> next;      // (2)
  poplar::Output<poplar::Vector<unsigned, poplar::VectorLayout::ONE_PTR, 8>> operation; // (2), the second unused

  bool compute() {
    operation[0] = operations[place[0]];
    operation[1] = 0;
    next[0] = place[0] + 1;
    next[1] = 0;
    return true;
  }
};

} // namespace popsparse_py
