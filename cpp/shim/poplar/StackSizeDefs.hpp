// Host stand-in for <poplar/StackSizeDefs.hpp>: stack annotations, which the host has no use for.
#ifndef POPSPARSE_SHIM_POPLAR_STACK_SIZE_DEFS_HPP
#define POPSPARSE_SHIM_POPLAR_STACK_SIZE_DEFS_HPP

#define DEF_STACK_USAGE(...)
#define DEF_STACK_SIZE_OWN(...)
#define DEF_FUNC_CALLS(...)
#define DEF_FUNC_CALL_PTRS(...)

#endif
