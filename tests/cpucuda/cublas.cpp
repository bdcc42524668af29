// libcublas.so.13 stand-in: the products a network needs, float32 and float64, through a real BLAS.
//
// emu_set_gemm receives the Fortran dgemm and sgemm of SciPy's BLAS; without them a plain loop computes.
// cuBLAS is column-major like Fortran, so the arguments go through as they come, after the checks cuBLAS makes.
// Every entry point not here is generated as "not emulated" (libraries.py) and fails loudly.
#include <cstddef>
#include <cstdio>
#define API extern "C" __attribute__((visibility("default")))
extern "C" void emu_count(int what, const char* line);
enum { GEMM = 1, SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15, FLOAT32 = 0, FLOAT64 = 1 };

static void* stream = nullptr;
static int pointer_mode = 0, math_mode = 0;
API int cublasCreate_v2(void** h) { *h = (void*)0x77; return SUCCESS; }
API int cublasDestroy_v2(void*) { return SUCCESS; }
API int cublasGetVersion_v2(void*, int* v) { *v = 130000; return SUCCESS; }
API int cublasSetStream_v2(void*, void* s) { stream = s; return SUCCESS; }
API int cublasGetStream_v2(void*, void** s) { *s = stream; return SUCCESS; }
API int cublasSetPointerMode_v2(void*, int m) { pointer_mode = m; return SUCCESS; }
API int cublasGetPointerMode_v2(void*, int* m) { *m = pointer_mode; return SUCCESS; }
API int cublasSetMathMode(void*, int m) { math_mode = m; return SUCCESS; }
API int cublasGetMathMode(void*, int* m) { *m = math_mode; return SUCCESS; }

template <class T>
using FortranGemm = void (*)(const char* ta, const char* tb, const int* m, const int* n, const int* k, const T* alpha,
                             const T* A, const int* lda, const T* B, const int* ldb, const T* beta, T* C,
                             const int* ldc);
template <class T> static FortranGemm<T> real_gemm = nullptr;
API void emu_set_gemm(void* single_precision, void* double_precision) {
  real_gemm<float> = (FortranGemm<float>)single_precision;
  real_gemm<double> = (FortranGemm<double>)double_precision;
}

// C <- alpha op(A) op(B) + beta C, column-major, op by ta and tb: 0 as it is, 1 transposed
template <class T>
static int product(int ta, int tb, int m, int n, int k, T alpha, const T* A, int lda, const T* B, int ldb, T beta,
                   T* C, int ldc) {
  if (ta > 1 || tb > 1) return NOT_SUPPORTED;
  if (m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return INVALID_VALUE;
  if (real_gemm<T>) {
    real_gemm<T>(ta ? "T" : "N", tb ? "T" : "N", &m, &n, &k, &alpha, A, &lda, B, &ldb, &beta, C, &ldc);
    return SUCCESS;
  }
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++) {
      T sum = 0, &c = C[i + (size_t)j * ldc];
      for (int p = 0; p < k; p++)
        sum += A[ta ? p + (size_t)i * lda : i + (size_t)p * lda] * B[tb ? j + (size_t)p * ldb : p + (size_t)j * ldb];
      c = alpha * sum + (beta == T(0) ? T(0) : beta * c);
    }
  return SUCCESS;
}
static void note(const char* name, int ta, int tb, int m, int n, int k) {
  char line[128];
  snprintf(line, sizeof line, "%s[%c%c m=%d n=%d k=%d]", name, "NTC"[ta], "NTC"[tb], m, n, k);
  emu_count(GEMM, line);
}
static int unsupported(const char* name, int type) {
  fprintf(stderr, "cpucuda: %s of data type %d is not emulated\n", name, type);
  return NOT_SUPPORTED;
}

