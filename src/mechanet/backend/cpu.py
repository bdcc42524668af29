"""What makes NumPy fast on a CPU: long rows, parts that stay in the cache, few passes over them (`cpu_layers`).

Where the package was built with a C compiler, its loops (`cpu_loops`) make one pass of several of NumPy's. These
files add speed and nothing else, behind `NumpyBackend.fused`: without them, the plain mathematics runs.
"""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mechanet.backend import cpu_layers, cpu_loops

PART = 65_536  # numbers of each vector: several vectors of float32 are then at home in the second cache


def fused(plain: Any) -> Any:
    """A twin of a chain of layers, an optimizer or a loss of ours that does the same faster, or `plain` itself.

    Known by their full names, since this file stands below those that define them; a subclass of yours has another
    name and keeps its own lines.
    """
    looped = bool(cpu_loops.LOOPS)
    if isinstance(plain, tuple):
        return cpu_layers.chain(plain, cpu_loops if looped else cpu_layers)
    module = type(plain).__module__.removeprefix("mechanet.")
    if module == "losses" and type(plain).__name__ == "CrossEntropy" and not plain.label_smoothing:
        return cpu_loops.CrossEntropy(plain) if looped else CrossEntropy(plain)
    if module == "optimizers":
        return cpu_loops.Step(plain) if looped else InParts(plain)
    return plain


class CrossEntropy:
    """Softmax with cross-entropy on labels, class by class: NumPy is several times faster over long rows.

    The symbols are those of `mechanet.losses.CrossEntropy`, transposed: Z, E and P (k, m).
    """

    def __init__(self, plain: Any):
        self.plain = plain

    def labels(self, xp, Z):
        """Predicted labels, without the detour that NumPy's functions make and its methods do not."""
        return Z.argmax(axis=1)

    def measure(self, xp, Z, T, c):
        """The value, dZ (m, k), and the number of right decisions."""
        if T.ndim != 1:
            return self.plain.measure(xp, Z, T, c)
        right = np.count_nonzero(Z.argmax(axis=1) == T)
        m = T.shape[0]
        Z = Z.T.copy()  # (m, k) -> (k, m)
        Z -= np.maximum.reduce(Z)
        at = T * m + _counted(m)  # where the score of the row's own class lies
        own = Z.take(at)  # (m,)
        E = np.exp(Z, out=Z)
        S = np.add.reduce(E)
        losses = np.log(S) - own
        E *= c / S  # c P
        E.reshape(-1)[at] -= c  # c (P - T), where T is 1
        return c.dot(losses), E.T.copy(), right  # (k, m) -> (m, k): BLAS is slow on dZ in another order


class InParts:
    """An optimizer whose step goes through long vectors part by part, each formula whole on each part."""

    def __init__(self, optimizer: Any):
        self.optimizer = optimizer

    def step(self, xp, theta, gradient, state, alpha, t, decay=None) -> None:
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


def sum_rows(A: np.ndarray, out: np.ndarray) -> None:
    """out ← Σ_rows A, by a loop, or as the product 1ᵀ A: faster than NumPy's own sum along the first axis."""
    if cpu_loops.LOOPS and cpu_loops.suits(A, out.dtype):
        cpu_loops.LOOPS[A.dtype].sum_rows(*A.shape, cpu_loops.at(A), cpu_loops.out(out))
    else:
        np.matmul(_ones(A.shape[0], A.dtype), A, out=out)


@functools.lru_cache(maxsize=16)
def _ones(length: int, dtype: Any) -> np.ndarray:
    return np.ones(length, dtype)


@functools.lru_cache(maxsize=16)
def _counted(length: int) -> np.ndarray:
    return np.arange(length)
