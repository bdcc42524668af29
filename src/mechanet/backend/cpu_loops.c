/* Loops that do in one pass what takes NumPy several.

   Each loop replaces lines of `mechanet.optimizers`, `layers` or `losses`, with the same symbols; `decay` may be
   NULL. Steps and layers compute in the same order and precision as those lines, so the numbers are the same bit for
   bit. `cpu_loops.py` loads these loops; `.hatch_build.py` compiles them when the package is built, once with
   -Dreal=float and once with -Dreal=double. Without a C compiler there are none, and NumPy does everything. */

#include <stdint.h>
#include <string.h>
#include <tgmath.h>

/* One version for each register width; the widest that the processor supports is chosen when the file is loaded.
   Where there can be only one version, NumPy is faster, since it has several. */
#if !defined(__x86_64__)
#define EACH_WIDTH
#elif defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define EACH_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#error "on x86-64 the loops take GCC, and glibc"
#endif

/* ---- optimizers: θ, dθ and their state, n numbers each */

EACH_WIDTH void sgd(int64_t n, real *restrict theta, const real *restrict gradient, const real *restrict decay,
                    real alpha) {
  for (int64_t i = 0; i < n; i++) {
    real g = decay ? decay[i] * theta[i] + gradient[i] : gradient[i];
    theta[i] -= alpha * g;
  }
}

EACH_WIDTH void sgd_momentum(int64_t n, real *restrict theta, const real *restrict gradient,
                             const real *restrict decay, real *restrict u, real alpha, real momentum, int nesterov) {
  for (int64_t i = 0; i < n; i++) {
    real g = decay ? decay[i] * theta[i] + gradient[i] : gradient[i];
    u[i] = u[i] * momentum + g;
    theta[i] -= alpha * (nesterov ? g + momentum * u[i] : u[i]);
  }
}

EACH_WIDTH void velocity(int64_t n, real *restrict theta, const real *restrict gradient, const real *restrict decay,
                         real *restrict v, real alpha, real momentum, int nesterov) {
  for (int64_t i = 0; i < n; i++) {
    real g = decay ? decay[i] * theta[i] + gradient[i] : gradient[i];
    real descent = alpha * g;
    v[i] = v[i] * momentum - descent;
    theta[i] += nesterov ? momentum * v[i] - descent : v[i];
  }
}

EACH_WIDTH void rmsprop(int64_t n, real *restrict theta, const real *restrict gradient, const real *restrict decay,
                        real *restrict v, real alpha, real share, real epsilon) {
  for (int64_t i = 0; i < n; i++) {
    real g = decay ? decay[i] * theta[i] + gradient[i] : gradient[i];
    v[i] += (g * g - v[i]) * share;
    theta[i] -= g / (sqrt(v[i]) + epsilon) * alpha;
  }
}

EACH_WIDTH void adam(int64_t n, real *restrict theta, const real *restrict gradient, const real *restrict decay,
                     real *restrict s, real *restrict r, real alpha, real beta1, real beta2, real epsilon) {
  for (int64_t i = 0; i < n; i++) {
    real g = decay ? decay[i] * theta[i] + gradient[i] : gradient[i];
    s[i] = s[i] * beta1 + g;
    r[i] = r[i] * beta2 + g * g;
    theta[i] -= s[i] / (sqrt(r[i]) + epsilon) * alpha;
  }
}

EACH_WIDTH void shrink(int64_t n, real *restrict theta, const real *restrict decay, real alpha) {
  for (int64_t i = 0; i < n; i++) theta[i] -= alpha * decay[i] * theta[i];
}

/* ---- the rows of a batch: X (length, n), rows (m,), A (m, n). Returns m, or the first i whose rows[i] is not in X. */

static void fetch(const void *bytes, int64_t count) { /* into the cache, ahead of use */
#ifdef __GNUC__
  for (int64_t i = 0; i < count; i += 64) __builtin_prefetch((const char *)bytes + i);
#endif
}