#define SHAPE int ta, int tb, int m, int n, int k
#define OPERANDS(T) const T *A, int lda, const T *B, int ldb, const T *beta, T *C, int ldc
API int cublasSgemm_v2(void*, SHAPE, const float* alpha, OPERANDS(float)) {
  note("Sgemm", ta, tb, m, n, k);
  return product(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc);
}
API int cublasDgemm_v2(void*, SHAPE, const double* alpha, OPERANDS(double)) {
  note("Dgemm", ta, tb, m, n, k);
  return product(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc);
}
template <class T>
static int strided(SHAPE, const void* alpha, const void* A, int lda, long long sa, const void* B, int ldb,
                   long long sb, const void* beta, void* C, int ldc, long long sc, int count) {
  for (int i = 0; i < count; i++) {
    int status = product(ta, tb, m, n, k, *(const T*)alpha, (const T*)A + sa * i, lda, (const T*)B + sb * i, ldb,
                         *(const T*)beta, (T*)C + sc * i, ldc);
    if (status) return status;
  }
  return SUCCESS;
}
API int cublasGemmStridedBatchedEx(void*, SHAPE, const void* alpha, const void* A, int type, int lda, long long sa,
                                   const void* B, int b_type, int ldb, long long sb, const void* beta, void* C,
                                   int c_type, int ldc, long long sc, int count, int, int) {
  note("GemmStridedBatched", ta, tb, m, n, k);
  if (type != b_type || type != c_type || type > FLOAT64) return unsupported("GemmStridedBatchedEx", type);
  return (type == FLOAT32 ? strided<float> : strided<double>)(ta, tb, m, n, k, alpha, A, lda, sa, B, ldb, sb, beta, C,
                                                              ldc, sc, count);
}
API int cublasGemmEx(void*, SHAPE, const void* alpha, const void* A, int type, int lda, const void* B, int b_type,
                     int ldb, const void* beta, void* C, int c_type, int ldc, int, int) {
  note("GemmEx", ta, tb, m, n, k);
  if (type != b_type || type != c_type || type > FLOAT64) return unsupported("GemmEx", type);
  return (type == FLOAT32 ? strided<float> : strided<double>)(ta, tb, m, n, k, alpha, A, lda, 0, B, ldb, 0, beta, C,
                                                              ldc, 0, 1);
}
API int cublasSgemmEx(void* h, SHAPE, const float* alpha, const void* A, int type, int lda, const void* B, int b_type,
                      int ldb, const float* beta, void* C, int c_type, int ldc) {
  return cublasGemmEx(h, ta, tb, m, n, k, alpha, A, type, lda, B, b_type, ldb, beta, C, c_type, ldc, 0, 0);
}
template <class T>
static int batched(SHAPE, const T* alpha, const T** A, int lda, const T** B, int ldb, const T* beta, T** C, int ldc,
                   int count) {
  note("GemmBatched", ta, tb, m, n, k);
  for (int i = 0; i < count; i++) {
    int status = product(ta, tb, m, n, k, *alpha, A[i], lda, B[i], ldb, *beta, C[i], ldc);
    if (status) return status;
  }
  return SUCCESS;
}
API int cublasSgemmBatched(void*, SHAPE, const float* alpha, const float** A, int lda, const float** B, int ldb,
                           const float* beta, float** C, int ldc, int count) {
  return batched(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, count);
}
API int cublasDgemmBatched(void*, SHAPE, const double* alpha, const double** A, int lda, const double** B, int ldb,
                           const double* beta, double** C, int ldc, int count) {
  return batched(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, count);
}

// A dot product is a product of a row and a column; strides other than one are not needed by CuPy here.
template <class T> static int dot(int n, const T* x, int ix, const T* y, int iy, T* result) {
  emu_count(GEMM, "dot");
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)x[(size_t)i * ix] * (double)y[(size_t)i * iy];
  *result = (T)sum;
  return SUCCESS;
}
API int cublasSdot_v2(void*, int n, const float* x, int ix, const float* y, int iy, float* result) {
  return dot(n, x, ix, y, iy, result);
}
API int cublasDdot_v2(void*, int n, const double* x, int ix, const double* y, int iy, double* result) {
  return dot(n, x, ix, y, iy, result);
}
API int cublasSgemv_v2(void*, int t, int m, int n, const float* alpha, const float* A, int lda, const float* x, int ix,
                       const float* beta, float* y, int iy) {
  emu_count(GEMM, "Sgemv");
  int rows = t ? n : m, columns = t ? m : n;
  for (int i = 0; i < rows; i++) {
    float sum = 0, &r = y[(size_t)i * iy];
    for (int p = 0; p < columns; p++) sum += A[t ? p + (size_t)i * lda : i + (size_t)p * lda] * x[(size_t)p * ix];
    r = *alpha * sum + (*beta ? *beta * r : 0.f);
  }
  return SUCCESS;
}
