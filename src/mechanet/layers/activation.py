"""Activation layers: the pairs of `mechanet.activations` in a chain, and the table of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from mechanet import activations, checks
from mechanet.layers.base import Layer, Pass
from mechanet.types import Array

Forward = Callable[..., Array]  # (xp, Z, **options) -> A
Backward = Callable[..., Array]  # (xp, dA, Z, A, **options) -> dZ


class ActivationLayer(Layer):
    """A = f(Z), dZ = dA ∘ f'(Z), for the functions of `pair`; a subclass is a dataclass of their options."""

    symbols: ClassVar[tuple[str, str]] = ("Z", "A")
    pair: tuple[Forward, Backward]

    def options(self) -> dict[str, float]:
        """What the pair of functions takes beside the arrays."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def forward(self, Z: Array, training: Pass | None = None) -> tuple[Array, tuple[Array, Array]]:
        A = self.pair[0](self.xp, Z, **self.options())
        return A, (Z, A)

    def backward(self, dA: Array, cache: tuple[Array, Array], input_gradient: bool = True) -> Array:
        Z, A = cache
        return self.pair[1](self.xp, dA, Z, A, **self.options())


@dataclass
class ReLU(ActivationLayer):
    """A = max(Z, 0); see `mechanet.activations.relu`."""

    formula: ClassVar[str] = "A = max(Z, 0)"
    pair = (activations.relu, activations.relu_backward)


@dataclass
class LeakyReLU(ActivationLayer):
    """A = max(Z, slope Z), with 0 ≤ slope ≤ 1; see `mechanet.activations.leaky_relu`."""

    formula: ClassVar[str] = "A = max(Z, slope Z)"
    pair = (activations.leaky_relu, activations.leaky_relu_backward)

    slope: float = 0.01

    def __post_init__(self) -> None:
        self.slope = checks.real("slope", self.slope, 0.0, 1.0)


@dataclass
class ELU(ActivationLayer):
    """A = Z where Z > 0, else alpha (exp(Z) - 1), with alpha > 0; see `mechanet.activations.elu`."""

    formula: ClassVar[str] = "A = Z if Z > 0 else alpha (exp(Z) - 1)"
    pair = (activations.elu, activations.elu_backward)

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self.alpha = checks.real("alpha", self.alpha, 0.0, open_low=True)


@dataclass
class GELU(ActivationLayer):
    """A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³))), the tanh form; see `mechanet.activations.gelu`."""

    formula: ClassVar[str] = "A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³)))"
    pair = (activations.gelu, activations.gelu_backward)


@dataclass
class SiLU(ActivationLayer):
    """A = Z σ(Z); see `mechanet.activations.silu`."""

    formula: ClassVar[str] = "A = Z σ(Z)"
    pair = (activations.silu, activations.silu_backward)


@dataclass
class Sigmoid(ActivationLayer):
    """A = 1 / (1 + exp(-Z)); see `mechanet.activations.sigmoid`."""

    formula: ClassVar[str] = "A = 1 / (1 + exp(-Z))"
    pair = (activations.sigmoid, activations.sigmoid_backward)


@dataclass
class Tanh(ActivationLayer):
    """A = tanh(Z); see `mechanet.activations.tanh`."""

    formula: ClassVar[str] = "A = tanh(Z)"
    pair = (activations.tanh, activations.tanh_backward)


@dataclass
class Softplus(ActivationLayer):
    """A = log(1 + exp(Z)); see `mechanet.activations.softplus`."""

    formula: ClassVar[str] = "A = log(1 + exp(Z))"
    pair = (activations.softplus, activations.softplus_backward)


@dataclass
class Activation(ActivationLayer):
    """A = f(Z), entry by entry, with a forward and a backward function of your own.

    Parameters
    ----------
    function : callable
        ``function(xp, Z)`` returns A.
    derivative : callable
        ``derivative(xp, dA, Z, A)`` returns dZ. `mechanet.check_gradients` tells whether the pair fits.

    Notes
    -----
    A network with functions of your own trains and predicts; it cannot be saved, since a file never holds code. A
    class of your own that is registered can; see `mechanet.register`.
    """

    formula: ClassVar[str] = "A = f(Z)"

    function: Forward
    derivative: Backward

    def __post_init__(self) -> None:
        self.pair = (self.function, self.derivative)

    def options(self) -> dict[str, float]:
        return {}

    def config(self) -> dict[str, Any]:
        raise ValueError(
            "a network with an Activation of your own functions cannot be saved: a file never holds code. "
            "Use one of the activations that mechanet names, or put yours into a class with @mechanet.register "
            "above it, or keep net.parameters yourself."
        )


ACTIVATIONS: dict[str, type[ActivationLayer]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softplus": Softplus,
}
