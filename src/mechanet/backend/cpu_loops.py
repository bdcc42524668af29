"""The loops of `cpu_loops.c`, as twins of optimizers, layers and losses: one pass where NumPy makes several.

They are there where the package was built with a C compiler. This file adds speed and nothing else, behind
`cpu.fused`. Symbols are those of the plain code.
"""

import contextlib
import ctypes
import math
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mechanet.backend import cpu_layers

LONG = 1_024  # bytes of a row, from which on it pays to fetch the next but one while a row is copied

# The arguments of each loop: n a count, p an array, r a real number, b a truth; then what it returns, if anything.
SIGNATURES = {
    "sgd": "npppr",
    "sgd_momentum": "npppprrb",
    "velocity": "npppprrb",
    "rmsprop": "npppprrr",
    "adam": "nppppprrrr",
    "shrink": "nppr",
    "bias_relu": "nnpp",
    "sum_rows": "nnpp",
    "relu_backward": "nnppp",
    "gathered_rows": "nnnppp n",
    "scaled_rows": "nnnpprp n",
    "less_largest": "nnppppp n",
    "softmax_less_labels": "nnpppp",
}


def _load(dtype: str, number: Any) -> ctypes.CDLL:
    """The loops for numbers of type `dtype`.

    OSError where they were not built, or from another text than this; AttributeError where one is missing.
    """
    source = Path(__file__).with_suffix(".c")
    library = ctypes.CDLL(str(source.with_name(f"cpu_loops_{zlib.crc32(source.read_bytes()):08x}_{dtype}.so")))
    kinds = {"n": ctypes.c_int64, "p": ctypes.c_void_p, "r": number, "b": ctypes.c_int}
    for name, signature in SIGNATURES.items():
        arguments, _, result = signature.partition(" ")
        function = getattr(library, name)
        function.argtypes = [kinds[letter] for letter in arguments]
        function.restype = kinds.get(result)
    return library


LOOPS: dict[Any, ctypes.CDLL] = {}
Byte: Any = ctypes.c_char
with contextlib.suppress(OSError, AttributeError):
    LOOPS |= {
        np.dtype("float32"): _load("float32", ctypes.c_float),
        np.dtype("float64"): _load("float64", ctypes.c_double),
    }


def out(array: np.ndarray) -> Any:
    """Where a loop may write; TypeError where it may not, or where the numbers do not lie one after another."""
    return ctypes.byref(Byte.from_buffer(array))  # faster than the array's own ways to say it


def at(array: np.ndarray | None) -> Any:
    """Where a loop reads: the numbers of a contiguous array."""
    if array is None:
        return None
    try:
        return out(array)
    except TypeError:  # read-only
        if not array.flags.c_contiguous:
            raise ValueError("a loop expects an array whose numbers lie one after another") from None
        return array.ctypes.data


def suits(array: np.ndarray, dtype: Any) -> bool:
    """Whether a loop for `dtype` may run over the array as it lies."""
    flags = array.flags
    return array.dtype == dtype and flags.c_contiguous and flags.aligned


