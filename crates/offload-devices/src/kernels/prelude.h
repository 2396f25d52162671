// One dialect, three compilers: OpenCL C 1.2 and later, NVRTC (CUDA C++), hipRTC (HIP C++).
//
// The host defines BLOCK (items of a group), T and one of T_F32, T_F64, T_I32, T_I64, T_U8, T_U64 where a text is
// compiled for an element type, SUBGROUP on ROCm (the real wave size), RACE_CHECK under a race checker. All else is
// decided here. Rules of the dialect: pointers in helper functions carry GLOBAL or LOCAL; no templates; every entry is
// named family_op, because `dot` or `length` are builtins of OpenCL; groups are one-dimensional inside.
#if defined(__OPENCL_C_VERSION__)                      // ---------------- OpenCL C
  #pragma OPENCL FP_CONTRACT OFF
  #define KERNEL        __kernel __attribute__((reqd_work_group_size(BLOCK, 1, 1))) void
  #define DEVICE        static inline
  #define GLOBAL        __global
  #define LOCAL         __local
  #define TABLE         __constant                    // constant data at file scope
  #define RESTRICT      restrict
  #define SHARED        __local                       // SHARED f32 tile[N]; at the beginning of an entry
  typedef uchar u8;  typedef ushort u16; typedef uint u32; typedef ulong u64;
  typedef char i8;   typedef int   i32;  typedef long i64; typedef float f32;
  #if defined(cl_khr_fp64) || defined(__opencl_c_fp64)
    typedef double f64;
    #define HAS_F64 1
  #endif
  #define AS_U32(x) as_uint(x)
  #define AS_F32(x) as_float(x)
  #define AS_U64(x) as_ulong(x)
  #define AS_F64(x) as_double(x)
  DEVICE u32 local_id(void)     { return (u32)get_local_id(0); }
  DEVICE u32 group_id(void)     { return (u32)get_group_id(0); }
  DEVICE u32 group_id_y(void)   { return (u32)get_group_id(1); }
  DEVICE u32 group_id_z(void)   { return (u32)get_group_id(2); }
  DEVICE u32 group_count(void)  { return (u32)get_num_groups(0); }
  DEVICE u32 group_count_y(void){ return (u32)get_num_groups(1); }
  #define group_barrier() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
  DEVICE u32 atomic_fetch_add_u32(volatile GLOBAL u32 *p, u32 v)  { return atomic_add(p, v); }
  DEVICE u32 atomic_fetch_min_u32(volatile GLOBAL u32 *p, u32 v)  { return atomic_min(p, v); }
  DEVICE u32 atomic_fetch_max_u32(volatile GLOBAL u32 *p, u32 v)  { return atomic_max(p, v); }
  DEVICE u32 atomic_fetch_or_u32(volatile GLOBAL u32 *p, u32 v)   { return atomic_or(p, v); }
  DEVICE u32 atomic_exchange_u32(volatile GLOBAL u32 *p, u32 v)   { return atomic_xchg(p, v); }
  DEVICE u32 atomic_cas_u32(volatile GLOBAL u32 *p, u32 c, u32 v) { return atomic_cmpxchg(p, c, v); }
  DEVICE u32 shared_fetch_add_u32(volatile LOCAL u32 *p, u32 v)   { return atomic_add(p, v); }
  #if defined(RACE_CHECK)                             // a real atomic, so that only true races show
    DEVICE u32 atomic_load_u32(volatile GLOBAL u32 *p) { return atomic_or(p, 0u); }
  #else
    DEVICE u32 atomic_load_u32(volatile GLOBAL u32 *p) { return *p; }
  #endif
  #if defined(cl_khr_int64_base_atomics)
    #pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable
    #define HAS_ATOMIC64 1
    DEVICE u64 atomic_fetch_add_u64(volatile GLOBAL u64 *p, u64 v) { return atom_add(p, v); }
    DEVICE u64 atomic_cas_u64(volatile GLOBAL u64 *p, u64 c, u64 v) { return atom_cmpxchg(p, c, v); }
  #endif
  #undef  SUBGROUP
  #define SUBGROUP 1                                  // shuffle trees vanish; shared memory does the rest
  #define shuffle_xor_f32(v, m) (v)
  #define shuffle_xor_u32(v, m) (v)
  #define fma_f32(a, b, c) fma((f32)(a), (f32)(b), (f32)(c))
  #define fma_f64(a, b, c) fma((f64)(a), (f64)(b), (f64)(c))
  #define sqrt_f32(x) sqrt((f32)(x))
  #define sqrt_f64(x) sqrt((f64)(x))
  #define abs_f32(x) fabs((f32)(x))
  #define abs_f64(x) fabs((f64)(x))
  #define popcount_u32(x) ((u32)popcount((u32)(x)))
  #define popcount_u64(x) ((u32)popcount((u64)(x)))
  #define clz_u32(x) ((u32)clz((u32)(x)))
