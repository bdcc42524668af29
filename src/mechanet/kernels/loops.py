"""The loops in C as forms of layers, losses and optimizers: one pass where NumPy makes several."""

import ctypes
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mechanet import losses
from mechanet.backend import cpu_loops
from mechanet.backend.cpu_loops import pointer, suits, writable
from mechanet.kernels import cpu
from mechanet.kernels.form import Form
from mechanet.layers import Dense, Gather, Pass, ReLU, Scale
from mechanet.optimizers import SGD, Adam, AdamHat, AdamW, Momentum, Optimizer, RMSProp
from mechanet.types import Array

LONG = 1_024  # bytes; rows of at least this size are prefetched, two rows ahead


class Rows(Form):
    """A = X[rows], or factor X[rows] with the Scale after it: bytes in one pass, long rows prefetched."""

    def __init__(self, gather: Gather, scale: Scale | None = None):
        self.plain: Gather | cpu.ScaledRows = cpu.ScaledRows(gather, scale) if scale else gather
        self.scaled, self.factor = bool(scale), scale.factor if scale else 1.0
        self.dtype = np.dtype(gather.dtype)
        self.numbers = math.prod(gather.input_shape)
        self.long = self.numbers * self.dtype.itemsize >= LONG

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        whole, rows = X
        is_bytes = whole.dtype == np.uint8
        if not is_bytes and (rows is None or not self.long or whole.dtype != self.dtype):
            return self.plain.forward(X)
        if not (suits(whole, whole.dtype) and (rows is None or suits(rows, np.int64))):
            return self.plain.forward(X)
        m = len(whole if rows is None else rows)
        A = np.empty((m, *whole.shape[1:]), self.dtype)
        loops, sizes = cpu_loops.LOOPS[self.dtype], (m, self.numbers, len(whole))
        if is_bytes:
            done = loops.scaled_rows(*sizes, pointer(whole), pointer(rows), self.factor, writable(A))
        else:
            done = loops.gathered_rows(*sizes, pointer(whole), pointer(rows), writable(A))
            if self.scaled:
                A *= self.factor
        if done < m:
            raise IndexError(f"expected rows from 0 to {len(whole) - 1}. Received: {rows[done]}.")
        return A, None

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array:
        return self.plain.backward(dA, cache)


class DenseReLU(cpu.DenseReLU):
    """A = max(X W + b, 0), with the bias and the maximum in one pass, and one pass in backward."""

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        if len(X) == 1 or X.dtype != self.plain.W.dtype or not self.plain.bias:
            return super().forward(X)  # calling a loop takes longer than one row
        Z = self.multiply(X)
        cpu_loops.LOOPS[Z.dtype].bias_relu(*Z.shape, writable(Z), pointer(self.plain.b))
        return Z, (X, Z)

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        (X, A), dtype = cache, self.plain.W.dtype
        if not (suits(dA, dtype) and suits(A, dtype) and dA.shape == A.shape):
            return super().backward(dA, cache, input_gradient)
        db = writable(self.plain.db) if self.plain.bias else None
        cpu_loops.LOOPS[A.dtype].relu_backward(*A.shape, writable(dA), pointer(A), db)
        return self.multiply_back(dA, X, input_gradient)


class CrossEntropy:
    """Softmax with cross-entropy on labels, row by row."""

    def __init__(self, bound: losses.BoundLoss):
        self.bound = bound

    def labels(self, xp: Any, Z: Array) -> Array:
        """Predicted labels; the method avoids NumPy's Python wrapper."""
        return Z.argmax(axis=1)

    def measure(self, xp: Any, Z: Array, T: Array, c: Array) -> tuple[Any, Array, Any]:
        """The value, dZ (m, k), and the number of correct decisions."""
        fit = T.shape == c.shape == Z.shape[:1]
        if not (fit and suits(T, np.int64) and suits(Z, c.dtype) and suits(c, c.dtype)):
            return self.bound.measure(xp, Z, T, c)
        loops, E, loss = cpu_loops.LOOPS[Z.dtype], np.empty_like(Z), ctypes.c_double()
        labels, weights, total = pointer(T), pointer(c), ctypes.byref(loss)
        correct = loops.less_largest(*Z.shape, pointer(Z), labels, weights, writable(E), total)
        if correct < 0:
            raise IndexError(f"expected labels from 0 to {Z.shape[1] - 1}. Received: others.")
        np.exp(E, out=E)
        loops.softmax_less_labels(*Z.shape, writable(E), labels, weights, total)
        return Z.dtype.type(loss.value), E, correct


