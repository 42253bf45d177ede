// Host stand-in for <poplar/Vertex.hpp>: the vertex bases, and with them every name that a codelet may use.
//
// Written from the documented shape of the API; it holds nothing of the SDK. Codelets that include only this header use
// half, std::min, std::is_same and std::swap, hence the includes.
#ifndef POPSPARSE_SHIM_POPLAR_VERTEX_HPP
#define POPSPARSE_SHIM_POPLAR_VERTEX_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "FieldTypes.hpp"
#include "HalfFloat.hpp"
#include "TileConstants.hpp"

namespace poplar {

// One worker runs compute().
class Vertex {};

// All six workers run compute(workerId) over the same fields, with no barrier between them.
class MultiVertex {
public:
  static constexpr unsigned numWorkers() { return CTXT_WORKERS; }
};

// Runs once and deals work to the workers itself. Deprecated by Poplar; here for codelets of others.
class SupervisorVertex {};

template <bool IsSupervisor> using SupervisorVertexIf = std::conditional_t<IsSupervisor, SupervisorVertex, Vertex>;

} // namespace poplar

#endif
