// What a kernel, compiled by g++, and the driver's stand-in, which runs it, know of each other.
#pragma once
struct EmuSize { unsigned x, y, z; };
struct EmuThread {
  EmuSize thread, block, block_size, grid_size;
  char* dynamic_shared;  // what `extern __shared__` points to
};
enum EmuWait { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER };

// Called by the thread that is running: the others go first.
extern "C" __attribute__((visibility("default"))) void emu_wait(EmuWait at);
// body(argument) once for every thread of every block, which finds itself in *current.
// sizes: grid x y z, block x y z, bytes of dynamic shared memory.
extern "C" __attribute__((visibility("default"))) void emu_run(
    EmuThread* current, bool has_barriers, void (*body)(void*), void* argument, const unsigned* sizes);
