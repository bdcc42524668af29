"""Dropout: a different thinned network at each step of a training."""

from dataclasses import dataclass
from typing import ClassVar

from mechanet import checks
from mechanet.layers.base import Layer, Pass
from mechanet.types import Array


@dataclass
class Dropout(Layer):
    """In training, A = X ∘ M with M = 1 / (1 - rate) with probability 1 - rate and 0 otherwise; else A = X.

    Backward: dX = dA ∘ M. The scale keeps the mean, so that predictions need no other weights. A mask is a
    function of the seed, the step and the row's place in the batch: it is the same on every device.

    Parameters
    ----------
    rate : float in [0, 1)
        The probability with which an entry is dropped.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, section 4 and,
    for the scale, section 10.
    """

    formula: ClassVar[str] = "A = X ∘ M"

    rate: float = 0.5

    def __post_init__(self) -> None:
        self.rate = checks.real("rate", self.rate, 0.0, 1.0, open_high=True)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Array | None]:
        if training is None or self.rate == 0.0:
            return X, None
        kept = training.uniform(self, tuple(X.shape)) >= self.rate
        M = self.backend.asarray(kept, X.dtype)
        M *= 1.0 / (1.0 - self.rate)
        return X * M, M

    def backward(self, dA: Array, cache: Array | None, input_gradient: bool = True) -> Array:
        M = cache
        return dA if M is None else dA * M
