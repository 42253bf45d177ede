// Every kernel that is shipped, for one machine (-DPOPSPARSE_MACHINE=Ampere, Blackwell or Hopper).
#include "kernels_blocks.cu"
#include "kernels_decode.cu"
#include "kernels_elements.cu"
#include "kernels_encode.cu"
#include "kernels_rows.cu"
#include "kernels_small.cu"
#include "kernels_tf32.cu"
#include "kernels_vectors.cu"
