"""The loops in C as forms of layers, losses and optimizers: one pass where NumPy makes several."""

import ctypes
import math
from typing import Any, ClassVar

import numpy as np

from mechanet import losses
from mechanet.backend import cpu_loops
from mechanet.backend.cpu_loops import pointer, suits, writable
from mechanet.kernels import cpu
from mechanet.layers import Dense, Gather, ReLU, Scale
from mechanet.optimizers import SGD, Adam, AdamHat, AdamW, Momentum, RMSProp

LONG = 1_024  # bytes of a row, from which on it pays to fetch the next but one while a row is copied


class Rows:
    """A = X[rows], or factor X[rows] with the Scale after it: bytes in one pass, long rows fetched ahead."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, gather: Any, scale: Any = None):
        self.plain, self.dtype = cpu.ScaledRows(gather, scale) if scale else gather, np.dtype(gather.dtype)
        self.scaled, self.factor = bool(scale), scale.factor if scale else 1.0
        self.numbers = math.prod(gather.input_shape)
        self.long = self.numbers * self.dtype.itemsize >= LONG

    def forward(self, X, rng=None):
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

    def backward(self, dA, cache, input_gradient=True):
        return self.plain.backward(dA, cache)


class DenseReLU(cpu.DenseReLU):
    """A = max(X W + b, 0), where the bias and the maximum are one pass, and so is the way back."""

    def forward(self, X, rng=None):
        if len(X) == 1 or X.dtype != self.plain.W.dtype or not self.plain.bias:
            return super().forward(X)  # one row is done sooner than a loop is called
        Z = self.multiply(X)
        cpu_loops.LOOPS[Z.dtype].bias_relu(*Z.shape, writable(Z), pointer(self.plain.b))
        return Z, (X, Z)

    def backward(self, dA, cache, input_gradient=True):
        (X, A), dtype = cache, self.plain.W.dtype
        if not (suits(dA, dtype) and suits(A, dtype) and dA.shape == A.shape):
            return super().backward(dA, cache, input_gradient)
        db = writable(self.plain.db) if self.plain.bias else None
        cpu_loops.LOOPS[A.dtype].relu_backward(*A.shape, writable(dA), pointer(A), db)
        return self.multiply_back(dA, X, input_gradient)


class CrossEntropy:
    """Softmax with cross-entropy on labels, row by row."""

    def __init__(self, plain: Any):
        self.plain = plain

    def labels(self, xp, Z):
        """Predicted labels, without the detour that NumPy's functions make and its methods do not."""
        return Z.argmax(axis=1)

    def measure(self, xp, Z, T, c):
        """The value, dZ (m, k), and the number of correct decisions."""
        fit = T.shape == c.shape == Z.shape[:1]
        if not (fit and suits(T, np.int64) and suits(Z, c.dtype) and suits(c, c.dtype)):
            return self.plain.measure(xp, Z, T, c)
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

    def __init__(self, optimizer: Any):
        self.optimizer, self.step = optimizer, STEPS[type(optimizer)](optimizer)


def _vectors(theta, *read, written=()) -> tuple:
    """The first arguments of an optimizer's loop: how many numbers there are, and where the vectors lie."""
    for vector in (*read, *written):
        if vector is not None and (vector.shape != theta.shape or vector.dtype != theta.dtype):
            raise ValueError(f"a step on {theta.size} {theta.dtype} expects vectors like that. Received: "
                             f"{vector.size} {vector.dtype}.")  # fmt: skip
    return theta.size, writable(theta), *map(pointer, read), *map(writable, written)


def _sgd(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        loops = cpu_loops.LOOPS[theta.dtype]
        if plain.momentum:
            vectors = _vectors(theta, gradient, decay, written=[state["u"]])
            loops.sgd_momentum(*vectors, alpha, plain.momentum, plain.nesterov)
        else:
            loops.sgd(*_vectors(theta, gradient, decay), alpha)

    return step


def _momentum(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        vectors = _vectors(theta, gradient, decay, written=[state["v"]])
        cpu_loops.LOOPS[theta.dtype].velocity(*vectors, alpha, plain.momentum, plain.nesterov)

    return step


def _rmsprop(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        vectors = _vectors(theta, gradient, decay, written=[state["v"]])
        cpu_loops.LOOPS[theta.dtype].rmsprop(*vectors, alpha, 1.0 - plain.rho, plain.epsilon)

    return step


def _adam(plain):
    decoupled = type(plain) is AdamW

    def step(xp, theta, gradient, state, alpha, t, decay=None):
        loops = cpu_loops.LOOPS[theta.dtype]
        if decoupled and decay is not None:
            loops.shrink(*_vectors(theta, decay), alpha)
            decay = None
        rate, epsilon = plain.folded(alpha, t)
        vectors = _vectors(theta, gradient, decay, written=[state["s"], state["r"]])
        loops.adam(*vectors, rate, plain.beta1, plain.beta2, epsilon)

    return step


STEPS = {SGD: _sgd, Momentum: _momentum, RMSProp: _rmsprop, Adam: _adam, AdamHat: _adam, AdamW: _adam}
CHAINS = cpu.CHAINS | {(Gather,): Rows, (Gather, Scale): Rows, (Dense, ReLU): DenseReLU}
PIECES = cpu.PIECES | {losses.CrossEntropy: cpu.on_labels(CrossEntropy), **dict.fromkeys(STEPS, Step)}
