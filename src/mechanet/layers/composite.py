"""Layers made of layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mechanet.layers.base import Layer, Parameter, Pass, Shape, Statistic, Views, chain_shapes
from mechanet.types import Array

T = TypeVar("T")


@dataclass
class Composite(Layer):
    """A chain of layers as one layer; a subclass makes more of it, such as A = f(X) + X.

    Parameters and statistics of the layers are the composite's, by names such as ``0.W``.

    Parameters
    ----------
    layers : sequence of Layer
    """

    layers: Sequence[Layer]

    # The layers, once bound; a network may put faster forms in their place.
    steps: tuple[Any, ...] = field(default=(), init=False, repr=False, compare=False)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return chain_shapes(self.layers, input_shape)[1]

    def parameters_for(self, input_shape: Shape) -> dict[str, Parameter]:
        shapes = chain_shapes(self.layers, input_shape)[0]
        return _joined([layer.parameters_for(shape) for layer, shape in zip(self.layers, shapes, strict=True)])

    def statistics_for(self, input_shape: Shape) -> dict[str, Statistic]:
        shapes = chain_shapes(self.layers, input_shape)[0]
        return _joined([layer.statistics_for(shape) for layer, shape in zip(self.layers, shapes, strict=True)])

    def bind(self, backend: Any, input_shape: Shape, views: Views, number: int = 0) -> "Composite":
        bound = super().bind(backend, input_shape, views, number)
        assert isinstance(bound, Composite)
        shapes = chain_shapes(self.layers, input_shape)[0]
        bound.layers = bound.steps = tuple(
            layer.bind(backend, shape, Views(*(_part(i, named) for named in views)), 1000 * (number + 1) + i)
            for i, (layer, shape) in enumerate(zip(self.layers, shapes, strict=True))
        )
        return bound

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, list[Any]]:
        caches = []
        for step in self.steps:
            X, cache = step.forward(X, training)
            caches.append(cache)
        return X, caches

    def backward(self, dA: Array, cache: list[Any], input_gradient: bool = True) -> Array:
        if any(step.overwrites for step in self.steps):
            dA = dA + 0.0  # the caller's stays as it is
        for i in range(len(self.steps) - 1, -1, -1):
            dA = self.steps[i].backward(dA, cache[i], input_gradient or i > 0)
        return dA

    def work(self) -> float:
        return max((layer.work() for layer in self.layers), default=0.0)

    def numbers(self) -> int:
        return sum(layer.numbers() for layer in self.layers)


def _joined(named: list[dict[str, T]]) -> dict[str, T]:
    """What layers name as what their composite names."""
    return {f"{i}.{name}": value for i, values in enumerate(named) for name, value in values.items()}


def _part(i: int, named: dict[str, Any]) -> dict[str, Any]:
    """The part of layer i."""
    return {name.partition(".")[2]: value for name, value in named.items() if name.partition(".")[0] == str(i)}
