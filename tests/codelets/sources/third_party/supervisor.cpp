// A vertex that would be supervisor code with assembly on the chip: it loops over the workers itself. Ring 2 headers
// included.
#include <poplar/Alignment.hpp>
#include <poplar/FieldTypes.hpp>
#include <poplar/HalfFloat.hpp>
#include <poplar/Loops.hpp>
#include <poplar/StackSizeDefs.hpp>
#include <poplar/TileConstants.hpp>
#include <poplar/Vertex.hpp>

#include <cmath>

using namespace poplar;

DEF_STACK_USAGE(256, "recursive_part");

enum class Mode { Floor, Nearest };

template <Mode mode, bool assembly> class RoundAll : public SupervisorVertexIf<assembly> {
  static void worker(unsigned wid, float *data, rptsize_t count) {
    for (rptsize_t i = wid; i < count; i += CTXT_WORKERS) {
      data[i] = mode == Mode::Floor ? std::floor(data[i]) : std::nearbyint(data[i]);
    }
  }

public:
  InOut<Vector<float, VectorLayout::ONE_PTR, 8>> data;
  const unsigned count;

  bool compute() {
    for (unsigned wid = 0; wid < CTXT_WORKERS; ++wid) {
      worker(wid, &data[0], static_cast<rptsize_t>(count));
    }
    return true;
  }
};

template class RoundAll<Mode::Floor, true>;
template class RoundAll<Mode::Nearest, false>;

static_assert(std::is_base_of<SupervisorVertex, RoundAll<Mode::Floor, true>>::value, "true asks for a supervisor");
static_assert(std::is_base_of<Vertex, RoundAll<Mode::Nearest, false>>::value, "false asks for a plain vertex");
