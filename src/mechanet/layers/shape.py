"""Layers without parameters that prepare rows: scale, reshape, flatten."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mechanet import checks
from mechanet.layers.base import Layer, Pass, Shape
from mechanet.types import Array


@dataclass
class Scale(Layer):
    """A = factor X, for example 1/255 for the bytes of an image; dX = factor dA."""

    formula: ClassVar[str] = "A = factor X"

    factor: float

    def __post_init__(self) -> None:
        self.factor = checks.real("factor", self.factor)

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, None]:
        return X * self.factor, None

    def backward(self, dA: Array, cache: None, input_gradient: bool = True) -> Array:
        return dA * self.factor

    def numbers(self) -> int:
        return 0  # it is one with the gathering of the rows


class _Reshaped(Layer):
    """What Reshape and Flatten share: rows of another shape with as many entries; dX is dA in the old one."""

    formula: ClassVar[str] = "A = X, reshaped"

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, None]:
        return self.xp.reshape(X, (X.shape[0], *self.output_shape)), None

    def backward(self, dA: Array, cache: None, input_gradient: bool = True) -> Array:
        return self.xp.reshape(dA, (dA.shape[0], *self.input_shape))

    def numbers(self) -> int:
        return 0  # a view


@dataclass
class Reshape(_Reshaped):
    """Give each row another shape with as many entries; dX is dA in the old shape."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        self.shape = checks.shape("shape", self.shape)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        if math.prod(self.shape) != math.prod(input_shape):
            raise ValueError(
                f"Reshape expects a shape with {math.prod(input_shape)} entries, as rows of shape {input_shape} "
                f"have. Received: shape={self.shape}."
            )
        return self.shape


@dataclass
class Flatten(_Reshaped):
    """Make each row a vector, as Dense expects it; dX is dA in the old shape."""

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    @classmethod
    def from_plain(cls, options: dict[str, Any]) -> Self:
        """Files of version 1 may name a shape, which has never meant anything."""
        options.pop("shape", None)
        return super().from_plain(options)
