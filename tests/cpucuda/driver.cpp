// libcuda.so.1 stand-in, and own versions of the C functions of cupy_backends.cuda.api.runtime.
//
// "Device" memory is host memory, every stream is synchronous, and everything is counted. Devices differ in
// their number only; the current one belongs to the thread, as in CUDA.
#include <Python.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <string>
#define API extern "C" __attribute__((visibility("default")))

// ---- what is counted; the order is COUNT_NAMES of runtime.py

enum { LAUNCH, GEMM, H2D, D2H, D2D, MEMSET, SYNC, MALLOC, FREE, PINNED, COUNTERS };
API long emu_counts[COUNTERS];
long emu_counts[COUNTERS] = {0};
static std::string log_text;
static bool log_on = false;
static std::mutex log_lock;
API void emu_reset(int log) {
  std::lock_guard<std::mutex> hold(log_lock);
  memset(emu_counts, 0, sizeof emu_counts);
  log_text.clear();
  log_on = log;
}
API const char* emu_log() { return log_text.c_str(); }
API void emu_count(int what, const char* line) {
  std::lock_guard<std::mutex> hold(log_lock);
  emu_counts[what]++;
  if (log_on) log_text += line, log_text += '\n';
}

// ---- devices and errors

static int device_count = 1;
static bool shown = true;
static thread_local int current_device = 0;
static bool exact_allocations = false;  // no rounding, so that AddressSanitizer sees the true end
static PyObject* runtime_error = nullptr;
static PyObject* pointer_attributes = nullptr;  // CuPy's class
API void emu_configure(int devices, int exact, PyObject* error, PyObject* attributes) {
  device_count = devices;
  exact_allocations = exact;
  Py_INCREF(runtime_error = error);
  Py_INCREF(pointer_attributes = attributes);
}
static PyObject* none() { Py_RETURN_NONE; }
static PyObject* fail(long status) {  // raises CUDARuntimeError(status)
  PyObject* number = PyLong_FromLong(status);
  PyErr_SetObject(runtime_error, number);
  Py_DECREF(number);
  return nullptr;
}
enum { INVALID_VALUE = 1, MEMORY_ALLOCATION = 2, NO_DEVICE = 100, INVALID_DEVICE = 101 };
API void emu_show(int show) { shown = show; }

// ---- the driver API: modules and launches

struct Function { void* entry; std::string name; };
API int cuGetErrorName(int, const char** s) { *s = "CPUCUDA_ERROR"; return 0; }
API int cuGetErrorString(int, const char** s) { *s = "error of the emulated driver"; return 0; }
API int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API int cuCtxGetCurrent(void** c) { *c = (void*)1; return 0; }
API int cuCtxSetCurrent(void*) { return 0; }
API int cuCtxCreate_v2(void** c, unsigned, int) { *c = (void*)1; return 0; }
API int cuCtxDestroy_v2(void*) { return 0; }
API int cuCtxGetDevice(int* d) { *d = current_device; return 0; }
API int cuStreamGetCtx(void*, void** c) { *c = (void*)1; return 0; }
#define NOT_EMULATED(name) \
  API int name() { fprintf(stderr, "cpucuda: %s is not emulated\n", #name); return 801; }
NOT_EMULATED(cuLinkCreate_v2)
NOT_EMULATED(cuLinkAddData_v2)
NOT_EMULATED(cuLinkAddFile_v2)
NOT_EMULATED(cuLinkComplete)
NOT_EMULATED(cuLinkDestroy)
NOT_EMULATED(cuModuleGetGlobal_v2)
NOT_EMULATED(cuLaunchCooperativeKernel)

// An "image" is "CPUCUDA:<path of a shared library>", written by kernels.py.
API int cuModuleLoadData(void** module, const char* image) {
  if (strncmp(image, "CPUCUDA:", 8)) return 200;
  *module = dlopen(image + 8, RTLD_NOW | RTLD_LOCAL);
  if (!*module) fprintf(stderr, "cpucuda: %s\n", dlerror());
  return *module ? 0 : 200;
}
API int cuModuleLoad(void**, const char*) { return 200; }
API int cuModuleUnload(void*) { return 0; }
API int cuModuleGetFunction(void** function, void* module, const char* name) {
  void* entry = dlsym(module, (std::string("__emu_") + name).c_str());
  if (!entry) return 500;
  *function = new Function{entry, name};
  return 0;
}
API int cuLaunchKernel(Function* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                       unsigned shared, void*, void** values, void**) {
  if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || shared > 49152) return INVALID_VALUE;
  unsigned sizes[7] = {gx, gy, gz, bx, by, bz, shared};
  static std::mutex one_at_a_time;  // the kernels' threadIdx and stacks are static
  std::lock_guard<std::mutex> hold(one_at_a_time);
  emu_count(LAUNCH, f->name.c_str());
  ((void (*)(const unsigned*, void**))f->entry)(sizes, values);
  return 0;
}
API int cuFuncGetAttribute(int* v, int attribute, void*) { *v = attribute == 0 ? 1024 : 0; return 0; }
API int cuFuncSetAttribute(void*, int, int) { return 0; }
API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, void*, int, size_t) { *n = 2; return 0; }
API int cuOccupancyMaxPotentialBlockSize(int* grid, int* block, void*, void*, size_t, int) {
  *grid = 264;
  *block = 128;
  return 0;
}

// ---- the runtime, with the signatures of __pyx_capi__ (the trailing int is Cython's skip_dispatch)

