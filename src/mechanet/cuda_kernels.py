"""Fused kernels for CUDA: the same numbers in fewer launches.

A small network on a GPU waits for launches, not for arithmetic. `fused` takes a plain piece of the mathematics
(a chain of layers, a loss, an optimizer, a function) and returns a twin that does the same in fewer launches, or
the piece itself where there is nothing to gain. This file adds speed and nothing else: without it, everything
works as before.

Pieces are known by their full names, since this file stands below those that define them; a subclass of yours has
another name and keeps its own lines. Symbols are those of the plain code: Z, A, dZ, dW, c, T (targets; `real` is
the type of numbers here), m rows of n columns.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any, ClassVar

import cupy

# ---- activations: A = f(z) and dZ from d = dA, z and a; o is the activation's option

ACTIVATIONS = {
    "ReLU": ("z < 0 ? real(0) : z", "d * real(a > 0)"),
    "LeakyReLU": ("z < o * z ? o * z : z", "d * (o + (1 - o) * real(z > 0))"),
    "ELU": ("z < 0 ? o * expm1(z) : z", "d * (z > 0 ? real(1) : a + o)"),
    "GELU": ("real(0.5) * z * (1 + tanh(gelu_inner(z)))", "d * gelu_slope(z)"),
    "SiLU": ("z * sigmoid(z)", "d * (sigmoid(z) + a * (1 - sigmoid(z)))"),
    "Sigmoid": ("sigmoid(z)", "d * a * (1 - a)"),
    "Tanh": ("tanh(z)", "d * (1 - a * a)"),
    "Softplus": ("(z < 0 ? real(0) : z) + log1p(exp(-abs(z)))", "d * sigmoid(z)"),
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


# Elementwise kernels see flat arrays: CuPy would compile another one for a batch of one row, whose axes collapse.
BIAS = cupy.ElementwiseKernel("raw T b, int64 n", "T z", "z += b[i % n]", "bias")


@functools.cache
def _bias_activation(name: str) -> cupy.ElementwiseKernel:
    """a ← f(z) with z = p + b, or z = p where n is 0; z is kept where the way back needs it."""
    body = f"typedef T real; const real z = n ? p + b[i % n] : p; a = {ACTIVATIONS[name][0]}"
    arguments, results = "T p, raw T b, int64 n, T o", "T a"
    if _needs_z(name):
        results, body = "T a, T kept", f"{body}; kept = z"
    return cupy.ElementwiseKernel(arguments, results, body, f"bias_{name}", preamble=FUNCTIONS)


def _needs_z(name: str) -> bool:
    """Whether dZ is computed from z; if not, A may take Z's place."""
    return re.search(r"\bz\b", ACTIVATIONS[name][1]) is not None


def _forward(name: str, option: float, Z, b, in_place: bool):
    """A = f(Z + b) and Z + b, in one launch; the product Z is overwritten with `in_place`."""
    z, bias = Z.reshape(-1), (Z, 0) if b is None else (b, b.shape[0])
    if not _needs_z(name):
        A = Z if in_place else cupy.empty_like(Z)
        _bias_activation(name)(z, *bias, option, A.reshape(-1))
        return A, A
    A, kept = cupy.empty_like(Z), Z if in_place else cupy.empty_like(Z)
    _bias_activation(name)(z, *bias, option, A.reshape(-1), kept.reshape(-1))
    return A, kept


# One block takes 32 columns. Its 16 rows of threads take 64 rows of the batch at a time; the first of them then
# adds these up one after another, as NumPy's sum does, so that db is the same to the last bit.
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

# The sum over all blocks in one launch and one fixed order: each block leaves its part, and the block that
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

