"""Fused kernels for CUDA: the same numbers in fewer launches.

A small network on a GPU waits for launches, not for arithmetic. Symbols are those of the plain code: Z, A, dZ, dW,
c, T (the targets; the type of numbers is called `real` here), m rows of n columns.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import cupy

from mechanet import layers, losses, optimizers
from mechanet.kernels.cuda_source import (
    ACTIVATION_BACKWARD,
    ACTIVATIONS,
    BLOCK_SUMS,
    CLIP_SCALE,
    FUNCTIONS,
    SOFTMAX_CROSS_ENTROPY,
)
from mechanet.kernels.form import Form
from mechanet.layers import Pass
from mechanet.types import Array

# Elementwise kernels get flat arrays: CuPy would compile another one for a batch of one row, whose axes collapse.
BIAS = cupy.ElementwiseKernel("raw T b, int64 n", "T z", "z += b[i % n]", "bias")


@functools.cache
def _bias_activation(kind: type) -> cupy.ElementwiseKernel:
    """a ← f(z) with z = p + b, or z = p if n is 0; z is kept if backward needs it."""
    body = f"typedef T real; const real z = n ? p + b[i % n] : p; a = {ACTIVATIONS[kind][0]}"
    arguments, results = "T p, raw T b, int64 n, T o", "T a"
    if _needs_z(kind):
        results, body = "T a, T kept", f"{body}; kept = z"
    return cupy.ElementwiseKernel(arguments, results, body, f"bias_{kind.__name__}", preamble=FUNCTIONS)


def _needs_z(kind: type) -> bool:
    """Whether dZ is computed from z; if not, A may be written over Z."""
    return re.search(r"\bz\b", ACTIVATIONS[kind][1]) is not None


def _forward(kind: type, option: float, Z: Array, b: Array | None, in_place: bool) -> tuple[Array, Array]:
    """A = f(Z + b) and Z + b, in one launch; with `in_place` the product Z is overwritten."""
    z, bias = Z.reshape(-1), (Z, 0) if b is None else (b, b.shape[0])
    if not _needs_z(kind):
        A = Z if in_place else cupy.empty_like(Z)
        _bias_activation(kind)(z, *bias, option, A.reshape(-1))
        return A, A
    A, kept = cupy.empty_like(Z), Z if in_place else cupy.empty_like(Z)
    _bias_activation(kind)(z, *bias, option, A.reshape(-1), kept.reshape(-1))
    return A, kept


NULL = cupy.uintp(0)
BLOCKS = 256  # at most, in a launch that sums over all of them


@functools.cache
def _raw(source: str, name: str, dtype: str, derivative: str = "") -> cupy.RawKernel:
    real = {"float32": "float", "float64": "double"}[dtype]
    head = f"typedef {real} real;\n#define WRITES {int(bool(derivative))}\n#define DERIVATIVE {derivative}\n"
    return cupy.RawKernel(head + FUNCTIONS + source, name)


@functools.cache
def _scratch(device: int, stream: int, dtype: str) -> tuple[Any, Any, Any]:
    """Memory for the sums of the blocks. Launches on one stream run one after another, so they can share it."""
    return cupy.empty(BLOCKS, dtype), cupy.empty(BLOCKS, "int64"), cupy.zeros(1, "uint32")


def _scratch_here(dtype: str) -> tuple[Any, Any, Any]:
    return _scratch(cupy.cuda.runtime.getDevice(), cupy.cuda.get_current_stream().ptr, dtype)


# ---- forms of layers


class _Gather(Form):
    """The rows of a batch, cast and scaled in one launch, with the Scale that follows."""

    rows = cupy.ElementwiseKernel(
        "raw X x, raw I rows, int64 n, T factor",
        "T a",
        "a = T(x[(ptrdiff_t)rows[i / n] * n + i % n]) * factor",
        "gather_rows",
    )
    all = cupy.ElementwiseKernel("X x, T factor", "T a", "a = T(x) * factor", "scale_rows")

    def __init__(self, gather: layers.Gather, scale: layers.Scale | None = None):
        self.dtype, self.factor = gather.dtype, scale.factor if scale else None

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
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

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array:
        return dA if self.factor is None else dA * self.factor


class _Dense(Form):
    """Dense with the activation after it: two launches forward, three backward, and one more for dX."""

    def __init__(self, dense: layers.Dense, activation: layers.Layer | None = None):
        self.dense, self.parameters, self.backend = dense, dense.parameters, dense.backend
        self.kind = type(activation) if activation else None
        self.option = _option(activation)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        Z = X @ self.dense.W  # (m, n_in) -> (m, n_out)
        b = self.parameters.get("b")
        if self.kind:
            A, Z = _forward(self.kind, self.option, Z, b, in_place=True)
            return A, (X, Z, A)
        if b is not None:
            BIAS(b, b.shape[0], Z.reshape(-1))
        return Z, X

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        X, Z, A = cache if self.kind else (cache, None, None)
        db = self.dense.db if self.dense.bias else None
        dZ = _activation_backward(self.kind, dA, Z, A, self.option, db)
        self.backend.matmul(X.T, dZ, out=self.dense.dW)
        return dZ @ self.dense.W.T if input_gradient else None  # (m, n_out) -> (m, n_in)


class _Activation(Form):
    """An activation that does not follow a Dense: one launch forward, one backward."""

    def __init__(self, activation: layers.Layer):
        self.kind, self.option = type(activation), _option(activation)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        A, Z = _forward(self.kind, self.option, cupy.ascontiguousarray(X), None, in_place=False)
        return A, (Z, A)

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array:
        Z, A = cache
        shape = dA.shape
        dA, Z, A = (array.reshape(shape[0], -1) for array in (dA, Z, A))
        return _activation_backward(self.kind, dA, Z, A, self.option, None).reshape(shape)


def _option(activation: Any) -> float:
    """The option of an activation that has one: the slope of LeakyReLU, the alpha of ELU."""
    return next(iter(activation.options().values()), 0.0) if activation else 0.0


def _activation_backward(kind: type | None, dA: Array, Z: Array, A: Array, option: float, db: Array) -> Array:
    """dZ, and db = Σ_rows dZ, in one launch; without an activation dZ is dA."""
    dA = cupy.ascontiguousarray(dA)
    if kind is None and db is None:
        return dA
    kernel = _raw(ACTIVATION_BACKWARD, "activation_backward", dA.dtype.name, ACTIVATIONS[kind][1] if kind else "")
    dZ = cupy.empty_like(dA) if kind else dA
    m, n = dA.shape
    Z, A, db = (NULL if array is None else array for array in (Z, A, db))
    kernel((-(-n // 32),), (32, 16), (dA, Z, A, dA.dtype.type(option), m, cupy.int32(n), dZ, db))
    return dZ


# ---- forms of the loss, the optimizers, and clipping


class _CrossEntropy:
    """The value, the gradient and the number of correct decisions in one launch."""

    def __init__(self, bound: losses.BoundLoss):
        self.smoothing, self.labels = bound.plain.label_smoothing, bound.labels  # type: ignore[attr-defined]
        self._room: tuple[Any, Any, list[int]] | None = None

    def measure(self, xp: Any, Z: Array, T: Array, c: Array) -> tuple[Array, Array, Array]:
        """The value (0-d), dZ (m, k), and the number of correct decisions (0-d)."""
        m, k = Z.shape
        Z, T, c, dtype = (*map(cupy.ascontiguousarray, (Z, T, c)), Z.dtype)
        dZ = cupy.empty_like(Z)
        value, count = self._next(dtype)
        labels, targets = (T, NULL) if T.ndim == 1 else (NULL, T)
        keep, share = dtype.type(1.0 - self.smoothing), dtype.type(self.smoothing / k)
        kernel = _raw(BLOCK_SUMS + SOFTMAX_CROSS_ENTROPY, "softmax_cross_entropy", dtype.name)
        kernel((min(-(-m // 8), BLOCKS),), (256,), (Z, labels, targets, c, m, cupy.int32(k), keep, share,
                                                    dZ, value, count,
                                                    *_scratch_here(dtype.name)))  # fmt: skip
        return value, dZ, count

    def _next(self, dtype: Any) -> tuple[Array, Array]:
        """Memory for the next value and count. A training keeps an epoch of them: 64 share a block of the pool."""
        if self._room is None or self._room[0].dtype != dtype or not self._room[2]:
            self._room = cupy.empty(64, dtype), cupy.empty(64, "int64"), list(range(64))
        values, count, free = self._room
        i = free.pop()
        return values[i], count[i]


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


def _sgd(plain: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int, decay: Any) -> None:
    if plain.momentum:
        SGD_MOMENTUM(gradient, decay, alpha, plain.momentum, plain.nesterov, theta, state["u"])
    else:
        SGD(gradient, decay, alpha, theta)


def _momentum(plain: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int, decay: Any) -> None:
    MOMENTUM(gradient, decay, alpha, plain.momentum, plain.nesterov, theta, state["v"])


def _rmsprop(plain: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int, decay: Any) -> None:
    RMSPROP(gradient, decay, alpha, 1.0 - plain.rho, plain.epsilon, theta, state["v"])


def _adam(plain: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int, decay: Any,
          decoupled: bool = False) -> None:  # fmt: skip
    # Whatever is the same for every entry is computed here, on the host, in float64.
    rate, epsilon = plain.folded(alpha, t)
    ADAM(gradient, decay, decoupled, alpha, rate, plain.beta1, plain.beta2, epsilon, theta, state["s"],
         state["r"])  # fmt: skip


class _Optimizer:
    """The whole step in one launch."""

    def __init__(self, update: Callable[..., None], plain: optimizers.Optimizer):
        self.update, self.plain = update, plain

    def step(self, xp: Any, theta: Array, gradient: Array, state: dict[str, Array], alpha: float, t: int,
             decay: Array | None = None) -> None:  # fmt: skip
        self.update(self.plain, theta, gradient, state, alpha, t, 0.0 if decay is None else decay)


def _clip(xp: Any, gradient: Array, limit: float) -> None:
    """Two launches: the factor from the norm, and the product."""
    dtype, n = gradient.dtype, gradient.shape[0]
    parts, _, finished = _scratch_here(dtype.name)
    scale = cupy.empty((), dtype)
    kernel = _raw(BLOCK_SUMS + CLIP_SCALE, "clip_scale", dtype.name)
    kernel((min(-(-n // 256), BLOCKS),), (256,), (gradient, n, dtype.type(limit), scale, parts, finished))
    gradient *= scale


CHAINS: dict[tuple[type, ...], Any] = {
    (layers.Gather,): _Gather, (layers.Gather, layers.Scale): _Gather, (layers.Dense,): _Dense,
    **{(layers.Dense, kind): _Dense for kind in ACTIVATIONS}, **{(kind,): _Activation for kind in ACTIVATIONS},
}  # fmt: skip
PIECES: dict[Any, Any] = {
    losses.CrossEntropy: _CrossEntropy,
    optimizers.SGD: functools.partial(_Optimizer, _sgd),
    optimizers.Momentum: functools.partial(_Optimizer, _momentum),
    optimizers.RMSProp: functools.partial(_Optimizer, _rmsprop),
    optimizers.Adam: functools.partial(_Optimizer, _adam),
    optimizers.AdamHat: functools.partial(_Optimizer, _adam),
    optimizers.AdamW: functools.partial(_Optimizer, functools.partial(_adam, decoupled=True)),
    optimizers.clip: lambda plain: _clip,
}
