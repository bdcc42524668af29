"""The chain: layers bound to flat vectors, and the steps that run them, forward and back."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import mechanet.backend
from mechanet import kernels
from mechanet.backend import Backend
from mechanet.layers import Dense, Gather, Layer, Parameter, Pass, Views, chain_shapes
from mechanet.types import Array

FIGURES = 2  # at the end of `sums`: the loss and the number of correct predictions
PRODUCT_ROWS = 512  # from which on products are at their fastest: worth half as much memory again, and no more


class Chain:
    """Layers bound to views of θ and dθ. Device arrays in and out; nothing is checked.

    This is the only place that knows where a vector holds what.

    Attributes
    ----------
    layers : tuple of Layer
        Bound to the vectors.
    steps : tuple
        What runs: the gathering of a batch's rows, then the layers, fused where the backend has kernels for them.
    learned : array (p + s,)
        All that a network has learned: θ, its `parameters` (p,), and then its `statistics` (s,).
    sums : array (p + s + 2,)
        All that adds up over the parts of a batch: dθ, the `gradient` (p,); what was `observed` (s,) of the
        statistics; and room for the loss and the number of correct predictions.
    work : float
        Operations of the largest product, for one row.
    block_rows : int
        How many rows are best worked on at a time: as many as stay in a CPU's cache, or fit a device.
    """

    def forward(self, X: Array, rows: Array = None, training: Pass | None = None) -> tuple[Array, list[Any]]:
        """Raw scores Z (m, k), and each step's cache for `backward`.

        X is an array of the chain's device and input shape, of any number type; `rows` are the numbers of the
        rows to run on, all without it; `training` is given in training.
        """
        A, caches = (X, rows), []
        for step in self.steps:
            A, cache = step.forward(A, training)
            caches.append(cache)
        return A, caches

    def backward(self, dZ: Array, caches: list[Any], to_input: bool = False) -> Array:
        """Fill `gradient` and `observed` from dZ (m, k), which is left as it is; return dX with `to_input`.

        Without `to_input` it stops at the first layer that learns; gradients before it are not needed.
        """
        if self._copies_dZ:
            dZ = dZ + 0.0
        last = 0 if to_input else self._first
        for i in range(len(self.steps) - 1, last - 1, -1):
            dZ = self.steps[i].backward(dZ, caches[i], to_input or i > last)
        return dZ

    def scores(self, X: Array) -> Array:
        """Raw scores Z (m, k), without caches: a prediction."""
        A: Any = (X, None)
        for step in self.steps:
            A, _ = step.forward(A, None)
        return A

    # How it is made.

    def __init__(self, specification: Sequence[Layer], input_shape: tuple[int, ...], backend: Backend,
                 dtype: str, learned: Array = None) -> None:  # fmt: skip
        self.specification, self.input_shape = tuple(specification), input_shape
        self.backend, self.xp, self.dtype = backend, backend.xp, dtype
        self.array_dtype = backend.dtype(dtype)
        shapes, self.output_shape = chain_shapes(self.specification, input_shape)
        if len(self.output_shape) != 1:
            raise ValueError(
                "the last layer expects to give rows of shape (k,), one score an output. "
                f"Received: rows of shape {self.output_shape}. Put a Flatten() at the end."
            )
        pairs = list(zip(self.specification, shapes, strict=True))
        self.declared = [layer.parameters_for(shape) for layer, shape in pairs]
        tracked = [layer.statistics_for(shape) for layer, shape in pairs]
        p, s = _length(self.declared), _length(tracked)
        self.learned = backend.zeros((p + s,), self.array_dtype) if learned is None else learned
        self.sums = backend.zeros((p + s + FIGURES,), self.array_dtype)
        self.parameters, self.statistics = self.learned[:p], self.learned[p:]
        self.gradient, self.observed = self.sums[:p], self.sums[p : p + s]
        self.share = self._each(tracked, lambda statistic: statistic.share) if s else None

        views = zip(
            self.views(self.parameters), self.views(self.gradient),
            _views(self.xp, tracked, self.statistics), _views(self.xp, tracked, self.observed), strict=True,
        )  # fmt: skip
        self.layers = tuple(
            layer.bind(backend, shape, Views(*view), i)
            for i, ((layer, shape), view) in enumerate(zip(pairs, views, strict=True))
        )
        gather = Gather(self.array_dtype).bind(backend, input_shape, Views({}, {}, {}, {}))
        self.steps = kernels.steps(backend, (gather, *self.layers))
        learns = [i for i, step in enumerate(self.steps) if step.parameters or step.statistics]
        self._first = learns[0] if learns else len(self.steps)
        # The dX of a Dense is a new array: only a chain that ends with something else can overwrite dZ itself.
        ends_with_dense = bool(self.layers) and type(self.layers[-1]) is Dense
        self._copies_dZ = not ends_with_dense and any(step.overwrites for step in self.steps)

        self.work = max((layer.work() for layer in self.layers), default=0.0)
        numbers = math.prod(input_shape) + sum(layer.numbers() for layer in self.layers)
        fit = max(1, backend.block_bytes() // (numbers * (8 if dtype == "float64" else 4)))
        self.block_rows = max(fit, min(PRODUCT_ROWS, 3 * fit // 2))
        self._replicas: list[Chain] = []

    def initialize(self, rng: Any) -> None:
        """Draw the first parameters from the host generator `rng`, and put the statistics at their start."""
        for layer, declared in zip(self.layers, self.declared, strict=True):
            for name, (shape, initializer, fans, _) in declared.items():
                layer.parameters[name][...] = self.backend.asarray(
                    initializer(rng, shape, *fans), self.array_dtype
                )
            for name, statistic in layer.statistics_for(layer.input_shape).items():
                layer.statistics[name][...] = statistic.first

    def replicas(self, count: int) -> list["Chain"]:
        """Chains of the same θ and statistics, each with sums of its own, for threads that run in parallel."""
        while len(self._replicas) < count:
            replica = Chain(self.specification, self.input_shape, self.backend, self.dtype, self.learned)
            replica.block_rows = self.block_rows
            self._replicas.append(replica)
        return self._replicas[:count]

    # Where a vector holds what.

    def views(self, vector: Array) -> list[dict[str, Array]]:
        """Views of a vector as long as θ, of this device or of the host: for each layer its parts, by name."""
        return _views(mechanet.backend.backend_of(vector).xp, self.declared, vector)

    def spread(self, number: Callable[[Parameter], float]) -> Array:
        """A vector as long as θ, which holds the `number` of each parameter where θ holds the parameter."""
        return self._each(self.declared, number)

    def _each(self, declared: list[dict[str, Any]], number: Callable[[Any], float]) -> Array:
        vector = self.backend.zeros((_length(declared),), self.array_dtype)
        for named, views in zip(declared, _views(self.xp, declared, vector), strict=True):
            for name, each in named.items():
                views[name][...] = number(each)
        return vector


def _length(declared: list[dict[str, Any]]) -> int:
    return sum(math.prod(each.shape) for named in declared for each in named.values())


def _views(xp: Any, declared: list[dict[str, Any]], vector: Array) -> list[dict[str, Array]]:
    found: list[dict[str, Array]] = []
    end = 0
    for named in declared:
        found.append({})
        for name, each in named.items():
            start, end = end, end + math.prod(each.shape)
            found[-1][name] = xp.reshape(vector[start:end], each.shape)
    return found
