// The CUDA execution model on one CPU thread, for kernel sources compiled by g++.
//
// Blocks run one after another; the threads of a block run in turn. Where the source has a barrier or a
// shuffle, every thread is a fiber with a stack of its own and a barrier hands over to the next one, so that
// nothing passes a barrier before all have reached it. CPUCUDA_REVERSE=1 runs blocks and threads backwards:
// a kernel whose result depends on the order shows itself.
#pragma once
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
#include <vector>

// ---- the language

struct emu_uint3 { unsigned x, y, z; };
static emu_uint3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;
static char* emu_dynamic_shared;  // what `extern __shared__` points to

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

// ---- fibers: a thread of a block that can stop at a barrier

enum EmuWait { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER };
struct EmuFiber { void* stack; bool done; EmuWait wait; emu_uint3 thread; };
static std::vector<EmuFiber> emu_fibers;
static void* emu_scheduler;  // the stack of the loop in emu_run_fibers
static size_t emu_current;
static void (*emu_body)(void*);
static void* emu_argument;
static const size_t EMU_STACK_BYTES = 32768;

// Saves the registers a call must keep (System V, x86-64), then the stack pointer in *from; goes on at `to`.
extern "C" __attribute__((visibility("hidden"))) void emu_switch(void** from, void* to);
asm(".text\n.hidden emu_switch\n.globl emu_switch\nemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

__attribute__((noinline)) static void emu_wait(EmuWait at) {
  emu_fibers[emu_current].wait = at;
  emu_switch(&emu_fibers[emu_current].stack, emu_scheduler);
}
static void emu_fiber_main() {
  emu_body(emu_argument);
  emu_fibers[emu_current].done = true;
  emu_wait(RUNNING);
  abort();  // a finished fiber is never run again
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

static const bool emu_reversed = getenv("CPUCUDA_REVERSE") != nullptr;
static inline unsigned emu_turn(unsigned i, unsigned n) { return emu_reversed ? n - 1 - i : i; }
static inline emu_uint3 emu_index(unsigned i, const emu_uint3& size) {
  return {i % size.x, i / size.x % size.y, i / size.x / size.y};
}

static bool emu_release(size_t begin, size_t end, EmuWait barrier) {  // true if all the living wait there
  size_t living = 0, waiting = 0;
  for (size_t i = begin; i < end; i++) {
    living += !emu_fibers[i].done;
    waiting += !emu_fibers[i].done && emu_fibers[i].wait == barrier;
  }
  if (!living || waiting != living) return false;
  for (size_t i = begin; i < end; i++) emu_fibers[i].wait = RUNNING;
  return true;
}
static void emu_run_fibers(unsigned n) {
  static std::vector<char> stacks;
  if (stacks.size() < EMU_STACK_BYTES * n + 64) stacks.resize(EMU_STACK_BYTES * n + 64);
  uintptr_t base = ((uintptr_t)stacks.data() + 63) / 64 * 64;
  emu_fibers.resize(n);
  for (unsigned i = 0; i < n; i++) {
    void** top = (void**)(base + EMU_STACK_BYTES * (i + 1));
    *--top = nullptr;
    *--top = (void*)emu_fiber_main;             // where the first switch returns to
    for (int r = 0; r < 6; r++) *--top = nullptr;  // the six registers it pops
    emu_fibers[i] = {top, false, RUNNING, emu_index(i, blockDim)};
  }
  for (bool living = true, moved; living;) {
    living = moved = false;
    for (unsigned i = 0; i < n; i++) {
      emu_current = emu_turn(i, n);
      EmuFiber& fiber = emu_fibers[emu_current];
      if (fiber.done || fiber.wait != RUNNING) continue;
      threadIdx = fiber.thread;
      emu_switch(&emu_scheduler, fiber.stack);
      moved = true;
    }
    for (unsigned warp = 0; warp < n; warp += 32)
      moved |= emu_release(warp, warp + 32 < n ? warp + 32 : n, AT_WARP_BARRIER);
    moved |= emu_release(0, n, AT_BLOCK_BARRIER);
    for (auto& fiber : emu_fibers) living |= !fiber.done;
    if (living && !moved) {
      fprintf(stderr, "cpucuda: barrier deadlock (divergent __syncthreads or __syncwarp)\n");
      abort();
    }
  }
}

// A kernel and its arguments, as the driver passes them: an array of pointers to the values.
template <class... A> struct EmuCall {
  void (*kernel)(A...);
  void** values;
  template <size_t... I> void apply(std::index_sequence<I...>) { kernel(*(A*)values[I]...); }
  static void run(void* self) { ((EmuCall*)self)->apply(std::index_sequence_for<A...>{}); }
};
// sizes: grid x y z, block x y z, bytes of dynamic shared memory
template <class... A> static void emu_launch(bool fibers, void (*kernel)(A...), const unsigned* sizes, void** values) {
  EmuCall<A...> call{kernel, values};
  gridDim = {sizes[0], sizes[1], sizes[2]};
  blockDim = {sizes[3], sizes[4], sizes[5]};
  emu_body = &EmuCall<A...>::run;
  emu_argument = &call;
  unsigned blocks = gridDim.x * gridDim.y * gridDim.z, threads = blockDim.x * blockDim.y * blockDim.z;
  emu_dynamic_shared = (char*)malloc(sizes[6]);
  for (unsigned b = 0; b < blocks; b++) {
    blockIdx = emu_index(emu_turn(b, blocks), gridDim);
    if (fibers) {
      emu_run_fibers(threads);
      continue;
    }
    for (unsigned t = 0; t < threads; t++) {
      threadIdx = emu_index(emu_turn(t, threads), blockDim);
      emu_body(emu_argument);
    }
  }
  free(emu_dynamic_shared);
}
