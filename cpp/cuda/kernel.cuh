// Names of kernels: they end in the machine that they are compiled for (-DPOPSPARSE_MACHINE=Ampere, Blackwell or
// Hopper), so that a plan made for one machine finds no kernel on another, rather than a wrong one.
#ifndef POPSPARSE_PY_CUDA_KERNEL_CUH
#define POPSPARSE_PY_CUDA_KERNEL_CUH

#include "machine.cuh"

#define POPSPARSE_KERNEL(name, threads, Arguments, ...)                                                                \
  POPSPARSE_EXPAND(name, POPSPARSE_MACHINE, threads, Arguments, __VA_ARGS__)
#define POPSPARSE_EXPAND(name, machine, threads, Arguments, ...)                                                       \
  POPSPARSE_DEFINE(name, machine, threads, Arguments, __VA_ARGS__)

// 1 for the machine with WGMMA, else 0.
#define POPSPARSE_HAS_GROUPS POPSPARSE_JOIN(POPSPARSE_GROUPS_, POPSPARSE_MACHINE)
#define POPSPARSE_JOIN(first, second) POPSPARSE_JOINED(first, second)
#define POPSPARSE_JOINED(first, second) first##second
#define POPSPARSE_GROUPS_Hopper 1
#define POPSPARSE_GROUPS_Ampere 0
#define POPSPARSE_GROUPS_Blackwell 0

namespace popsparse_py::cuda {

using Here = POPSPARSE_MACHINE;

} // namespace popsparse_py::cuda

#endif
