"""Activation layers: the pairs of `mechanet.activations` in a chain."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

from mechanet import checks
from mechanet.activations import ACTIVATIONS
from mechanet.layers.base import Layer


@dataclass
class _Activation(Layer):
    """A = f(Z), dZ = dA ∘ f'(Z), for the pair of functions `pair`; a subclass's fields are their options."""

    kind: ClassVar[str] = "activation"
    pair: ClassVar[tuple[Callable, Callable]]

    def options(self) -> dict[str, float]:
        """What the pair of functions takes beside the arrays."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def forward(self, X, rng=None):
        A = self.pair[0](self.xp, X, **self.options())
        return A, (X, A)

    def backward(self, dA, cache, input_gradient=True):
        Z, A = cache
        return self.pair[1](self.xp, dA, Z, A, **self.options())


class ReLU(_Activation):
    """A = max(Z, 0); see `mechanet.activations.relu`."""

    formula: ClassVar[str] = "A = max(Z, 0)"
    pair = ACTIVATIONS["relu"]


@dataclass
class LeakyReLU(_Activation):
    """A = max(Z, slope Z), with 0 ≤ slope ≤ 1; see `mechanet.activations.leaky_relu`."""

    formula: ClassVar[str] = "A = max(Z, slope Z)"
    pair = ACTIVATIONS["leaky_relu"]

    slope: float = 0.01

    def __post_init__(self):
        self.slope = checks.real("slope", self.slope, 0.0, 1.0)


@dataclass
class ELU(_Activation):
    """A = Z where Z > 0, else alpha (exp(Z) - 1), with alpha > 0; see `mechanet.activations.elu`."""

    formula: ClassVar[str] = "A = Z if Z > 0 else alpha (exp(Z) - 1)"
    pair = ACTIVATIONS["elu"]

    alpha: float = 1.0

    def __post_init__(self):
        self.alpha = checks.real("alpha", self.alpha, 0.0, open_low=True)


class GELU(_Activation):
    """A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³))), the tanh form; see `mechanet.activations.gelu`."""

    formula: ClassVar[str] = "A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³)))"
    pair = ACTIVATIONS["gelu"]


class SiLU(_Activation):
    """A = Z σ(Z); see `mechanet.activations.silu`."""

    formula: ClassVar[str] = "A = Z σ(Z)"
    pair = ACTIVATIONS["silu"]


class Sigmoid(_Activation):
    """A = 1 / (1 + exp(-Z)); see `mechanet.activations.sigmoid`."""

    formula: ClassVar[str] = "A = 1 / (1 + exp(-Z))"
    pair = ACTIVATIONS["sigmoid"]


class Tanh(_Activation):
    """A = tanh(Z); see `mechanet.activations.tanh`."""

    formula: ClassVar[str] = "A = tanh(Z)"
    pair = ACTIVATIONS["tanh"]


class Softplus(_Activation):
    """A = log(1 + exp(Z)); see `mechanet.activations.softplus`."""

    formula: ClassVar[str] = "A = log(1 + exp(Z))"
    pair = ACTIVATIONS["softplus"]


@dataclass
class Activation(_Activation):
    """A = f(Z), entry by entry, with a forward and a backward function of your own.

    Parameters
    ----------
    function : callable
        ``function(xp, Z)`` returns A.
    derivative : callable
        ``derivative(xp, dA, Z, A)`` returns dZ. `mechanet.check_gradients` tells whether the pair fits.

    Notes
    -----
    A network with functions of your own trains and predicts; it cannot be saved, since a file never holds code.
    """

    formula: ClassVar[str] = "A = f(Z)"

    function: Callable
    derivative: Callable

    @property
    def pair(self):  # type: ignore[override]
        """The two functions."""
        return self.function, self.derivative

    def options(self):
        return {}

    def config(self):
        raise ValueError(
            "a network with an Activation of your own functions cannot be saved: a file never holds code. "
            "Use one of the activations that mechanet names, or keep net.parameters yourself."
        )
