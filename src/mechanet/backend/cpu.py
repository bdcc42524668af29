"""What makes NumPy fast on a CPU: long rows, parts that stay in the cache, no more threads than the work deserves.

This file adds speed and nothing else, behind `NumpyBackend.fused`: without it, the plain mathematics runs.
"""

import contextlib
import functools
import os
from typing import Any

import numpy as np

PART = 65_536  # numbers of each vector: several vectors of float32 are then at home in the second cache
WORK_OF_A_THREAD = 2.5e8  # operations of one product that are worth a thread of their own


def fused(plain: Any) -> Any:
    """A twin of an optimizer or a loss of ours that does the same faster, or `plain` itself.

    Known by their full names, since this file stands below those that define them; a subclass of yours has another
    name and keeps its own lines.
    """
    module = type(plain).__module__.removeprefix("mechanet.")
    if module == "losses" and type(plain).__name__ == "CrossEntropy" and not plain.label_smoothing:
        return CrossEntropy(plain)
    if module == "optimizers":
        return InParts(plain)
    return plain


class CrossEntropy:
    """Softmax with cross-entropy on labels, class by class: NumPy is several times faster over long rows.

    The symbols are those of `mechanet.losses.CrossEntropy`, transposed: Z, E and P (k, m).
    """

    def __init__(self, plain: Any):
        self.plain = plain

    def measure(self, xp, Z, T, c):
        """The value, dZ (m, k), and the number of right decisions."""
        if T.ndim != 1:
            return self.plain.measure(xp, Z, T, c)
        right = np.count_nonzero(np.argmax(Z, axis=1) == T)
        rows = _counted(T.shape[0])
        Z = Z.T.copy()  # (m, k) -> (k, m)
        Z -= Z.max(axis=0)
        own = Z[T, rows]  # (m,): the score of the row's own class
        E = np.exp(Z, out=Z)
        S = E.sum(axis=0)
        losses = np.log(S) - own
        E *= c / S  # c P
        E[T, rows] -= c  # c (P - T), where T is 1
        return np.vecdot(c, losses), E.T, right


class InParts:
    """An optimizer whose step goes through long vectors part by part, each formula whole on each part."""

    def __init__(self, optimizer: Any):
        self.optimizer = optimizer

    def step(self, xp, theta, gradient, state, alpha, t, decay=None) -> None:
        length = theta.shape[0]
        if length <= PART:
            self.optimizer.step(xp, theta, gradient, state, alpha, t, decay)
            return
        for start in range(0, length, PART):
            part = slice(start, min(start + PART, length))
            parts = {name: vector[part] for name, vector in state.items()}
            decay_part = None if decay is None else decay[part]
            self.optimizer.step(xp, theta[part], gradient[part], parts, alpha, t, decay_part)


def sum_rows(A: np.ndarray, out: np.ndarray) -> None:
    """out ← Σ_rows A, as the product 1ᵀ A: several times faster than NumPy's own sum along the first axis."""
    np.matmul(_ones(A.shape[0], A.dtype), A, out=out)


@functools.lru_cache(maxsize=16)
def _ones(length: int, dtype: Any) -> np.ndarray:
    return np.ones(length, dtype)


@functools.lru_cache(maxsize=16)
def _counted(length: int) -> np.ndarray:
    return np.arange(length)


def threads_for(work: float, most: int) -> int:
    """Threads for products of at most `work` operations: one for every 250 million, at least 1 and at most `most`.

    Threads split a product and wait for the slowest of them. Below some milliseconds of work the waiting costs
    more than the splitting gives, many times more where another process is on one of the cores.
    """
    return max(1, min(most, cores(), int(work / WORK_OF_A_THREAD)))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _blas() -> Any:
    import threadpoolctl  # on first use: it would take a good part of the time of `import mechanet`

    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def limited(threads: int | str | None, network: Any, rows: int | None) -> contextlib.AbstractContextManager:
    """Inside the block BLAS has `threads` threads, afterwards what it had before.

    ``"auto"`` is what `threads_for` says of the largest product of a step, never more than it had; None leaves it
    alone.
    """
    if threads is None:
        return contextlib.nullcontext()
    weights = max((view.size for layer in network.layers for view in layer.parameters.values()), default=0)
    work = 2.0 * weights * min(rows or network.block_rows, network.block_rows)
    had = max((pool["num_threads"] for pool in _blas().info()), default=1)
    count = threads_for(work, had) if threads == "auto" else int(threads)
    return contextlib.nullcontext() if count == had else _blas().limit(limits=count)