#else                                                 // ---------------- CUDA C++ and HIP C++
  #define KERNEL        extern "C" __global__ void __launch_bounds__(BLOCK)
  #define DEVICE        static __device__ __forceinline__
  #define GLOBAL
  #define LOCAL
  #define TABLE         static __device__ const
  #define RESTRICT      __restrict__
  #define SHARED        __shared__
  typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
  typedef signed char i8; typedef int i32; typedef long long i64; typedef float f32; typedef double f64;
  #define HAS_F64 1
  #define HAS_ATOMIC64 1
  #define AS_U32(x) __float_as_uint(x)
  #define AS_F32(x) __uint_as_float(x)
  #define AS_U64(x) ((u64)__double_as_longlong(x))
  #define AS_F64(x) __longlong_as_double((i64)(x))
  DEVICE u32 local_id(void)     { return threadIdx.x; }
  DEVICE u32 group_id(void)     { return blockIdx.x; }
  DEVICE u32 group_id_y(void)   { return blockIdx.y; }
  DEVICE u32 group_id_z(void)   { return blockIdx.z; }
  DEVICE u32 group_count(void)  { return gridDim.x; }
  DEVICE u32 group_count_y(void){ return gridDim.y; }
  #define group_barrier() __syncthreads()
  DEVICE u32 atomic_fetch_add_u32(volatile u32 *p, u32 v)  { return atomicAdd((u32 *)p, v); }
  DEVICE u32 atomic_fetch_min_u32(volatile u32 *p, u32 v)  { return atomicMin((u32 *)p, v); }
  DEVICE u32 atomic_fetch_max_u32(volatile u32 *p, u32 v)  { return atomicMax((u32 *)p, v); }
  DEVICE u32 atomic_fetch_or_u32(volatile u32 *p, u32 v)   { return atomicOr((u32 *)p, v); }
  DEVICE u32 atomic_exchange_u32(volatile u32 *p, u32 v)   { return atomicExch((u32 *)p, v); }
  DEVICE u32 atomic_cas_u32(volatile u32 *p, u32 c, u32 v) { return atomicCAS((u32 *)p, c, v); }
  DEVICE u32 shared_fetch_add_u32(volatile u32 *p, u32 v)  { return atomicAdd((u32 *)p, v); }
  DEVICE u32 atomic_load_u32(volatile u32 *p) { return *p; }
  DEVICE u64 atomic_fetch_add_u64(volatile u64 *p, u64 v) { return atomicAdd((u64 *)p, v); }
  DEVICE u64 atomic_cas_u64(volatile u64 *p, u64 c, u64 v) { return atomicCAS((u64 *)p, c, v); }
  #if defined(__HIP__) || defined(__HIPCC__) || defined(__HIPCC_RTC__)
    #ifndef SUBGROUP
      #define SUBGROUP 64
    #endif
    #define shuffle_xor_f32(v, m) __shfl_xor(v, m)
    #define shuffle_xor_u32(v, m) AS_U32(__shfl_xor(AS_F32(v), m))
  #else
    #undef  SUBGROUP
    #define SUBGROUP 32
    #define shuffle_xor_f32(v, m) __shfl_xor_sync(0xffffffffu, v, m)
    #define shuffle_xor_u32(v, m) __shfl_xor_sync(0xffffffffu, v, m)
  #endif
  #define fma_f32(a, b, c) __fmaf_rn(a, b, c)
  #define fma_f64(a, b, c) __fma_rn(a, b, c)
  #define sqrt_f32(x) sqrtf(x)
  #define sqrt_f64(x) sqrt(x)
  #define abs_f32(x) fabsf(x)
  #define abs_f64(x) fabs(x)
  #define popcount_u32(x) ((u32)__popc(x))
  #define popcount_u64(x) ((u32)__popcll(x))
  #define clz_u32(x) ((u32)__clz((int)(x)))
#endif
#define ALIGNED(n) __attribute__((aligned(n)))        // accepted by all of them
// Arithmetic in the element type of the text.
#if defined(T_F32)
  #define fma_t(a, b, c) fma_f32(a, b, c)
  #define sqrt_t(x) sqrt_f32(x)
  #define abs_t(x) abs_f32(x)
#elif defined(T_F64)
  #define fma_t(a, b, c) fma_f64(a, b, c)
  #define sqrt_t(x) sqrt_f64(x)
  #define abs_t(x) abs_f64(x)
#endif
DEVICE u64 global_id(void)   { return (u64)group_id() * BLOCK + local_id(); }
DEVICE u64 global_size(void) { return (u64)group_count() * BLOCK; }
// A grid-stride loop: right for any number of groups.
#define FOR_EACH(i, n) for (u64 i = global_id(); i < (n); i += global_size())
// The sum over a group in the element type; every item must call it, and gets it. BLOCK is a power of two, scratch
// holds BLOCK elements.
#if defined(T_F32) || defined(T_F64)
DEVICE T group_sum_t(T v, LOCAL T *scratch) {
  const u32 t = local_id();
  scratch[t] = v;
  group_barrier();
  for (u32 s = BLOCK / 2u; s > 0u; s >>= 1) { if (t < s) scratch[t] += scratch[t + s]; group_barrier(); }
  const T sum = scratch[0];
  group_barrier();                                    // scratch may be used again at once
  return sum;
}
#endif