# One warp takes a row. Target of row i: keep * (one-hot of labels[i], or targets[i]) + share.
SOFTMAX_CROSS_ENTROPY = """
__device__ bool ahead(const real* z, int i, int j, int k) {  // the first of the largest, as argmax has it; k: none
  return i < k && (j == k || z[i] > z[j] || (z[i] == z[j] && i < j));
}
extern "C" __global__ void softmax_cross_entropy(
    const real* Z, const long long* labels, const real* targets, const real* c, long long m, int k, real keep,
    real share, real* dZ, real* value, long long* hits, volatile real* parts, volatile long long* part_hits,
    unsigned* finished) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  real loss = 0;
  long long right = 0;
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
    right += guess == truth;
    const real scale = c[row] / sum;
    for (int j = lane; j < k; j += 32) {
      const real target = keep * (labels ? real(j == truth) : t[j]) + share;
      dZ[row * k + j] = exp(z[j] - top) * scale - c[row] * target;
    }
  }
  __shared__ real losses[WARPS];
  __shared__ long long rights[WARPS];
  if (lane == 0) {
    losses[warp] = loss;
    rights[warp] = right;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < WARPS; i++) {
      loss += losses[i];
      right += rights[i];
    }
    parts[blockIdx.x] = loss;
    part_hits[blockIdx.x] = right;
  }
  if (!finished_last(finished) || warp) return;
  loss = 0;
  right = 0;
  for (int i = lane; i < gridDim.x; i += 32) {
    loss += parts[i];
    right += part_hits[i];
  }
  loss = warp_sum(loss);
  right = warp_sum(right);
  if (lane == 0) {
    *value = loss;
    *hits = right;
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
NULL = cupy.uintp(0)
BLOCKS = 256  # the most blocks of a launch that sums over all of them


@functools.cache
def _raw(source: str, name: str, dtype: str, derivative: str = "") -> cupy.RawKernel:
    real = {"float32": "float", "float64": "double"}[dtype]
    head = f"typedef {real} real;\n#define WRITES {int(bool(derivative))}\n#define DERIVATIVE {derivative}\n"
    return cupy.RawKernel(head + FUNCTIONS + source, name)


@functools.cache
def _scratch(device: int, stream: int, dtype: str) -> tuple[Any, Any, Any]:
    """What blocks leave for the last one. Launches on one stream run one after another, so they may share it."""
    return cupy.empty(BLOCKS, dtype), cupy.empty(BLOCKS, "int64"), cupy.zeros(1, "uint32")


def _scratch_here(dtype: str) -> tuple[Any, Any, Any]:
    return _scratch(cupy.cuda.runtime.getDevice(), cupy.cuda.get_current_stream().ptr, dtype)


# ---- twins of layers


class _Gather:
    """The rows of a batch, cast and scaled in one launch; a leading Scale comes along."""

    parameters: ClassVar[dict[str, Any]] = {}
    rows = cupy.ElementwiseKernel(
        "raw X x, raw I rows, int64 n, T factor",
        "T a",
        "a = T(x[(ptrdiff_t)rows[i / n] * n + i % n]) * factor",
        "gather_rows",
    )
    all = cupy.ElementwiseKernel("X x, T factor", "T a", "a = T(x) * factor", "scale_rows")

    def __init__(self, gather, scale=None):
        self.dtype, self.factor = gather.dtype, scale.factor if scale else None

    def forward(self, X, rng=None):
        X, rows = X
        factor = 1.0 if self.factor is None else self.factor
        if rows is not None and X.flags.c_contiguous:
            A = cupy.empty((rows.shape[0], *X.shape[1:]), self.dtype)
            return self.rows(X, rows, math.prod(X.shape[1:]), factor, A), None
        if rows is not None:
            X = cupy.take(X, rows, axis=0)
        if X.dtype == self.dtype and self.factor is None:
            return X, None
        return self.all(X, factor, cupy.empty(X.shape, self.dtype)), None

    def backward(self, dA, cache, input_gradient=True):
        return dA if self.factor is None else dA * self.factor


class _Dense:
    """Dense with the activation after it: two launches forward; backward three, and one more for dX."""

    def __init__(self, dense, activation=None):
        self.dense, self.parameters, self.backend = dense, dense.parameters, dense.backend
        self.name = type(activation).__name__ if activation else ""
        self.option = _option(activation)

    def forward(self, X, rng=None):
        Z = X @ self.dense.W  # (m, n_in) -> (m, n_out)
        b = self.parameters.get("b")
        if self.name:
            A, Z = _forward(self.name, self.option, Z, b, in_place=True)
            return A, (X, Z, A)
        if b is not None:
            BIAS(b, b.shape[0], Z.reshape(-1))
        return Z, X

    def backward(self, dA, cache, input_gradient=True):
        X, Z, A = cache if self.name else (cache, None, None)
        db = self.dense.db if self.dense.bias else None
        dZ = _activation_backward(self.name, dA, Z, A, self.option, db)
        self.backend.matmul(X.T, dZ, out=self.dense.dW)
        return dZ @ self.dense.W.T if input_gradient else None  # (m, n_out) -> (m, n_in)


class _Activation:
    """An activation that follows no Dense: one launch each way."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, activation):
        self.name, self.option = type(activation).__name__, _option(activation)

    def forward(self, X, rng=None):
        A, Z = _forward(self.name, self.option, cupy.ascontiguousarray(X), None, in_place=False)
        return A, (Z, A)

    def backward(self, dA, cache, input_gradient=True):
        Z, A = cache
        shape = dA.shape
        dA, Z, A = (array.reshape(shape[0], -1) for array in (dA, Z, A))
        return _activation_backward(self.name, dA, Z, A, self.option, None).reshape(shape)


