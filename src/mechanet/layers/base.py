"""What all layers share, and the shapes of a chain of them."""

import copy
from typing import Any, ClassVar

from mechanet.registry import Family, Named


class Layer(Named):
    """What all layers share. A new layer overrides what differs; one without parameters needs only two methods.

    A layer is a dataclass: its fields are its options, and what `config` writes down (one of your own wants
    `mechanet.register` for that).

    Attributes
    ----------
    xp, backend
        The array namespace and what belongs to it, once bound.
    parameters, gradients : dict from name to array
        Views into θ and dθ, once bound; also attributes of the layer: W and dW, b and db.
    input_shape, output_shape : tuple of int
        Shapes of a row, once bound.
    """

    family: ClassVar[Family] = Family("layer", key="layer")
    backend: Any
    xp: Any
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: dict[str, Any]
    gradients: dict[str, Any]

    kind: ClassVar[str] = "layer"  # "dense", "activation", "regularizer" or "shape", for those who draw it
    formula: ClassVar[str] = ""

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a row of the output, for rows of `input_shape`."""
        return input_shape

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters, in the order in which θ holds them."""
        return {}

    def initial(self, name: str, shapes: dict[str, tuple[int, ...]], rng) -> Any:
        """The first values of parameter `name` of those in `shapes`, drawn from the host generator `rng`."""
        raise NotImplementedError

    def bind(self, backend, input_shape, parameters: dict[str, Any], gradients: dict[str, Any]) -> "Layer":
        """A copy that computes on `backend` and sees its parameters and gradients through the given views."""
        bound = copy.copy(self)
        bound.backend, bound.xp = backend, backend.xp
        bound.input_shape, bound.output_shape = input_shape, self.output_shape_for(input_shape)
        bound.parameters, bound.gradients = parameters, gradients
        for name, view in parameters.items():
            setattr(bound, name, view)
            setattr(bound, "d" + name, gradients[name])
        return bound

    def forward(self, X, rng=None):
        """Return the output and the cache that `backward` needs; `rng` is given in training only."""
        raise NotImplementedError

    def backward(self, dA, cache, input_gradient: bool = True):
        """Fill the gradients of the parameters and return dX (None without `input_gradient`)."""
        raise NotImplementedError


def chain_shapes(layers, input_shape) -> tuple[list, tuple[int, ...]]:
    """For each layer its input shape and the shapes of its parameters; and the shape of the last output."""
    shapes, row_shape = [], input_shape
    for layer in layers:
        shapes.append((row_shape, layer.parameter_shapes(row_shape)))
        row_shape = layer.output_shape_for(row_shape)
    if len(row_shape) != 1:
        raise ValueError(
            "the last layer expects to give rows of shape (k,), one score an output. "
            f"Received: rows of shape {row_shape}. Put a Flatten() at the end."
        )
    return shapes, row_shape
