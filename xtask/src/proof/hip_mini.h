// What the dialect uses of HIP, on the compiler's own builtins: enough to compile kernels for AMD cards with a plain clang,
// on a machine without ROCm. Only the proof includes it; on a card the kernels get hipRTC's own headers.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(n) __attribute__((amdgpu_flat_work_group_size(n, n)))
#define OWN static __device__ __forceinline__

struct Place { unsigned x, y, z; };
#define threadIdx (Place{__builtin_amdgcn_workitem_id_x(), __builtin_amdgcn_workitem_id_y(), __builtin_amdgcn_workitem_id_z()})
#define blockIdx (Place{__builtin_amdgcn_workgroup_id_x(), __builtin_amdgcn_workgroup_id_y(), __builtin_amdgcn_workgroup_id_z()})
#define gridDim (Place{__builtin_amdgcn_grid_size_x() / __builtin_amdgcn_workgroup_size_x(), \
                       __builtin_amdgcn_grid_size_y() / __builtin_amdgcn_workgroup_size_y(), \
                       __builtin_amdgcn_grid_size_z() / __builtin_amdgcn_workgroup_size_z()})

OWN void __syncthreads() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
OWN void __threadfence() { __builtin_amdgcn_fence(__ATOMIC_SEQ_CST, "agent"); }
OWN void __threadfence_block() { __builtin_amdgcn_fence(__ATOMIC_SEQ_CST, "workgroup"); }

#define ATOMIC(name, builtin) \
  template <class T> OWN T name(T *p, T v) { return builtin(p, v, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT); }
ATOMIC(atomicAdd, __hip_atomic_fetch_add)
ATOMIC(atomicMin, __hip_atomic_fetch_min)
ATOMIC(atomicMax, __hip_atomic_fetch_max)
ATOMIC(atomicOr, __hip_atomic_fetch_or)
ATOMIC(atomicAnd, __hip_atomic_fetch_and)
ATOMIC(atomicXor, __hip_atomic_fetch_xor)
ATOMIC(atomicExch, __hip_atomic_exchange)
template <class T> OWN T atomicCAS(T *p, T old, T v) {
  __hip_atomic_compare_exchange_strong(p, &old, v, __ATOMIC_RELAXED, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
  return old;
}

OWN unsigned lane_id() { return __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u)); }
OWN int shuffle_word(int v, int mask) { return __builtin_amdgcn_ds_bpermute((int)((lane_id() ^ (unsigned)mask) << 2), v); }
OWN float __shfl_xor(float v, int mask) { return __builtin_bit_cast(float, shuffle_word(__builtin_bit_cast(int, v), mask)); }
OWN int __shfl_xor(int v, int mask) { return shuffle_word(v, mask); }
OWN unsigned __shfl_xor(unsigned v, int mask) { return (unsigned)shuffle_word((int)v, mask); }
OWN unsigned long long __shfl_xor(unsigned long long v, int mask) {
  const unsigned low = (unsigned)shuffle_word((int)(unsigned)v, mask);
  const unsigned high = (unsigned)shuffle_word((int)(unsigned)(v >> 32), mask);
  return ((unsigned long long)high << 32) | low;
}
OWN double __shfl_xor(double v, int mask) {
  return __builtin_bit_cast(double, __shfl_xor(__builtin_bit_cast(unsigned long long, v), mask));
}

OWN unsigned __float_as_uint(float v) { return __builtin_bit_cast(unsigned, v); }
OWN float __uint_as_float(unsigned v) { return __builtin_bit_cast(float, v); }
OWN long long __double_as_longlong(double v) { return __builtin_bit_cast(long long, v); }
OWN double __longlong_as_double(long long v) { return __builtin_bit_cast(double, v); }
OWN float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
OWN double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
OWN float __fmul_rn(float a, float b) { return a * b; }
OWN float __fadd_rn(float a, float b) { return a + b; }
OWN double __dmul_rn(double a, double b) { return a * b; }
OWN double __dadd_rn(double a, double b) { return a + b; }
OWN float sqrtf(float v) { return __builtin_sqrtf(v); }
OWN double sqrt(double v) { return __builtin_elementwise_sqrt(v); }
OWN float fabsf(float v) { return __builtin_fabsf(v); }
OWN double fabs(double v) { return __builtin_fabs(v); }
OWN int __popc(unsigned v) { return __builtin_popcount(v); }
OWN int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
OWN int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
OWN int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }

typedef float float2 __attribute__((ext_vector_type(2)));
typedef float float4 __attribute__((ext_vector_type(4)));
typedef double double2 __attribute__((ext_vector_type(2)));
typedef double double4 __attribute__((ext_vector_type(4)));
typedef int int2 __attribute__((ext_vector_type(2)));
typedef int int4 __attribute__((ext_vector_type(4)));
typedef unsigned uint2 __attribute__((ext_vector_type(2)));
typedef unsigned uint4 __attribute__((ext_vector_type(4)));
typedef unsigned char uchar4 __attribute__((ext_vector_type(4)));
typedef unsigned long long ulonglong2 __attribute__((ext_vector_type(2)));
