// The language of CUDA for kernel sources compiled by g++; it stands before each, after execution.h.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <math.h>
#include <utility>

// ---- the language

static EmuThread emu;  // the one that is running
static const int warpSize = 32;
#define threadIdx emu.thread
#define blockIdx emu.block
#define blockDim emu.block_size
#define gridDim emu.grid_size

#define __global__
#define __device__
#define __host__
#define __constant__
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static
#ifndef __forceinline__
#define __forceinline__ inline
#endif
#ifndef __noinline__
#define __noinline__ __attribute__((noinline))
#endif

// ---- intrinsics. What is not here is an error of the compiler, never a silent guess.

template <class To, class From> static inline To emu_bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "reinterpretation keeps the size");
  To r;
  memcpy(&r, &v, sizeof r);
  return r;
}
static inline int __float_as_int(float v) { return emu_bits<int>(v); }
static inline float __int_as_float(int v) { return emu_bits<float>(v); }
static inline unsigned __float_as_uint(float v) { return emu_bits<unsigned>(v); }
static inline long long __double_as_longlong(double v) { return emu_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return emu_bits<double>(v); }

typedef unsigned short emu_half;
static inline emu_half __float2half_rn(float v) { return emu_bits<emu_half>((_Float16)v); }
static inline float __half2float(emu_half v) { return (float)emu_bits<_Float16>(v); }
template <class H> static inline unsigned short __half_as_ushort(const H& h) {
  unsigned short r;
  memcpy(&r, &h, 2);
  return r;
}
static inline float __ushort_as_half(unsigned short v) { return __half2float(v); }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline float __expf(float v) { return expf(v); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float rsqrtf(float v) { return 1.f / sqrtf(v); }
static inline float rsqrt(float v) { return 1.f / sqrtf(v); }
static inline double rsqrt(double v) { return 1. / sqrt(v); }
template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }
template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class T> static inline T __ldg(const T* p) { return *p; }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;
static inline void __threadfence() {}
static inline void __threadfence_block() {}

#define EMU_ATOMIC(name, next)                                                 \
  template <class T, class U> static inline T name(T* p, U v) {                \
    T old = *p;                                                                \
    *p = (T)(next);                                                            \
    return old;                                                                \
  }
EMU_ATOMIC(atomicAdd, old + (T)v)
EMU_ATOMIC(atomicSub, old - (T)v)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicMax, (T)v > old ? (T)v : old)
EMU_ATOMIC(atomicMin, (T)v < old ? (T)v : old)
EMU_ATOMIC(atomicInc, old >= (T)v ? (T)0 : (T)(old + 1))
EMU_ATOMIC(atomicOr, old | (T)v)
EMU_ATOMIC(atomicAnd, old & (T)v)
template <class T, class U, class V> static inline T atomicCAS(T* p, U expected, V v) {
  T old = *p;
  if (old == (T)expected) *p = (T)v;
  return old;
}

#define __syncthreads() emu_wait(AT_BLOCK_BARRIER)
static inline void __syncwarp(unsigned = 0xffffffffu) { emu_wait(AT_WARP_BARRIER); }
static inline unsigned emu_thread_number() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
static inline int emu_lane() { return (int)(emu_thread_number() & 31u); }

// All lanes write, wait, read, wait: no lane overwrites its slot before the others have read it.
template <class T> static T emu_shuffle(T v, int source) {
  static T slots[1024];
  unsigned t = emu_thread_number(), warp = t & ~31u;
  slots[t] = v;
  emu_wait(AT_WARP_BARRIER);
  T r = source >= 0 && source < 32 ? slots[warp + (unsigned)source] : v;
  emu_wait(AT_WARP_BARRIER);
  return r;
}
template <class T> static inline T __shfl_sync(unsigned, T v, int lane) { return emu_shuffle(v, lane & 31); }
template <class T> static inline T __shfl_up_sync(unsigned, T v, unsigned by) {
  return emu_shuffle(v, emu_lane() - (int)by);
}
template <class T> static inline T __shfl_down_sync(unsigned, T v, unsigned by) {
  return emu_shuffle(v, emu_lane() + (int)by);
}
template <class T> static inline T __shfl_xor_sync(unsigned, T v, int mask) {
  return emu_shuffle(v, emu_lane() ^ mask);
}

// ---- the launch

// A kernel and its arguments, as the driver passes them: an array of pointers to the values.
template <class... A> struct EmuCall {
  void (*kernel)(A...);
  void** values;
  template <size_t... I> void apply(std::index_sequence<I...>) { kernel(*(A*)values[I]...); }
  static void run(void* self) { ((EmuCall*)self)->apply(std::index_sequence_for<A...>{}); }
};
template <class... A> static void emu_launch(bool has_barriers, void (*kernel)(A...), const unsigned* sizes, void** values) {
  EmuCall<A...> call{kernel, values};
  emu_run(&emu, has_barriers, &EmuCall<A...>::run, &call, sizes);
}
