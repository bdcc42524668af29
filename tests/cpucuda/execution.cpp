// The CUDA execution model on one CPU thread.
//
// Blocks run one after another; the threads of a block run in turn. Where a kernel has a barrier or a shuffle,
// every thread is a fiber with a stack of its own and a barrier hands over to the next one, so that nothing
// passes a barrier before all have reached it. CPUCUDA_REVERSE=1 runs blocks and threads backwards: a kernel
// whose result depends on the order shows itself.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

static EmuThread* current;  // the kernel's own
static void (*body)(void*);
static void* body_argument;

static const bool reversed = getenv("CPUCUDA_REVERSE") != nullptr;
static unsigned turn(unsigned i, unsigned n) { return reversed ? n - 1 - i : i; }
static EmuSize index(unsigned i, const EmuSize& size) {
  return {i % size.x, i / size.x % size.y, i / size.x / size.y};
}

// ---- fibers: a thread of a block that can stop at a barrier

struct Fiber { void* stack; bool done; EmuWait wait; EmuSize thread; };
static std::vector<Fiber> fibers;
static Fiber* running;
static void* scheduler;  // the stack of the loop in run_fibers
static const size_t STACK_BYTES = 32768;

// Saves the registers a call must keep (System V, x86-64), then the stack pointer in *from; goes on at `to`.
extern "C" __attribute__((visibility("hidden"))) void emu_switch(void** from, void* to);
asm(".text\n.hidden emu_switch\n.globl emu_switch\nemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

void emu_wait(EmuWait at) {
  running->wait = at;
  emu_switch(&running->stack, scheduler);
}
static void fiber_main() {
  body(body_argument);
  running->done = true;
  emu_wait(RUNNING);
  abort();  // a finished fiber is never run again
}

static bool release(size_t begin, size_t end, EmuWait barrier) {  // true if all the living wait there
  size_t living = 0, waiting = 0;
  for (size_t i = begin; i < end; i++) {
    living += !fibers[i].done;
    waiting += !fibers[i].done && fibers[i].wait == barrier;
  }
  if (!living || waiting != living) return false;
  for (size_t i = begin; i < end; i++) fibers[i].wait = RUNNING;
  return true;
}
static void run_fibers(unsigned n) {
  static std::vector<char> stacks;
  if (stacks.size() < STACK_BYTES * n + 64) stacks.resize(STACK_BYTES * n + 64);
  uintptr_t base = ((uintptr_t)stacks.data() + 63) / 64 * 64;
  fibers.resize(n);
  for (unsigned i = 0; i < n; i++) {
    void** top = (void**)(base + STACK_BYTES * (i + 1));
    *--top = nullptr;
    *--top = (void*)fiber_main;                    // where the first switch returns to
    for (int r = 0; r < 6; r++) *--top = nullptr;  // the six registers it pops
    fibers[i] = {top, false, RUNNING, index(i, current->block_size)};
  }
  for (bool living = true, moved; living;) {
    living = moved = false;
    for (unsigned i = 0; i < n; i++) {
      Fiber& fiber = fibers[turn(i, n)];
      if (fiber.done || fiber.wait != RUNNING) continue;
      running = &fiber;
      current->thread = fiber.thread;
      emu_switch(&scheduler, fiber.stack);
      moved = true;
    }
    for (unsigned warp = 0; warp < n; warp += 32)
      moved |= release(warp, warp + 32 < n ? warp + 32 : n, AT_WARP_BARRIER);
    moved |= release(0, n, AT_BLOCK_BARRIER);
    for (auto& fiber : fibers) living |= !fiber.done;
    if (living && !moved) {
      fprintf(stderr, "cpucuda: barrier deadlock (divergent __syncthreads or __syncwarp)\n");
      abort();
    }
  }
}

// ---- the launch

void emu_run(EmuThread* of_kernel, bool has_barriers, void (*kernel)(void*), void* argument, const unsigned* sizes) {
  current = of_kernel, body = kernel, body_argument = argument;
  current->grid_size = {sizes[0], sizes[1], sizes[2]};
  current->block_size = {sizes[3], sizes[4], sizes[5]};
  current->dynamic_shared = (char*)malloc(sizes[6]);
  unsigned blocks = sizes[0] * sizes[1] * sizes[2], threads = sizes[3] * sizes[4] * sizes[5];
  for (unsigned b = 0; b < blocks; b++) {
    current->block = index(turn(b, blocks), current->grid_size);
    if (has_barriers) {
      run_fibers(threads);
      continue;
    }
    for (unsigned t = 0; t < threads; t++) {
      current->thread = index(turn(t, threads), current->block_size);
      body(argument);
    }
  }
  free(current->dynamic_shared);
}
