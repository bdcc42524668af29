"""Forms for NumPy: in place once an array is no longer needed, over long rows, in parts that stay in the cache,
with narrow products cut to suit OpenBLAS. Symbols are those of `mechanet.layers`: X (m, n_in), W (n_in, n_out),
Z and A (m, n_out).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from mechanet import layers, losses, optimizers
from mechanet.backend import constants
from mechanet.backend.cpu_threads import blas
from mechanet.kernels.form import Form
from mechanet.layers import Pass
from mechanet.types import Array

PART = 65_536  # numbers of each vector: several float32 vectors then fit into the second-level cache

# OpenBLAS has AVX-512 kernels that multiply small matrices in the order in which they are stored. Larger ones are
# first packed into another order, which for a narrow W takes longer than the product itself.
SMALL = 1_000_000  # multiplications
COLUMNS = 8  # of W at a time: half a register of float32 a row, the fastest of these kernels
AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids")  # OpenBLAS's names of these kernels


class ScaledRows(Form):
    """A = factor X[rows], such as bytes scaled to numbers from 0 to 1, in one new array."""

    def __init__(self, gather: layers.Gather, scale: layers.Scale):
        self.gather, self.scale, self.factor = gather, scale, gather.dtype(scale.factor)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        A, _ = self.gather.forward(X)
        if A is X[0]:  # all rows, already in the right type: the array belongs to the caller
            return self.scale.forward(A)
        return np.multiply(A, self.factor, out=A), None

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array:
        return self.scale.backward(dA, cache)


class Dense(Form):
    """Z = X W + b."""

    def __init__(self, plain: layers.Dense, activation: Any = None):
        self.plain, self.parameters = plain, plain.parameters
        self.b = plain.b[None, :] if plain.bias else None  # (1, n_out): the shape of a single row of Z
        self.narrow = plain.W.dtype == np.float32 and plain.units < 2 * COLUMNS <= 512 <= plain.W.shape[0]

    def multiply(self, X: Array) -> Array:
        """X W."""
        W = self.plain.W
        return product(X, W) if self.narrow and len(X) >= 32 and avx512() else X.dot(W)  # (m, n_in) -> (m, n_out)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        Z = self.multiply(X)
        if self.b is not None:
            Z += self.b
        return Z, X

    def backward(self, dZ: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        if self.plain.bias:
            self.plain.backend.sum_rows(dZ, out=self.plain.db)
        return self.multiply_back(dZ, cache, input_gradient)

    def multiply_back(self, dZ: Array, X: Array, input_gradient: bool) -> Array | None:
        """dW ← Xᵀ dZ; return dX."""
        plain = self.plain
        if self.narrow and len(X) >= 32 and avx512():
            gradient(X, dZ, plain.dW)
        else:
            plain.backend.matmul(X.T, dZ, out=plain.dW)
        if not input_gradient:
            return None
        # (m, n_out) -> (m, n_in); BLAS is slow for a single column
        return dZ * plain.W.T if plain.units == 1 else dZ @ plain.W.T


class DenseReLU(Dense):
    """A = max(X W + b, 0), written over Z; backward dZ = dA where A > 0, written over dA."""

    overwrites: ClassVar[bool] = True

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        Z, _ = super().forward(X)
        zeros = constants.zeros(Z.size, Z.dtype).reshape(Z.shape)  # NumPy is much slower for an array and a number
        A = np.maximum(Z, zeros, out=Z)
        return A, (X, A)

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        X, A = cache
        dZ = np.multiply(dA, A > 0.0, out=dA)
        return super().backward(dZ, X, input_gradient)


@functools.cache
def avx512() -> bool:
    """Whether NumPy's OpenBLAS uses its AVX-512 kernels."""
    return any(pool.get("architecture") in AVX512 for pool in blas().info())


