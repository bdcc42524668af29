// libcurand.so.10 stand-in: the host API that cupy.random.RandomState needs, drawn with the C++ library.
// The numbers are not cuRAND's; the entry points not here are generated as "not emulated" (libraries.py).
#include <cstddef>
#include <random>
extern "C" void emu_count(int what, const char* line);
typedef std::mt19937_64 Generator;
#define API extern "C"
enum { LAUNCH = 0, LENGTH_NOT_MULTIPLE = 105 };

template <class D, class T> static int fill(const char* name, Generator* g, T* p, size_t n, D draw) {
  emu_count(LAUNCH, name);
  for (size_t i = 0; i < n; i++) p[i] = (T)draw(*g);
  return 0;
}
API int curandCreateGenerator(Generator** g, int) { *g = new Generator(0); return 0; }
API int curandDestroyGenerator(Generator* g) { delete g; return 0; }
API int curandSetPseudoRandomGeneratorSeed(Generator* g, unsigned long long seed) { g->seed(seed); return 0; }
API int curandSetGeneratorOffset(Generator*, unsigned long long) { return 0; }
API int curandSetGeneratorOrdering(Generator*, int) { return 0; }
API int curandSetStream(Generator*, void*) { return 0; }
API int curandGetVersion(int* v) { *v = 10400; return 0; }
API int curandGenerate(Generator* g, unsigned* p, size_t n) {
  return fill("curandGenerate", g, p, n, [](Generator& r) { return (unsigned)r(); });
}
// cuRAND's uniform numbers lie in (0, 1]: one less a number of [0, 1)
API int curandGenerateUniform(Generator* g, float* p, size_t n) {
  std::uniform_real_distribution<float> d;
  return fill("curandUniform", g, p, n, [&](Generator& r) { return 1.f - d(r); });
}
API int curandGenerateUniformDouble(Generator* g, double* p, size_t n) {
  std::uniform_real_distribution<double> d;
  return fill("curandUniformDouble", g, p, n, [&](Generator& r) { return 1. - d(r); });
}
API int curandGenerateNormal(Generator* g, float* p, size_t n, float mean, float sd) {
  if (n & 1) return LENGTH_NOT_MULTIPLE;
  std::normal_distribution<float> d(mean, sd);
  return fill("curandNormal", g, p, n, [&](Generator& r) { return d(r); });
}
API int curandGenerateNormalDouble(Generator* g, double* p, size_t n, double mean, double sd) {
  if (n & 1) return LENGTH_NOT_MULTIPLE;
  std::normal_distribution<double> d(mean, sd);
  return fill("curandNormalDouble", g, p, n, [&](Generator& r) { return d(r); });
}
