"""The step before the first layer: the rows of a batch."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet.layers.base import Layer, Pass
from mechanet.types import Array


@dataclass
class Gather(Layer):
    """A = X[rows], in the type the network computes in; every network begins with it.

    Its input is a pair: X, of any number type, and the numbers of a batch's rows, or None for all of X. On the way
    back it is an identity: dL/dA belongs to the rows that were taken.
    """

    formula: ClassVar[str] = "A = X[rows]"

    dtype: Any

    def forward(self, X: Any, training: Pass | None = None) -> tuple[Array, None]:
        X, rows = X
        A = X if rows is None else self.backend.take(X, rows)  # (n, ...) -> (m, ...)
        return (A if A.dtype == self.dtype else self.xp.astype(A, self.dtype)), None

    def backward(self, dA: Array, cache: None, input_gradient: bool = True) -> Array:
        return dA
