// A few threads that wait for work. Not OpenMP: several OpenMP runtimes in one Python process slow each other down.
#ifndef POPSPARSE_PY_CPU_THREAD_POOL_HPP
#define POPSPARSE_PY_CPU_THREAD_POOL_HPP

#include <cstdint>
#include <functional>

namespace popsparse_py::cpu {

// Calls body(task, participant) once for each task of [0, tasks), on the calling thread and up to threads - 1 helpers;
// participant < threads. A body must not throw. While another thread's work occupies the helpers, and after a fork
// until new helpers stand, the caller works alone: which thread runs a task never changes its result.
void parallelFor(int threads, std::int64_t tasks, const std::function<void(std::int64_t, int)> &body);

} // namespace popsparse_py::cpu

#endif
