"""Initializers: the first values of W and b, drawn on the host so that every device starts from the same numbers.

An initializer is called with a `numpy.random.Generator`, a shape, and the fans: n_in inputs and n_out outputs
of the layer. It returns a float64 host array; the network casts it to its own data type.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.registry import Family, Named, register
from mechanet.types import Array


@dataclass(frozen=True)
class Initializer(Named):
    """What all initializers share. An initializer is a frozen dataclass: its fields are its options."""

    family: ClassVar[Family] = Family("initializer")

    def __call__(self, rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
        """The first values of a parameter of `shape`."""
        raise NotImplementedError


class _Normal(Initializer):
    def __call__(self, rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
        return rng.normal(0.0, math.sqrt(self.variance(n_in, n_out)), shape)

    def variance(self, n_in: int, n_out: int) -> float:
        """The variance of an entry, a function of the fans."""
        raise NotImplementedError


class _Uniform(_Normal):
    def __call__(self, rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
        limit = math.sqrt(3.0 * self.variance(n_in, n_out))  # the variance of U(-a, a) is a² / 3
        return rng.uniform(-limit, limit, shape)


class HeNormal(_Normal):
    """N(0, 2 / n_in), for ReLU and its relatives (He et al. 2015, equation 10)."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / n_in


class HeUniform(_Uniform):
    """U(-a, a) with a = √(6 / n_in), of variance 2 / n_in (He et al. 2015, equation 10)."""

    variance = HeNormal.variance


class GlorotNormal(_Normal):
    """N(0, 2 / (n_in + n_out)), for tanh and sigmoid (Glorot and Bengio 2010, equation 12)."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / (n_in + n_out)


class GlorotUniform(_Uniform):
    """U(-a, a) with a = √(6 / (n_in + n_out)) (Glorot and Bengio 2010, equation 16)."""

    variance = GlorotNormal.variance


class LeCunNormal(_Normal):
    """N(0, 1 / n_in) (LeCun et al. 1998, Efficient backprop, equation 16)."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 1.0 / n_in


class LeCunUniform(_Uniform):
    """U(-a, a) with a = √(3 / n_in), of variance 1 / n_in (LeCun et al. 1998, Efficient backprop)."""

    variance = LeCunNormal.variance


@dataclass(frozen=True)
class Uniform(Initializer):
    """U(low, high), whatever the fans."""

    low: float = -0.5
    high: float = 0.5

    def __post_init__(self) -> None:
        checks.real("low", self.low)
        checks.real("high", self.high, self.low)

    def __call__(self, rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
        return rng.uniform(self.low, self.high, shape)


class Zeros(Initializer):
    """Zeros, the usual start of b."""

    def __call__(self, rng: Any, shape: tuple[int, ...], n_in: int, n_out: int) -> Array:
        return 0.0 * rng.random(shape)


INITIALIZERS: dict[str, type[Initializer]] = {
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "lecun_normal": LeCunNormal,
    "lecun_uniform": LeCunUniform,
    "uniform": Uniform,
    "zeros": Zeros,
}
for _initializer in INITIALIZERS.values():
    register(_initializer)


def initializer_from(value: str | Mapping[str, Any] | Initializer, name: str = "initializer") -> Initializer:
    """Return an initializer given by name, as an object, or as the plain data of `Initializer.config`."""
    if isinstance(value, Initializer):
        return value
    if isinstance(value, Mapping):
        return Initializer.from_config(value)
    return INITIALIZERS[checks.one_of(name, value, INITIALIZERS)]()
