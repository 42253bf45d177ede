// Host stand-in for <poplar/Loops.hpp>: the type of a trip count that the chip's repeat instruction takes.
#ifndef POPSPARSE_SHIM_POPLAR_LOOPS_HPP
#define POPSPARSE_SHIM_POPLAR_LOOPS_HPP

namespace poplar {

using rptsize_t = unsigned;

} // namespace poplar

#endif