class Step:
    """An optimizer whose step is one loop, with the same numbers bit for bit."""

    def __init__(self, update: Callable[..., None], optimizer: Optimizer):
        self.update, self.optimizer = update, optimizer

    def step(self, xp: Any, theta: Array, gradient: Array, state: dict[str, Array], alpha: float, t: int,
             decay: Array | None = None) -> None:  # fmt: skip
        self.update(self.optimizer, cpu_loops.LOOPS[theta.dtype], theta, gradient, state, alpha, t, decay)


def _vectors(theta: Array, *read: Array, written: Sequence[Array] = ()) -> tuple[Any, ...]:
    """The first arguments of an optimizer's loop: the length of the vectors, and pointers to them."""
    for vector in (*read, *written):
        if vector is not None and (vector.shape != theta.shape or vector.dtype != theta.dtype):
            raise ValueError(f"a step on {theta.size} {theta.dtype} expects vectors like that. Received: "
                             f"{vector.size} {vector.dtype}.")  # fmt: skip
    return theta.size, writable(theta), *map(pointer, read), *map(writable, written)


def _sgd(
    plain: SGD, loops: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int, decay: Any
) -> None:
    if plain.momentum:
        vectors = _vectors(theta, gradient, decay, written=[state["u"]])
        loops.sgd_momentum(*vectors, alpha, plain.momentum, plain.nesterov)
    else:
        loops.sgd(*_vectors(theta, gradient, decay), alpha)


def _momentum(plain: Momentum, loops: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int,
              decay: Any) -> None:  # fmt: skip
    vectors = _vectors(theta, gradient, decay, written=[state["v"]])
    loops.velocity(*vectors, alpha, plain.momentum, plain.nesterov)


def _rmsprop(plain: RMSProp, loops: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int,
             decay: Any) -> None:  # fmt: skip
    vectors = _vectors(theta, gradient, decay, written=[state["v"]])
    loops.rmsprop(*vectors, alpha, 1.0 - plain.rho, plain.epsilon)


def _adam(plain: Adam, loops: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int,
          decay: Any) -> None:  # fmt: skip
    rate, epsilon = plain.folded(alpha, t)
    vectors = _vectors(theta, gradient, decay, written=[state["s"], state["r"]])
    loops.adam(*vectors, rate, plain.beta1, plain.beta2, epsilon)


def _adamw(plain: AdamW, loops: Any, theta: Array, gradient: Array, state: Any, alpha: float, t: int,
           decay: Any) -> None:  # fmt: skip
    if decay is not None:
        loops.shrink(*_vectors(theta, decay), alpha)
    _adam(plain, loops, theta, gradient, state, alpha, t, None)


STEPS: dict[type, Callable[..., None]] = {
    SGD: _sgd, Momentum: _momentum, RMSProp: _rmsprop, Adam: _adam, AdamHat: _adam, AdamW: _adamw,
}  # fmt: skip
CHAINS = cpu.CHAINS | {(Gather,): Rows, (Gather, Scale): Rows, (Dense, ReLU): DenseReLU}
PIECES = cpu.PIECES | {losses.CrossEntropy: cpu.on_labels(CrossEntropy)}
PIECES |= {kind: functools.partial(Step, update) for kind, update in STEPS.items()}
