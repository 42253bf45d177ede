// Host stand-in for <poplar/Alignment.hpp>: nothing to add, the host aligns a field by its type.
#ifndef POPSPARSE_SHIM_POPLAR_ALIGNMENT_HPP
#define POPSPARSE_SHIM_POPLAR_ALIGNMENT_HPP

#include <cstddef>

#endif