def product(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """X W for a W with few columns, in products small enough to need no packing; a stack of them is one call."""
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
    """out ← Xᵀ dZ for a dZ with few columns, as (dZᵀ X)ᵀ in products small enough to need no packing."""
    (m, n), k = X.shape, dZ.shape[1]
    transposed = np.empty((k, n), X.dtype)
    size = -(-n // -(-n // max(1, SMALL // (m * k))))  # of chunks of about equal size
    count, rest = divmod(n, size)
    stack = X[:, : n - rest].reshape(m, count, size).swapaxes(0, 1)
    np.matmul(dZ.T, stack, out=transposed[:, : n - rest].reshape(k, count, size).swapaxes(0, 1))
    if rest:
        np.matmul(dZ.T, X[:, n - rest :], out=transposed[:, n - rest :])
    out[...] = transposed.T


class CrossEntropy:
    """Softmax with cross-entropy on labels, class by class: NumPy is several times faster over long rows.

    The symbols are those of `mechanet.losses.CrossEntropy`, transposed: Z, E and P (k, m).
    """

    def __init__(self, bound: losses.BoundLoss):
        self.bound = bound

    def labels(self, xp: Any, Z: Array) -> Array:
        """Predicted labels; the method avoids NumPy's Python wrapper."""
        return Z.argmax(axis=1)

    def measure(self, xp: Any, Z: Array, T: Array, c: Array) -> tuple[Any, Array, Any]:
        """The value, dZ (m, k), and the number of correct decisions."""
        if T.ndim != 1:
            return self.bound.measure(xp, Z, T, c)
        correct = np.count_nonzero(Z.argmax(axis=1) == T)
        m = T.shape[0]
        Z = Z.T.copy()  # (m, k) -> (k, m)
        Z -= np.maximum.reduce(Z)
        at = T * m + constants.counting(m, np.int64)  # where the score of the row's own class is
        own = Z.take(at)  # (m,)
        E = np.exp(Z, out=Z)
        S = np.add.reduce(E)
        losses = np.log(S) - own
        E *= c / S  # c P
        E.reshape(-1)[at] -= c  # c (P - T), where T is 1
        return c.dot(losses), E.T.copy(), correct  # (k, m) -> (m, k): BLAS is slow on dZ in another order


class InParts:
    """An optimizer that steps through long vectors part by part, with all of its formula on one part at a time."""

    def __init__(self, optimizer: optimizers.Optimizer):
        self.optimizer = optimizer

    def step(self, xp: Any, theta: Array, gradient: Array, state: dict[str, Array], alpha: float, t: int,
             decay: Array | None = None) -> None:  # fmt: skip
        length = theta.shape[0]
        if length <= PART:
            self.optimizer.step(xp, theta, gradient, state, alpha, t, decay)
            return
        for part in cut(length, PART):
            parts = {name: vector[part] for name, vector in state.items()}
            decay_part = None if decay is None else decay[part]
            self.optimizer.step(xp, theta[part], gradient[part], parts, alpha, t, decay_part)


def cut(length: int, most: int) -> Iterator[slice]:
    """Slices of about equal length, at most `most`, from 0 to `length`."""
    parts = -(-length // max(most, 1))
    step = -(-length // parts)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def on_labels(form: Callable[[losses.BoundLoss], Any]) -> Callable[[losses.BoundLoss], Any]:
    """`form` for a cross-entropy without label smoothing; one with smoothing keeps its plain lines."""
    return lambda bound: bound if bound.plain.label_smoothing else form(bound)  # type: ignore[attr-defined]


CHAINS: dict[tuple[type, ...], Any] = {
    (layers.Gather, layers.Scale): ScaledRows,
    (layers.Dense,): Dense,
    (layers.Dense, layers.ReLU): DenseReLU,
}
PIECES: dict[Any, Callable[[Any], Any]] = {
    losses.CrossEntropy: on_labels(CrossEntropy),
    **dict.fromkeys(optimizers.OPTIMIZERS.values(), InParts),
}
