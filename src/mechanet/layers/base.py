"""What all layers share: what a layer trains and what it tracks, how it is bound, and the shapes of a chain."""

import copy
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import mechanet.backend
from mechanet.initializers import Initializer
from mechanet.registry import Family, Named
from mechanet.types import Array

Shape = tuple[int, ...]


class Parameter(NamedTuple):
    """What a layer trains: a part of θ.

    Attributes
    ----------
    shape : tuple of int
    initializer : Initializer
        Draws the first values.
    fans : (int, int)
        n_in and n_out, for the initializer.
    decays : bool
        Whether weight decay acts on it: on weights, not on biases.
    """

    shape: Shape
    initializer: Initializer
    fans: tuple[int, int]
    decays: bool = True


class Statistic(NamedTuple):
    """What a layer tracks and does not train, such as a running mean.

    After each step s ← s + share (observed - s), where `observed` is what the layer saw in the batch.

    Attributes
    ----------
    shape : tuple of int
    first : float
        The first value of every entry.
    share : float in [0, 1]
        What the newest batch counts for.
    """

    shape: Shape
    first: float = 0.0
    share: float = 0.1


class Views(NamedTuple):
    """A layer's parts of the four vectors of a chain, by name."""

    parameters: dict[str, Array]
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    observed: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward in training; a prediction has None in its place.

    What is drawn is a function of (seed, epoch, step), of the layer, and of a row's place in the batch, and of
    nothing else: any number of blocks, threads, processes or devices draws the same numbers. Drawing costs only
    the layers that draw.

    Attributes
    ----------
    seed, epoch, step : int
        Which step of which training; epoch and step are counted from 1.
    first : int
        The place in the batch of the first row.
    """

    seed: int
    epoch: int = 1
    step: int = 1
    first: int = 0

    def block(self, first: int) -> "Pass":
        """The pass of the rows from number `first` on."""
        return Pass(self.seed, self.epoch, self.step, self.first + first)

    def uniform(self, layer: "Layer", shape: Shape) -> Array:
        """Draw from U[0, 1) for `layer`: float32, of `shape` (m, ...), on the host.

        References
        ----------
        Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3 (Philox), section 2.
        """
        return mechanet.backend.uniform(self.seed, (self.step, self.epoch, layer.number), self.first, shape)


class Layer(Named):
    """What all layers share. A new layer overrides what differs; one without parameters needs only two methods.

    A layer is a dataclass: its fields are its options, and what `config` writes down (one of your own wants
    `mechanet.register` for that). It has two lives. As it is made it is these options alone. A network binds a
    copy of it to an array namespace and to views into its vectors: only the copy has the attributes below, and
    can run.

    Attributes
    ----------
    xp, backend
        The array namespace and what belongs to it.
    parameters, gradients : dict from name to array
        Views into θ and dθ; also attributes of the layer: W and dW, b and db.
    statistics, observed : dict from name to array
        What the layer tracks, and what a batch showed of it; also attributes: mean and observed_mean.
    input_shape, output_shape : tuple of int
        Shapes of a row.
    number : int
        Tells the layer's draws from those of the others.
    """

    family: ClassVar[Family] = Family("layer", key="layer")
    backend: Any
    xp: Any
    input_shape: Shape
    output_shape: Shape
    parameters: dict[str, Array]
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    observed: dict[str, Array]
    number: int

    formula: ClassVar[str] = ""
    symbols: ClassVar[tuple[str, str]] = ("X", "A")  # of the input and the output, where they are shown
    overwrites: ClassVar[bool] = False  # whether backward writes into its dA

    def output_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of a row of the output, for rows of `input_shape`."""
        return input_shape

    def parameters_for(self, input_shape: Shape) -> dict[str, Parameter]:
        """What the layer trains, by name, in the order in which θ holds it."""
        return {}

    def statistics_for(self, input_shape: Shape) -> dict[str, Statistic]:
        """What the layer tracks, by name."""
        return {}

    def bind(self, backend: Any, input_shape: Shape, views: Views, number: int = 0) -> "Layer":
        """A copy that computes on `backend` and sees its parts of the vectors through `views`."""
        bound = copy.copy(self)
        bound.backend, bound.xp, bound.number = backend, backend.xp, number
        bound.input_shape, bound.output_shape = input_shape, self.output_shape_for(input_shape)
        bound.parameters, bound.gradients, bound.statistics, bound.observed = views
        for prefix, named in (("", views.parameters), ("d", views.gradients), ("", views.statistics),
                              ("observed_", views.observed)):  # fmt: skip
            for name, view in named.items():
                setattr(bound, prefix + name, view)
        return bound

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Any]:
        """Return the output and the cache that `backward` needs.

        X belongs to the caller, and is left as it is. `training` is given in a training; from it a layer may draw.
        Nothing is written onto the layer: forwards may run side by side.
        """
        raise NotImplementedError

    def backward(self, dA: Array, cache: Any, input_gradient: bool = True) -> Array:
        """Fill the gradients of the parameters and return dX (None without `input_gradient`).

        A layer with statistics also fills `observed`. dA = dL/dA belongs to the caller, and is left as it is
        unless the class says that it `overwrites`: a chain then gives it only what nobody else reads.
        """
        raise NotImplementedError

    def work(self) -> float:
        """Operations of the layer's largest product, for one row."""
        largest = max((math.prod(view.shape) for view in self.parameters.values()), default=0)
        return 2.0 * largest * math.prod(self.output_shape[:-1])

    def numbers(self) -> int:
        """How many numbers a forward makes for one row."""
        return math.prod(self.output_shape)


def chain_shapes(layers: Any, input_shape: Shape) -> tuple[list[Shape], Shape]:
    """The shape of a row of each layer's input, and of the last output."""
    shapes = []
    for layer in layers:
        shapes.append(input_shape)
        input_shape = layer.output_shape_for(input_shape)
    return shapes, input_shape