class Rows:
    """A = X[rows], or factor X[rows] with the Scale after it: bytes in one pass, long rows fetched ahead."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, gather: Any, scale: Any = None):
        self.plain, self.dtype = cpu_layers.rows(gather, scale), np.dtype(gather.dtype)
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
        loops, sizes = LOOPS[self.dtype], (m, self.numbers, len(whole))
        if is_bytes:
            done = loops.scaled_rows(*sizes, at(whole), at(rows), self.factor, out(A))
        else:
            done = loops.gathered_rows(*sizes, at(whole), at(rows), out(A))
            if self.scaled:
                A *= self.factor
        if done < m:
            raise IndexError(f"there is no row {rows[done]} in {len(whole)}")
        return A, None

    def backward(self, dA, cache, input_gradient=True):
        return self.plain.backward(dA, cache)


def rows(gather: Any, scale: Any = None) -> Any:
    """The twin of Gather, and of a Scale after it."""
    return Rows(gather, scale)


class DenseReLU(cpu_layers.DenseReLU):
    """A = max(X W + b, 0), where the bias and the maximum are one pass, and so is the way back."""

    def forward(self, X, rng=None):
        if len(X) == 1 or X.dtype != self.plain.W.dtype or not self.plain.bias:
            return super().forward(X)  # one row is done sooner than a loop is called
        Z = self.multiply(X)
        LOOPS[Z.dtype].bias_relu(*Z.shape, out(Z), at(self.plain.b))
        return Z, (X, Z)

    def backward(self, dA, cache, input_gradient=True):
        (X, A), dtype = cache, self.plain.W.dtype
        if not (suits(dA, dtype) and suits(A, dtype) and dA.shape == A.shape):
            return super().backward(dA, cache, input_gradient)
        db = out(self.plain.db) if self.plain.bias else None
        LOOPS[A.dtype].relu_backward(*A.shape, out(dA), at(A), db)
        return self.multiply_back(dA, X, input_gradient)


class CrossEntropy:
    """Softmax with cross-entropy on labels, row by row."""

    def __init__(self, plain: Any):
        self.plain = plain

    def labels(self, xp, Z):
        """Predicted labels, without the detour that NumPy's functions make and its methods do not."""
        return Z.argmax(axis=1)

    def measure(self, xp, Z, T, c):
        """The value, dZ (m, k), and the number of right decisions."""
        fit = T.shape == c.shape == Z.shape[:1]
        if not (fit and suits(T, np.int64) and suits(Z, c.dtype) and suits(c, c.dtype)):
            return self.plain.measure(xp, Z, T, c)
        loops, E, loss = LOOPS[Z.dtype], np.empty_like(Z), ctypes.c_double()
        labels, weights, total = at(T), at(c), ctypes.byref(loss)
        right = loops.less_largest(*Z.shape, at(Z), labels, weights, out(E), total)
        if right < 0:
            raise IndexError(f"labels go from 0 to {Z.shape[1] - 1}")
        np.exp(E, out=E)
        loops.softmax_less_labels(*Z.shape, out(E), labels, weights, total)
        return Z.dtype.type(loss.value), E, right


class Step:
    """An optimizer whose step is one loop, with the same numbers bit for bit."""

    def __init__(self, optimizer: Any):
        self.optimizer, self.step = optimizer, STEPS[type(optimizer).__name__](optimizer)


def _vectors(theta, *read, written=()) -> tuple:
    """The first arguments of an optimizer's loop: how many numbers there are, and where the vectors lie."""
    for vector in (*read, *written):
        if vector is not None and (vector.shape != theta.shape or vector.dtype != theta.dtype):
            raise ValueError(f"a step on {theta.size} {theta.dtype} expects vectors like that. Received: "
                             f"{vector.size} {vector.dtype}.")  # fmt: skip
    return theta.size, out(theta), *map(at, read), *map(out, written)


def _sgd(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        loops = LOOPS[theta.dtype]
        if plain.momentum:
            vectors = _vectors(theta, gradient, decay, written=[state["u"]])
            loops.sgd_momentum(*vectors, alpha, plain.momentum, plain.nesterov)
        else:
            loops.sgd(*_vectors(theta, gradient, decay), alpha)

    return step


def _momentum(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        vectors = _vectors(theta, gradient, decay, written=[state["v"]])
        LOOPS[theta.dtype].velocity(*vectors, alpha, plain.momentum, plain.nesterov)

    return step


def _rmsprop(plain):
    def step(xp, theta, gradient, state, alpha, t, decay=None):
        vectors = _vectors(theta, gradient, decay, written=[state["v"]])
        LOOPS[theta.dtype].rmsprop(*vectors, alpha, 1.0 - plain.rho, plain.epsilon)

    return step


def _adam(plain):
    decoupled = type(plain).__name__ == "AdamW"

    def step(xp, theta, gradient, state, alpha, t, decay=None):
        loops = LOOPS[theta.dtype]
        if decoupled and decay is not None:
            loops.shrink(*_vectors(theta, decay), alpha)
            decay = None
        rate, epsilon = plain.folded(alpha, t)
        vectors = _vectors(theta, gradient, decay, written=[state["s"], state["r"]])
        loops.adam(*vectors, rate, plain.beta1, plain.beta2, epsilon)

    return step


STEPS = {"SGD": _sgd, "Momentum": _momentum, "RMSProp": _rmsprop, "Adam": _adam, "AdamHat": _adam, "AdamW": _adam}
