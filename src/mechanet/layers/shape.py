"""Layers without parameters that prepare rows: scale, reshape, flatten."""

import math
from dataclasses import dataclass
from typing import ClassVar

from mechanet import checks
from mechanet.layers.base import Layer


@dataclass
class Scale(Layer):
    """A = factor X, for example 1/255 for the bytes of an image; dX = factor dA."""

    kind: ClassVar[str] = "scale"
    formula: ClassVar[str] = "A = factor X"

    factor: float

    def __post_init__(self):
        self.factor = checks.real("factor", self.factor)

    def forward(self, X, rng=None):
        return X * self.factor, None

    def backward(self, dA, cache, input_gradient=True):
        return dA * self.factor


@dataclass
class Reshape(Layer):
    """Give each row another shape with as many entries; dX is dA in the old shape."""

    kind: ClassVar[str] = "shape"
    formula: ClassVar[str] = "A = X, reshaped"

    shape: tuple[int, ...]

    def __post_init__(self):
        self.shape = checks.shape("shape", self.shape)

    def output_shape_for(self, input_shape):
        if math.prod(self.shape) != math.prod(input_shape):
            raise ValueError(
                f"Reshape expects a shape with {math.prod(input_shape)} entries, as rows of shape {input_shape} "
                f"have. Received: shape={self.shape}."
            )
        return self.shape

    def forward(self, X, rng=None):
        return self.xp.reshape(X, (X.shape[0], *self.output_shape)), None

    def backward(self, dA, cache, input_gradient=True):
        return self.xp.reshape(dA, (dA.shape[0], *self.input_shape))


@dataclass
class Flatten(Reshape):
    """Make each row a vector, as Dense expects it; dX is dA in the old shape."""

    shape: tuple[int, ...] = ()

    def output_shape_for(self, input_shape):
        return (math.prod(input_shape),)