def _option(activation) -> float:
    """The one option an activation has, if it has one: the slope of LeakyReLU, the alpha of ELU."""
    return next(iter(activation.options().values()), 0.0) if activation else 0.0


def _activation_backward(name, dA, Z, A, option, db):
    """dZ, and db = Σ_rows dZ, in one launch; without an activation dZ is dA."""
    dA = cupy.ascontiguousarray(dA)
    if not name and db is None:
        return dA
    kernel = _raw(ACTIVATION_BACKWARD, "activation_backward", dA.dtype.name, ACTIVATIONS[name][1] if name else "")
    dZ = cupy.empty_like(dA) if name else dA
    m, n = dA.shape
    Z, A, db = (NULL if array is None else array for array in (Z, A, db))
    kernel((-(-n // 32),), (32, 16), (dA, Z, A, dA.dtype.type(option), m, cupy.int32(n), dZ, db))
    return dZ


def _chain(layers: tuple) -> tuple:
    """The steps of a chain of layers: pieces that share a launch are put together."""
    steps: list[Any] = []
    names = [_name_of(layer) for layer in layers]
    i = 0
    while i < len(layers):
        kind, following = names[i], names[i + 1] if i + 1 < len(layers) else ""
        if kind == "layers.Gather":
            pair = following == "layers.Scale"
            steps.append(_Gather(*layers[i : i + 1 + pair]))
        elif kind == "layers.Dense":
            pair = following.removeprefix("layers.") in ACTIVATIONS
            steps.append(_Dense(*layers[i : i + 1 + pair]))
        else:
            pair = False
            steps.append(_Activation(layers[i]) if kind.removeprefix("layers.") in ACTIVATIONS else layers[i])
        i += 1 + pair
    return tuple(steps)


# ---- twins of the loss, the optimizers, and clipping


class _CrossEntropy:
    """The value, the gradient and the number of right decisions in one launch."""

    def __init__(self, plain):
        self.smoothing, self.labels = plain.label_smoothing, plain.labels
        self._room: tuple[Any, Any, list[int]] | None = None

    def measure(self, xp, Z, T, c):
        """The value (0-d), dZ (m, k), and the number of right decisions (0-d)."""
        m, k = Z.shape
        Z, T, c, dtype = (*map(cupy.ascontiguousarray, (Z, T, c)), Z.dtype)
        dZ = cupy.empty_like(Z)
        value, hits = self._next(dtype)
        labels, targets = (T, NULL) if T.ndim == 1 else (NULL, T)
        keep, share = dtype.type(1.0 - self.smoothing), dtype.type(self.smoothing / k)
        kernel = _raw(BLOCK_SUMS + SOFTMAX_CROSS_ENTROPY, "softmax_cross_entropy", dtype.name)
        kernel((min(-(-m // 8), BLOCKS),), (256,), (Z, labels, targets, c, m, cupy.int32(k), keep, share,
                                                    dZ, value, hits,
                                                    *_scratch_here(dtype.name)))  # fmt: skip
        return value, dZ, hits

    def _next(self, dtype):
        """Room for the next value and count, many to a block of the pool: a training keeps an epoch of them."""
        if self._room is None or self._room[0].dtype != dtype or not self._room[2]:
            self._room = cupy.empty(64, dtype), cupy.empty(64, "int64"), list(range(64))
        values, hits, free = self._room
        at = free.pop()
        return values[at], hits[at]


SGD = cupy.ElementwiseKernel(
    "T g, T decay, T alpha", "T theta", "theta -= alpha * (g + decay * theta)", "sgd_step"
)
SGD_MOMENTUM = cupy.ElementwiseKernel(
    "T g, T decay, T alpha, T mu, bool nesterov",
    "T theta, T u",
    """
    T d = g + decay * theta;
    u = mu * u + d;
    theta -= alpha * (nesterov ? d + mu * u : u)
    """,
    "sgd_momentum_step",
)
MOMENTUM = cupy.ElementwiseKernel(
    "T g, T decay, T alpha, T mu, bool nesterov",
    "T theta, T v",
    """
    T descent = alpha * (g + decay * theta);
    v = mu * v - descent;
    theta += nesterov ? mu * v - descent : v
    """,
    "momentum_step",
)
RMSPROP = cupy.ElementwiseKernel(
    "T g, T decay, T alpha, T rest, T epsilon",
    "T theta, T v",
    """
    T d = g + decay * theta;
    v += (d * d - v) * rest;
    theta -= d / (sqrt(v) + epsilon) * alpha
    """,
    "rmsprop_step",
)
ADAM = cupy.ElementwiseKernel(
    "T g, T decay, bool decoupled, T alpha, T rate, T beta1, T beta2, T epsilon",
    "T theta, T s, T r",
    """
    T d = g;
    if (decoupled) theta -= alpha * decay * theta;
    else d += decay * theta;
    s = beta1 * s + d;
    r = beta2 * r + d * d;
    theta -= s / (sqrt(r) + epsilon) * rate
    """,
    "adam_step",
)


def _sgd(plain, theta, gradient, state, alpha, t, decay):
    if plain.momentum:
        SGD_MOMENTUM(gradient, decay, alpha, plain.momentum, plain.nesterov, theta, state["u"])
    else:
        SGD(gradient, decay, alpha, theta)


def _momentum(plain, theta, gradient, state, alpha, t, decay):
    MOMENTUM(gradient, decay, alpha, plain.momentum, plain.nesterov, theta, state["v"])


def _rmsprop(plain, theta, gradient, state, alpha, t, decay):
    RMSPROP(gradient, decay, alpha, 1.0 - plain.rho, plain.epsilon, theta, state["v"])


def _adam(plain, theta, gradient, state, alpha, t, decay, decoupled=False):
    # All that is the same for every entry is computed here, on the host, in float64.
    rate, epsilon = plain.folded(alpha, t)
    ADAM(gradient, decay, decoupled, alpha, rate, plain.beta1, plain.beta2, epsilon, theta, state["s"],
         state["r"])  # fmt: skip


class _Optimizer:
    """The whole step in one launch."""

    def __init__(self, update, plain):
        self.update, self.plain = update, plain

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        self.update(self.plain, theta, gradient, state, alpha, t, 0.0 if decay is None else decay)


def _clip(xp, gradient, limit):
    """Two launches: the factor from the norm, and the product."""
    dtype, n = gradient.dtype, gradient.shape[0]
    parts, _, finished = _scratch_here(dtype.name)
    scale = cupy.empty((), dtype)
    kernel = _raw(BLOCK_SUMS + CLIP_SCALE, "clip_scale", dtype.name)
    kernel((min(-(-n // 256), BLOCKS),), (256,), (gradient, n, dtype.type(limit), scale, parts, finished))
    gradient *= scale


# ---- the look-up

TWINS: dict[str, Callable[[Any], Any]] = {
    "losses.CrossEntropy": _CrossEntropy,
    "optimizers.SGD": functools.partial(_Optimizer, _sgd),
    "optimizers.Momentum": functools.partial(_Optimizer, _momentum),
    "optimizers.RMSProp": functools.partial(_Optimizer, _rmsprop),
    "optimizers.Adam": functools.partial(_Optimizer, _adam),
    "optimizers.AdamHat": functools.partial(_Optimizer, _adam),
    "optimizers.AdamW": functools.partial(_Optimizer, functools.partial(_adam, decoupled=True)),
    "optimizers.clip": lambda plain: _clip,
}


def _name_of(plain: Any) -> str:
    kind = plain if hasattr(plain, "__qualname__") else type(plain)
    package, _, module = kind.__module__.partition(".")
    return f"{module.partition('.')[0]}.{kind.__qualname__}" if package == "mechanet" else ""


def fused(plain: Any) -> Any:
    """The twin of `plain` (a chain of layers as a tuple, a loss, an optimizer, a function), or `plain` itself."""
    if isinstance(plain, tuple):
        return _chain(plain)
    twin = TWINS.get(_name_of(plain))
    return twin(plain) if twin else plain
