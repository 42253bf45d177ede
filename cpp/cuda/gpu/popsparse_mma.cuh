// The element types of the tensor cores and their products, by a warp and (sm_90a) by a warpgroup; part of
// popsparse_device.cuh, which includes it.
#ifndef POPSPARSE_PY_CUDA_GPU_POPSPARSE_MMA_CUH
#define POPSPARSE_PY_CUDA_GPU_POPSPARSE_MMA_CUH

namespace popsparse_py::cuda {

// One product of a warpgroup, of elements of a type, with 128 sums in each lane.
#define POPSPARSE_SUMS(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define POPSPARSE_SUMS8(d, i)                                                                                          \
  POPSPARSE_SUMS(d, i), POPSPARSE_SUMS(d, i + 1), POPSPARSE_SUMS(d, i + 2), POPSPARSE_SUMS(d, i + 3),                  \
      POPSPARSE_SUMS(d, i + 4), POPSPARSE_SUMS(d, i + 5), POPSPARSE_SUMS(d, i + 6), POPSPARSE_SUMS(d, i + 7)
#define POPSPARSE_WGMMA(type, turned, d, a, x)                                                                         \
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {"                                       \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                      \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                      \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                      \
               "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                      \
               "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                      \
               "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "          \
               "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "     \
               "{%128, %129, %130, %131}, %132, 1, 1, 1, " turned ";"                                                  \
               : POPSPARSE_SUMS8(d, 0), POPSPARSE_SUMS8(d, 8), POPSPARSE_SUMS8(d, 16), POPSPARSE_SUMS8(d, 24)          \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(x))

// float32 of which MMA multiplies the first 10 bits behind the point.
struct Tf32 {
  // c (16 x 8) += a (16 x 8) b (8 x 8), sums in float; a, b: rounded.
  static POPSPARSE_DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
  // A float32 to the nearest, ties away from zero.
  static POPSPARSE_DEVICE uint32_t round(uint32_t bits) {
    uint32_t rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
  }
};

struct Bfloat16 {
  // c (16 x 8) += a (16 x 16) b (16 x 8), sums in float.
  static POPSPARSE_DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
  // Two floats rounded to nearest even, the first in the low half.
  static POPSPARSE_DEVICE uint32_t pack(float first, float second) {
    uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    return both;
  }
  static POPSPARSE_DEVICE float widen(uint16_t bits) { return __uint_as_float(static_cast<uint32_t>(bits) << 16); }
  // d (64 x 256) += a (64 x 16) x (16 x 256) by the four warps of a warpgroup; x: its descriptor, byRows: of its
  // transpose. Only on sm_90a.
  template <bool byRows>
  static POPSPARSE_DEVICE void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    if constexpr (byRows) {
      POPSPARSE_WGMMA("bf16", "0", d, a, x);
    } else {
      POPSPARSE_WGMMA("bf16", "1", d, a, x);
    }
#endif
  }
};

struct Float16 {
  static POPSPARSE_DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
  static POPSPARSE_DEVICE uint32_t pack(float first, float second) {
    uint32_t both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    return both;
  }
  static POPSPARSE_DEVICE float widen(uint16_t bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
  }
  // d (64 x 256) += a (64 x 16) x (16 x 256) by the four warps of a warpgroup; x: its descriptor, byRows: of its
  // transpose. Only on sm_90a.
  template <bool byRows>
  static POPSPARSE_DEVICE void multiplyGroup(float (&d)[32][4], const uint32_t (&a)[4], uint64_t x) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    if constexpr (byRows) {
      POPSPARSE_WGMMA("f16", "0", d, a, x);
    } else {
      POPSPARSE_WGMMA("f16", "1", d, a, x);
    }
#endif
  }
};

// --- products of a warpgroup, which go on by themselves (sm_90a)

// Orders earlier accesses to the registers of the sums before the products that follow.
POPSPARSE_DEVICE void groupFence() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

// Waits until every product begun is there.
POPSPARSE_DEVICE void groupFinish() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
#endif
}

} // namespace popsparse_py::cuda

#endif