API PyObject* rt_check_status(int status, int) { return status ? fail(status) : none(); }
API PyObject* rt_ensure_context() { return none(); }
API int rt_version(int) { return 13000; }
API int rt_major(int) { return 13; }
API int rt_getDeviceCount(int) {
  if (shown) return device_count;
  fail(NO_DEVICE);
  return -1;
}
API int rt_getDevice(int) { return current_device; }
API PyObject* rt_setDevice(int d, int) {
  if (d < 0 || d >= device_count) return fail(INVALID_DEVICE);
  current_device = d;
  return none();
}
API int rt_deviceGetAttribute(int attribute, int, int) {
  switch (attribute) {
    case 75: return 9;      // compute capability, major
    case 76: return 0;      // and minor
    case 16: return 132;    // multiprocessors
    case 1: return 1024;    // threads in a block
    case 8: return 49152;   // shared memory of a block
    case 10: return 32;     // threads in a warp
    case 39: return 2048;   // threads on a multiprocessor
  }
  return 0;
}
API int rt_deviceCanAccessPeer(int, int, int) { return 0; }
API PyObject* rt_ensurePeerAccess(int, int) { return none(); }
API PyObject* rt_memGetInfo(int) {
  return Py_BuildValue("(nn)", (Py_ssize_t)80 << 30, (Py_ssize_t)80 << 30);
}
API PyObject* rt_deviceSynchronize(int) { emu_count(SYNC, "!deviceSynchronize"); return none(); }
API PyObject* rt_streamSynchronize(intptr_t, int) { emu_count(SYNC, "!streamSynchronize"); return none(); }
API PyObject* rt_eventSynchronize(intptr_t, int) { emu_count(SYNC, "!eventSynchronize"); return none(); }
API PyObject* rt_eventRecord(intptr_t, intptr_t, int) { return none(); }
API PyObject* rt_streamWaitEvent(intptr_t, intptr_t, int, void*) { return none(); }
API PyObject* rt_streamQuery(intptr_t, int) { Py_RETURN_TRUE; }
API float rt_eventElapsedTime(intptr_t, intptr_t, int) { return 1.0f; }
API int rt_zero(intptr_t, int) { return 0; }
API PyObject* rt_nothing(intptr_t, int) { return none(); }
API PyObject* rt_nothing0(int) { return none(); }
API intptr_t rt_handle(int) { static intptr_t next = 0x1000; return next += 16; }
API intptr_t rt_handle1(unsigned, int) { return rt_handle(0); }
API intptr_t rt_handle2(unsigned, int, int) { return rt_handle(0); }

static std::map<intptr_t, std::pair<size_t, int>> allocations;  // start -> bytes and device
static std::mutex allocations_lock;
static void remember(intptr_t p, size_t bytes) {
  std::lock_guard<std::mutex> hold(allocations_lock);
  allocations[p] = {bytes, current_device};
}
static void forget(intptr_t p) {
  std::lock_guard<std::mutex> hold(allocations_lock);
  allocations.erase(p);
}
API PyObject* rt_pointerGetAttributes(intptr_t p, int) {
  std::lock_guard<std::mutex> hold(allocations_lock);
  auto after = allocations.upper_bound(p);
  if (after == allocations.begin()) return fail(INVALID_VALUE);
  auto found = *--after;
  if (p >= found.first + (intptr_t)found.second.first) return fail(INVALID_VALUE);
  return PyObject_CallFunction(pointer_attributes, "inni", found.second.second, p, (Py_ssize_t)0, 2);
}

static intptr_t allocate(size_t bytes) {
  void* p = exact_allocations ? malloc(bytes) : aligned_alloc(512, (bytes + 511) / 512 * 512);
  if (!p) { fail(MEMORY_ALLOCATION); return 0; }
  memset(p, 0xFF, bytes);  // NaN or -1: an uninitialised read shows
  return (intptr_t)p;
}
API intptr_t rt_malloc(size_t bytes, int) {
  emu_count(MALLOC, "!malloc");
  intptr_t p = allocate(bytes);
  if (p) remember(p, bytes);
  return p;
}
API intptr_t rt_mallocAsync(size_t bytes, intptr_t, int) { return rt_malloc(bytes, 0); }
API PyObject* rt_free(intptr_t p, int) {
  emu_count(FREE, "!free");
  forget(p);
  free((void*)p);
  return none();
}
API PyObject* rt_freeAsync(intptr_t p, intptr_t, int) { return rt_free(p, 0); }
API intptr_t rt_hostAlloc(size_t bytes, unsigned, int) { emu_count(PINNED, "!hostAlloc"); return allocate(bytes); }
API PyObject* rt_freeHost(intptr_t p, int) { free((void*)p); return none(); }

static PyObject* copy(intptr_t to, intptr_t from, size_t bytes, int kind) {
  int what = kind == 1 ? H2D : kind == 2 ? D2H : D2D;
  emu_count(what, what == H2D ? "!H2D" : what == D2H ? "!D2H" : "!D2D");
  memmove((void*)to, (const void*)from, bytes);
  return none();
}
API PyObject* rt_memcpy(intptr_t to, intptr_t from, size_t n, int kind, int) { return copy(to, from, n, kind); }
API PyObject* rt_memcpyAsync(intptr_t to, intptr_t from, size_t n, int kind, intptr_t, int) {
  return copy(to, from, n, kind);
}
API PyObject* rt_memcpyPeer(intptr_t to, int, intptr_t from, int, size_t n, int) { return copy(to, from, n, 3); }
API PyObject* rt_memcpyPeerAsync(intptr_t to, int, intptr_t from, int, size_t n, intptr_t, int) {
  return copy(to, from, n, 3);
}
API PyObject* rt_memset(intptr_t p, int value, size_t n, int) {
  emu_count(MEMSET, "!memset");
  memset((void*)p, value, n);
  return none();
}
API PyObject* rt_memsetAsync(intptr_t p, int value, size_t n, intptr_t, int) { return rt_memset(p, value, n, 0); }
