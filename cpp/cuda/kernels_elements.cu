// The kernels of elements.cuh and sampled_elements.cuh that are shipped.
#include "elements.cuh"
#include "kernel.cuh"
#include "sampled_elements.cuh"

namespace popsparse_py::cuda {

#define ELEMENTS(name, Element, side, transposed)                                                                      \
  POPSPARSE_KERNEL(name, kElementsThreads, ElementsArguments, multiplyElements<Element, side, transposed>)

ELEMENTS(elements1_float32, Float32, 1, false)
ELEMENTS(elements1_bfloat16, Widened<Bfloat16>, 1, false)
ELEMENTS(elements1_float16, Widened<Float16>, 1, false)
ELEMENTS(elements4_float32, Float32, 4, false)
ELEMENTS(elements4_transposed_float32, Float32, 4, true)
ELEMENTS(elements8_float32, Float32, 8, false)
ELEMENTS(elements8_transposed_float32, Float32, 8, true)
ELEMENTS(elements16_float32, Float32, 16, false)
ELEMENTS(elements16_transposed_float32, Float32, 16, true)
POPSPARSE_KERNEL(sampled_float32, kElementsThreads, SampledElementsArguments, multiplySampledElements)

} // namespace popsparse_py::cuda
