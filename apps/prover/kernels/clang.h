// What clang needs in place of CUDA's headers to compile the kernels for a card: only tests do that, to see that they
// compile, where there is no CUDA.

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(x) __attribute__((launch_bounds(x)))

typedef __SIZE_TYPE__ size_t;
struct __attribute__((aligned(16))) uint4 {
    unsigned x, y, z, w;
};
struct __attribute__((aligned(16))) int4 {
    int x, y, z, w;
};
struct __attribute__((aligned(8))) int2 {
    int x, y;
};

#include <__clang_cuda_builtin_vars.h>

#define __byte_perm(x, y, order) __nvvm_prmt(x, y, order)
#define __shfl_sync(mask, value, lane) __nvvm_shfl_sync_idx_i32(mask, value, lane, 31)
#define __shfl_xor_sync(mask, value, d) __nvvm_shfl_sync_bfly_i32(mask, value, d, 31)
static __device__ __forceinline__ unsigned __funnelshift_l(unsigned low, unsigned high, unsigned n) {
    unsigned result;
    asm("shf.l.wrap.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(low), "r"(high), "r"(n));
    return result;
}
static __device__ __forceinline__ unsigned atomicMin(unsigned *to, unsigned value) {
    return __nvvm_atom_min_gen_ui(to, value);
}
