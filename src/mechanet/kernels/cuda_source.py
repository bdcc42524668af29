"""The CUDA C source of the fused kernels, which `kernels.cuda` compiles; `real` is the type of numbers."""

from mechanet import layers

# ---- activations: A = f(z) and dZ from d = dA, z and a; o is the activation's option

ACTIVATIONS = {
    layers.ReLU: ("z < 0 ? real(0) : z", "d * real(a > 0)"),
    layers.LeakyReLU: ("z < o * z ? o * z : z", "d * (o + (1 - o) * real(z > 0))"),
    layers.ELU: ("z < 0 ? o * expm1(z) : z", "d * (z > 0 ? real(1) : a + o)"),
    layers.GELU: ("real(0.5) * z * (1 + tanh(gelu_inner(z)))", "d * gelu_slope(z)"),
    layers.SiLU: ("z * sigmoid(z)", "d * (sigmoid(z) + a * (1 - sigmoid(z)))"),
    layers.Sigmoid: ("sigmoid(z)", "d * a * (1 - a)"),
    layers.Tanh: ("tanh(z)", "d * (1 - a * a)"),
    layers.Softplus: ("(z < 0 ? real(0) : z) + log1p(exp(-abs(z)))", "d * sigmoid(z)"),
}
FUNCTIONS = """
template <typename real> __device__ real sigmoid(real z) {
  real e = exp(-abs(z));
  return (z < 0 ? e : real(1)) / (1 + e);
}
template <typename real> __device__ real gelu_inner(real z) {
  return real(0.79788456080286535588) * (z + real(0.044715) * z * z * z);  // sqrt(2 / pi)
}
template <typename real> __device__ real gelu_slope(real z) {
  real t = tanh(gelu_inner(z)), slope = real(0.79788456080286535588) * (1 + 3 * real(0.044715) * z * z);
  return real(0.5) * (1 + t) + real(0.5) * z * (1 - t * t) * slope;
}
"""

# A block handles 32 columns. Its 16 rows of threads load 64 rows of the batch at a time; the first row of threads
# then adds them up one after another, as NumPy's sum does, so that db is the same to the last bit.
ACTIVATION_BACKWARD = """
#define TILE 64
extern "C" __global__ void activation_backward(const real* dA, const real* Z, const real* A, real o, long long m,
                                               int n, real* dZ, real* db) {
  __shared__ real tile[TILE][32];
  const int column = blockIdx.x * 32 + threadIdx.x;
  real sum = 0;
  for (long long first = 0; first < m; first += TILE) {
    const int rows = m - first < TILE ? (int)(m - first) : TILE;
    for (int i = threadIdx.y; i < rows && column < n; i += 16) {
      const long long at = (first + i) * n + column;
#if WRITES
      const real d = dA[at], z = Z[at], a = A[at];
      dZ[at] = DERIVATIVE;
#endif
      tile[i][threadIdx.x] = dZ[at];
    }
    __syncthreads();
    for (int i = 0; i < rows && threadIdx.y == 0; i++) sum += tile[i][threadIdx.x];
    __syncthreads();
  }
  if (threadIdx.y == 0 && column < n && db) db[column] = sum;
}
"""

# The sum over all blocks in one launch and in a fixed order: each block stores its part, and the block that
# finishes last adds them up. atomicInc wraps to 0, ready for the next launch.
BLOCK_SUMS = """
#define WARPS 8
template <typename number> __device__ number warp_sum(number v) {
  for (int by = 16; by; by >>= 1) v += __shfl_xor_sync(0xffffffffu, v, by);
  return v;
}
template <typename number> __device__ number sum_in_order(number v, int lanes, number sum = 0) {
  for (int lane = 0; lane < lanes; lane++) sum += __shfl_sync(0xffffffffu, v, lane);
  return sum;
}
__device__ bool finished_last(unsigned* finished) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicInc(finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  return last;
}
"""

# A warp handles a row. Target of row i: keep * (one-hot of labels[i], or targets[i]) + share.
SOFTMAX_CROSS_ENTROPY = """
__device__ bool ahead(const real* z, int i, int j, int k) {  // the first of the largest, as in argmax; k: none
  return i < k && (j == k || z[i] > z[j] || (z[i] == z[j] && i < j));
}
extern "C" __global__ void softmax_cross_entropy(
    const real* Z, const long long* labels, const real* targets, const real* c, long long m, int k, real keep,
    real share, real* dZ, real* value, long long* count, volatile real* parts, volatile long long* part_correct,
    unsigned* finished) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  real loss = 0;
  long long correct = 0;
  for (long long row = blockIdx.x * WARPS + warp; row < m; row += (long long)gridDim.x * WARPS) {
    const real* z = Z + row * k;
    const real* t = targets + row * k;
    int guess = k, truth = k;
    for (int j = lane; j < k; j += 32) {
      if (ahead(z, j, guess, k)) guess = j;
      if (!labels && ahead(t, j, truth, k)) truth = j;
    }
    for (int by = 16; by; by >>= 1) {
      const int other = __shfl_xor_sync(0xffffffffu, guess, by), rival = __shfl_xor_sync(0xffffffffu, truth, by);
      if (ahead(z, other, guess, k)) guess = other;
      if (!labels && ahead(t, rival, truth, k)) truth = rival;
    }
    if (labels) truth = (int)labels[row];
    const real top = z[guess];
    real sum = 0, dot = 0;
    for (int j = lane; j < k; j += 32) {
      sum += exp(z[j] - top);
      dot += (keep * (labels ? real(j == truth) : t[j]) + share) * (z[j] - top);
    }
    sum = sum_in_order(sum, k < 32 ? k : 32);
    dot = warp_sum(dot);
    loss += c[row] * (log(sum) - dot);
    correct += guess == truth;
    const real scale = c[row] / sum;
    for (int j = lane; j < k; j += 32) {
      const real target = keep * (labels ? real(j == truth) : t[j]) + share;
      dZ[row * k + j] = exp(z[j] - top) * scale - c[row] * target;
    }
  }
  __shared__ real losses[WARPS];
  __shared__ long long corrects[WARPS];
  if (lane == 0) {
    losses[warp] = loss;
    corrects[warp] = correct;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < WARPS; i++) {
      loss += losses[i];
      correct += corrects[i];
    }
    parts[blockIdx.x] = loss;
    part_correct[blockIdx.x] = correct;
  }
  if (!finished_last(finished) || warp) return;
  loss = 0;
  correct = 0;
  for (int i = lane; i < gridDim.x; i += 32) {
    loss += parts[i];
    correct += part_correct[i];
  }
  loss = warp_sum(loss);
  correct = warp_sum(correct);
  if (lane == 0) {
    *value = loss;
    *count = correct;
  }
}
"""

# scale = limit / max(|dθ|, limit)
CLIP_SCALE = """
extern "C" __global__ void clip_scale(const real* g, long long n, real limit, real* scale, volatile real* parts,
                                      unsigned* finished) {
  real sum = 0;
  for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
    sum += g[i] * g[i];
  sum = warp_sum(sum);
  __shared__ real sums[WARPS];
  if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < WARPS; i++) sum += sums[i];
    parts[blockIdx.x] = sum;
  }
  if (!finished_last(finished) || threadIdx.x >= 32) return;
  sum = 0;
  for (int i = threadIdx.x; i < gridDim.x; i += 32) sum += parts[i];
  const real norm = sqrt(warp_sum(sum));
  if (threadIdx.x == 0) *scale = limit / (norm < limit ? limit : norm);
}
"""
