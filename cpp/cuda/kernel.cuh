// Names of kernels: they end in the machine that they are compiled for (-DPOPSPARSE_MACHINE=Ampere, Blackwell or
// Hopper), so that a plan made for one machine finds no kernel on another, rather than a wrong one.
#ifndef POPSPARSE_PY_CUDA_KERNEL_CUH
#define POPSPARSE_PY_CUDA_KERNEL_CUH

#include "machine.cuh"

#define POPSPARSE_KERNEL(name, threads, Arguments, ...)                                                                \
  POPSPARSE_EXPAND(name, POPSPARSE_MACHINE, threads, Arguments, __VA_ARGS__)
#define POPSPARSE_EXPAND(name, machine, threads, Arguments, ...)                                                       \
  POPSPARSE_DEFINE(name, machine, threads, Arguments, __VA_ARGS__)

namespace popsparse_py::cuda {

using Here = POPSPARSE_MACHINE;

} // namespace popsparse_py::cuda

#endif