/* A ← X[rows] */
int64_t gathered_rows(int64_t m, int64_t n, int64_t length, const real *restrict X, const int64_t *restrict rows,
                      real *restrict A) {
  for (int64_t i = 0; i < m; i++) {
    if (rows[i] < 0 || rows[i] >= length) return i;
    if (i + 2 < m) fetch(X + rows[i + 2] * n, n * sizeof(real));
    memcpy(A + i * n, X + rows[i] * n, n * sizeof(real));
  }
  return m;
}

/* A ← factor X[rows] for an X of bytes; if rows is NULL, A ← factor X */
EACH_WIDTH int64_t scaled_rows(int64_t m, int64_t n, int64_t length, const uint8_t *restrict X,
                               const int64_t *restrict rows, real factor, real *restrict A) {
  for (int64_t i = 0; i < m; i++) {
    int64_t row = rows ? rows[i] : i;
    if (row < 0 || row >= length) return i;
    if (rows && i + 2 < m) fetch(X + rows[i + 2] * n, n);
    for (int64_t j = 0; j < n; j++) A[i * n + j] = (real)X[row * n + j] * factor;
  }
  return m;
}

/* ---- layers: Z, A (m, n) and b (n,) */

/* Z ← max(Z + b, 0) */
EACH_WIDTH void bias_relu(int64_t m, int64_t n, real *restrict Z, const real *restrict b) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      real z = Z[i * n + j] + b[j];
      Z[i * n + j] = z < 0 ? 0 : z;
    }
}

/* db ← Σ_rows dZ, one row after another */
EACH_WIDTH void sum_rows(int64_t m, int64_t n, const real *restrict dZ, real *restrict db) {
  for (int64_t j = 0; j < n; j++) db[j] = 0;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) db[j] += dZ[i * n + j];
}

/* dA ← dZ, which is dA where A > 0 and else 0; db ← Σ_rows dZ, unless it is NULL */
EACH_WIDTH void relu_backward(int64_t m, int64_t n, real *restrict dA, const real *restrict A, real *restrict db) {
  for (int64_t j = 0; db && j < n; j++) db[j] = 0;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      real dZ = dA[i * n + j] * (A[i * n + j] > 0 ? (real)1 : (real)0);
      dA[i * n + j] = dZ;
      if (db) db[j] += dZ;
    }
}

/* ---- softmax with cross-entropy, for scores Z (m, k), labels T (m,) and weights c (m,). Between the two loops NumPy
   computes exp, which it does for many numbers at once. The loss is Σ_i c_i (log S_i - D_iT). */

/* D ← Z - max_row Z and *loss ← -Σ_i c_i D_iT. Returns the number of rows whose arg-max (the first on ties) is the
   label; -1 if a label is out of range. */
EACH_WIDTH int64_t less_largest(int64_t m, int64_t k, const real *restrict Z, const int64_t *restrict T,
                                const real *restrict c, real *restrict D, double *restrict loss) {
  int64_t correct = 0;
  *loss = 0;
  for (int64_t i = 0; i < m; i++, Z += k, D += k) {
    if (T[i] < 0 || T[i] >= k) return -1;
    real largest = Z[0];
    for (int64_t j = 1; j < k; j++) largest = Z[j] > largest ? Z[j] : largest;
    for (int64_t j = 0; j < k; j++) D[j] = Z[j] - largest;
    *loss -= c[i] * D[T[i]];
    if (D[T[i]] == 0) {
      int64_t first = 0;
      while (D[first] != 0) first++;
      correct += first == T[i];
    }
  }
  return correct;
}

/* E ← c (E / S - T), which is dZ, with S the sums of the rows of E = exp(D); *loss ← *loss + Σ_i c_i log S_i */
EACH_WIDTH void softmax_less_labels(int64_t m, int64_t k, real *restrict E, const int64_t *restrict T,
                                    const real *restrict c, double *restrict loss) {
  for (int64_t i = 0; i < m; i++, E += k) {
    real S = 0;
    for (int64_t j = 0; j < k; j++) S += E[j];
    *loss += c[i] * log(S);
    real scale = c[i] / S;
    for (int64_t j = 0; j < k; j++) E[j] *= scale;
    E[T[i]] -= c[i];
  }
}
