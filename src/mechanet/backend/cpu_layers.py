"""Dense layers and ReLU on NumPy: in place where nobody looks any more, and narrow products cut to suit OpenBLAS.

This file adds speed and nothing else, behind `cpu.fused`. Symbols are those of `mechanet.layers`: X (m, n_in),
W (n_in, n_out), Z and A (m, n_out).
"""

import functools
from typing import Any, ClassVar

import numpy as np

from mechanet.backend.cpu_threads import blas

# OpenBLAS has kernels for AVX-512 that take the numbers of a small product as they lie; a larger one is packed
# into another order first, which for a narrow W takes longer than the product itself.
SMALL = 1_000_000  # multiplications
COLUMNS = 8  # of W at a time: half a register of float32 a row, the fastest of these kernels
AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")  # what OpenBLAS calls its kernels


def chain(layers: tuple, twins: Any) -> tuple:
    """The steps of a chain: each Dense is one with the ReLU after it, the rows of a batch with their Scale.

    `twins` is the module with the classes for these two: this one, or `cpu_loops`.
    """
    steps: list[Any] = []
    for layer in layers:
        name = _name_of(layer)
        if name == "layers.activation.ReLU" and steps and type(steps[-1]) is Dense:
            steps[-1] = twins.DenseReLU(steps[-1].plain)
        elif name == "layers.shape.Scale" and len(steps) == 1 and _name_of(layers[0]) == "layers.gather.Gather":
            steps = [twins.rows(layers[0], layer)]
        elif name == "layers.gather.Gather":
            steps.append(twins.rows(layer))
        else:
            steps.append(Dense(layer) if name == "layers.dense.Dense" else layer)
    return tuple(steps)


def rows(gather: Any, scale: Any = None) -> Any:
    """Gather, and a Scale after it, in one step."""
    return ScaledRows(gather, scale) if scale else gather


def _name_of(layer: Any) -> str:
    """Such as "layers.dense.Dense"; a subclass of yours has another name and keeps its own lines."""
    return f"{type(layer).__module__}.{type(layer).__qualname__}".removeprefix("mechanet.")


class ScaledRows:
    """A = factor X[rows], such as bytes made numbers between 0 and 1, in one new array."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, gather: Any, scale: Any):
        self.gather, self.scale, self.factor = gather, scale, gather.dtype(scale.factor)

    def forward(self, X, rng=None):
        A, _ = self.gather.forward(X)
        if A is X[0]:  # all rows, and of the right type already: they are somebody's
            return self.scale.forward(A)
        return np.multiply(A, self.factor, out=A), None

    def backward(self, dA, cache, input_gradient=True):
        return self.scale.backward(dA, cache)


class Dense:
    """Z = X W + b."""

    def __init__(self, plain: Any):
        self.plain, self.parameters = plain, plain.parameters
        self.b = plain.b[None, :] if plain.bias else None  # (1, n_out): one row and b are then of one shape
        self.narrow = plain.W.dtype == np.float32 and plain.units < 2 * COLUMNS <= 512 <= plain.W.shape[0]

    def multiply(self, X):
        """X W"""
        W = self.plain.W
        return product(X, W) if self.narrow and len(X) >= 32 and avx512() else X.dot(W)  # (m, n_in) -> (m, n_out)

    def forward(self, X, rng=None):
        Z = self.multiply(X)
        if self.b is not None:
            Z += self.b
        return Z, X

    def backward(self, dZ, cache, input_gradient=True):
        if self.plain.bias:
            self.plain.backend.sum_rows(dZ, out=self.plain.db)
        return self.multiply_back(dZ, cache, input_gradient)

    def multiply_back(self, dZ, X, input_gradient):
        """dW ← Xᵀ dZ; dX"""
        plain = self.plain
        if self.narrow and len(X) >= 32 and avx512():
            gradient(X, dZ, plain.dW)
        else:
            plain.backend.matmul(X.T, dZ, out=plain.dW)
        if not input_gradient:
            return None
        # (m, n_out) -> (m, n_in); of one column BLAS makes a long way
        return dZ * plain.W.T if plain.units == 1 else dZ @ plain.W.T


class DenseReLU(Dense):
    """A = max(X W + b, 0), in Z's place; backward dZ = dA where A > 0, in dA's place."""

    def forward(self, X, rng=None):
        Z, _ = super().forward(X)
        A = np.maximum(Z, _zeros(Z.shape, Z.dtype), out=Z)
        return A, (X, A)

    def backward(self, dA, cache, input_gradient=True):
        X, A = cache
        dZ = np.multiply(dA, A > 0.0, out=dA)
        return super().backward(dZ, X, input_gradient)


@functools.lru_cache(maxsize=16)
def _zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """NumPy takes several times as long for an array and a number as for two arrays."""
    return np.zeros(shape, dtype)


@functools.cache
def avx512() -> bool:
    """Whether NumPy's OpenBLAS runs its kernels for AVX-512."""
    return any(pool.get("architecture") in AVX512 for pool in blas().info())


def product(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """X W for a W of few columns, in products small enough to need no packing; a stack of them is one call."""
    (m, n), k = X.shape, W.shape[1]
    Z = np.empty((m, k), X.dtype)
    size = max(1, SMALL // (n * COLUMNS))
    count, rest = divmod(m, size)
    for first in range(0, k, COLUMNS):
        columns = slice(first, first + COLUMNS)
        if count:
            stack = X[: m - rest].reshape(count, size, n)
            np.matmul(stack, W[:, columns], out=Z[: m - rest].reshape(count, size, k)[..., columns])
        if rest:
            np.matmul(X[m - rest :], W[:, columns], out=Z[m - rest :, columns])
    return Z


def gradient(X: np.ndarray, dZ: np.ndarray, out: np.ndarray) -> None:
    """out ← Xᵀ dZ for a dZ of few columns, as (dZᵀ X)ᵀ in products small enough to need no packing."""
    (m, n), k = X.shape, dZ.shape[1]
    transposed = np.empty((k, n), X.dtype)
    size = -(-n // -(-n // max(1, SMALL // (m * k))))  # of pieces that are about equal
    count, rest = divmod(n, size)
    stack = X[:, : n - rest].reshape(m, count, size).swapaxes(0, 1)
    np.matmul(dZ.T, stack, out=transposed[:, : n - rest].reshape(k, count, size).swapaxes(0, 1))
    if rest:
        np.matmul(dZ.T, X[:, n - rest :], out=transposed[:, n - rest :])
    out[...] = transposed.T
