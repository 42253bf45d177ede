// Memory that begins on a cache line.
#ifndef POPSPARSE_PY_CPU_ALIGNED_HPP
#define POPSPARSE_PY_CPU_ALIGNED_HPP

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace popsparse_py::cpu {

constexpr std::size_t kLineBytes = 64;

inline std::size_t roundedUp(std::size_t count, std::size_t grain) {
  return (count + grain - 1) / grain * grain;
}

// Floats, not initialised. Grows on demand and keeps what it has otherwise.
class FloatBuffer {
public:
  // Contents are lost where the buffer has to grow. Throws std::bad_alloc.
  float *reserve(std::size_t count) {
    if (count > capacity_) {
      capacity_ = 0;
      data_.reset();
      data_.reset(static_cast<float *>(std::aligned_alloc(kLineBytes, roundedUp(count * sizeof(float), kLineBytes))));
      if (data_ == nullptr) {
        throw std::bad_alloc();
      }
      capacity_ = count;
    }
    return data_.get();
  }
  float *data() const { return data_.get(); }

private:
  struct Free {
    void operator()(float *memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> data_;
  std::size_t capacity_ = 0;
};

} // namespace popsparse_py::cpu

#endif
