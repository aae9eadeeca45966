// The words the kernels are written in, for CUDA C. Each means the same in `opencl.h`.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;

// A kernel that runs in groups of `x` items.
#define KERNEL(x) extern "C" __global__ __launch_bounds__(x)
#define INLINE static __device__ __forceinline__
#define GLOBAL
// Memory of a group: where it is declared, and where a function is handed it.
#define SHARED __shared__
#define LOCAL

#define UNROLL _Pragma("unroll")
#define NO_UNROLL _Pragma("unroll 1")

#define ITEM (threadIdx.x)
#define GROUP_X (blockIdx.x)
#define GROUP_Y (blockIdx.y)
// The item among all; kernels that use it have no second dimension.
#define GLOBAL_ITEM (blockIdx.x * blockDim.x + threadIdx.x)
#define BARRIER __syncthreads()

#define ROTL(x, n) __funnelshift_l((u32)(x), (u32)(x), (u32)(n))
#define SWAP_BYTES(x) __byte_perm((u32)(x), 0, 0x0123)
#define ATOMIC_MIN(to, value) atomicMin(to, value)

// sum + the products of four pairs of signed bytes.
INLINE i32 dot(u32 a, u32 b, i32 sum) {
#if __CUDA_ARCH__ >= 610
    i32 result;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    UNROLL
    for (u32 shift = 0; shift < 32; shift += 8) {
        sum += ((i32)(a << (24 - shift)) >> 24) * ((i32)(b << (24 - shift)) >> 24);
    }
    return sum;
#endif
}
#define DOT(a, b, sum) dot(a, b, sum)

// Lanes: 32 items of a group that follow one another. They need no `exchange`.
#define EXCHANGE(name, items)
#define LANE_GET(value, lane, exchange) __shfl_sync(0xFFFFFFFFu, value, lane)
#define LANE_XOR(value, d, exchange) __shfl_xor_sync(0xFFFFFFFFu, value, d)
