"""Initializers: the first values of W and b, drawn on the host so that every device starts from the same numbers.

An initializer is called with a `numpy.random.Generator`, a shape, and the fans: n_in inputs and n_out outputs
of the layer. It returns a float64 host array; the network casts it to its own data type.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mechanet import checks


@dataclass(frozen=True)
class Initializer:
    """What all initializers share: their name and options as plain data."""

    def __call__(self, rng, shape: tuple[int, ...], n_in: int, n_out: int):
        raise NotImplementedError

    def config(self) -> dict:
        """Name and options, as plain data that `initializer_from` takes back."""
        return {"name": type(self).__name__, **asdict(self)}


class _Normal(Initializer):
    def __call__(self, rng, shape, n_in, n_out):
        return rng.normal(0.0, math.sqrt(self.variance(n_in, n_out)), shape)

    def variance(self, n_in: int, n_out: int) -> float:
        """The variance of an entry, a function of the fans."""
        raise NotImplementedError


class _Uniform(_Normal):
    def __call__(self, rng, shape, n_in, n_out):
        limit = math.sqrt(3.0 * self.variance(n_in, n_out))  # the variance of U(-a, a) is a² / 3
        return rng.uniform(-limit, limit, shape)


class HeNormal(_Normal):
    """N(0, 2 / n_in), for ReLU and its relatives (He et al. 2015, equation 10)."""

    def variance(self, n_in, n_out):
        return 2.0 / n_in


class HeUniform(_Uniform):
    """U(-a, a) with a = √(6 / n_in), of variance 2 / n_in (He et al. 2015, equation 10)."""

    variance = HeNormal.variance


class GlorotNormal(_Normal):
    """N(0, 2 / (n_in + n_out)), for tanh and sigmoid (Glorot and Bengio 2010, equation 12)."""

    def variance(self, n_in, n_out):
        return 2.0 / (n_in + n_out)


class GlorotUniform(_Uniform):
    """U(-a, a) with a = √(6 / (n_in + n_out)) (Glorot and Bengio 2010, equation 16)."""

    variance = GlorotNormal.variance


class LeCunNormal(_Normal):
    """N(0, 1 / n_in) (LeCun et al. 1998, Efficient backprop, equation 16)."""

    def variance(self, n_in, n_out):
        return 1.0 / n_in


class LeCunUniform(_Uniform):
    """U(-a, a) with a = √(3 / n_in), of variance 1 / n_in (LeCun et al. 1998, Efficient backprop)."""

    variance = LeCunNormal.variance


@dataclass(frozen=True)
class Uniform(Initializer):
    """U(low, high), whatever the fans."""

    low: float = -0.5
    high: float = 0.5

    def __post_init__(self):
        checks.real("low", self.low)
        checks.real("high", self.high, self.low)

    def __call__(self, rng, shape, n_in, n_out):
        return rng.uniform(self.low, self.high, shape)


class Zeros(Initializer):
    """Zeros, the usual start of b."""

    def __call__(self, rng, shape, n_in, n_out):
        return 0.0 * rng.random(shape)


INITIALIZERS = {
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "lecun_normal": LeCunNormal,
    "lecun_uniform": LeCunUniform,
    "uniform": Uniform,
    "zeros": Zeros,
}


def initializer_from(value: "str | Mapping[str, Any] | Initializer", name: str = "initializer") -> Initializer:
    """Return an initializer given by name, as an object, or as the plain data of `Initializer.config`."""
    if isinstance(value, Initializer):
        return value
    if isinstance(value, Mapping):
        classes = {kind.__name__: kind for kind in INITIALIZERS.values()}
        options = dict(value)
        return classes[checks.one_of(name, options.pop("name", None), classes)](**options)
    return INITIALIZERS[checks.one_of(name, value, INITIALIZERS)]()
