// How the workers of a vertex share a run of elements.
#ifndef POPSPARSE_PY_CODELETS_WORK_SPLIT_HPP
#define POPSPARSE_PY_CODELETS_WORK_SPLIT_HPP

namespace popsparse_py {

struct Share {
  unsigned begin;
  unsigned end;
};

inline unsigned smaller(unsigned a, unsigned b) {
  return a < b ? a : b;
}

// Elements of `worker` when `count` elements are dealt in whole grains, one contiguous share per worker. Grains of 8
// bytes keep two workers out of one 32-bit word.
inline Share workerShare(unsigned count, unsigned grain, unsigned worker, unsigned numWorkers) {
  const unsigned numGrains = (count + grain - 1) / grain;
  const unsigned share = (numGrains + numWorkers - 1) / numWorkers * grain;
  return {smaller(worker * share, count), smaller((worker + 1) * share, count)};
}

} // namespace popsparse_py

#endif
