// The words the kernels are written in, for OpenCL C 1.2 and newer. Each means the same in `cuda.h`.

typedef uchar u8;
typedef uint u32;
typedef ulong u64;
typedef int i32;

// A kernel that runs in groups of `x` items.
#define KERNEL(x) __kernel __attribute__((reqd_work_group_size(x, 1, 1)))
#define INLINE static inline
#define GLOBAL __global
// Memory of a group: where it is declared, and where a function is handed it.
#define SHARED __local
#define LOCAL __local

#define UNROLL
#define NO_UNROLL

#define ITEM ((u32)get_local_id(0))
#define GROUP_X ((u32)get_group_id(0))
#define GROUP_Y ((u32)get_group_id(1))
// The item among all; kernels that use it have no second dimension.
#define GLOBAL_ITEM ((u32)get_global_id(0))
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)

#define ROTL(x, n) rotate((u32)(x), (u32)(n))
#define SWAP_BYTES(x) as_uint(as_uchar4((u32)(x)).s3210)
#define ATOMIC_MIN(to, value) atomic_min(to, value)

// sum + the products of four pairs of signed bytes.
#if defined(__opencl_c_integer_dot_product_input_4x8bit_packed)
#define DOT(a, b, sum) ((sum) + dot_4x8packed_ss_int(a, b))
#else
INLINE i32 dot(u32 a, u32 b, i32 sum) {
    const int4 x = convert_int4(as_char4(a));
    const int4 y = convert_int4(as_char4(b));
    return sum + x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
}
#define DOT(a, b, sum) dot(a, b, sum)
#endif

// Lanes: 32 items of a group that follow one another. `exchange` has a word for each item of the group.
INLINE u32 lane_get(u32 value, u32 lane, __local u32 *exchange) {
    const u32 item = ITEM;
    exchange[item] = value;
    BARRIER;
    const u32 got = exchange[(item & ~31u) | lane];
    BARRIER;
    return got;
}
#define EXCHANGE(name, items) __local u32 name[items];
#define LANE_GET(value, lane, exchange) lane_get(value, lane, exchange)
#define LANE_XOR(value, d, exchange) lane_get(value, (ITEM & 31u) ^ (d), exchange)
