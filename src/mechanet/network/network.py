"""The network: a chain of layers with a loss, and everything a user calls on it."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import mechanet.backend
from mechanet import checks, kernels, notebook
from mechanet.layers import Layer
from mechanet.losses import Loss, loss_from
from mechanet.network import blocks, summary
from mechanet.network import file as network_file
from mechanet.network.batch import check_batch, check_inputs
from mechanet.network.chain import Chain
from mechanet.types import Array


class _Vector:
    """A vector of the chain as an attribute of its network: it is written into, never replaced."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, network: Any, kind: type | None = None) -> Any:
        return self if network is None else getattr(network.chain, self.name)

    def __set__(self, network: Any, value: Any) -> None:
        if value is not getattr(network.chain, self.name):  # as it is after `net.parameters += …`
            way = "net.set_parameters(values) or " if self.name == "parameters" else ""
            raise AttributeError(
                f"net.{self.name} is one vector that the layers see: it is written into, not replaced. "
                f"Use {way}net.{self.name}[...] = values."
            )


def _of_chain(name: str) -> Any:
    """A read-only attribute of a network that is one of its chain."""
    return property(attrgetter(f"_chain.{name}"))


class Network:
    """A chain of layers with a loss.

    θ, all parameters, is one contiguous vector, and dθ another of the same length: layer by layer W, row by row,
    and then b. The layers see theirs as views.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the raw scores Z; the loss brings the last activation (softmax, sigmoid) itself. The
        layers are copied: the same list can make several networks.
    input_shape : tuple of int
        The shape of one row of x, for example (784,).
    loss : str or Loss
        ``"cross_entropy"``, ``"binary_cross_entropy"``, ``"squared_error"``, ``"huber"``, or a loss with options.
    dtype : {"float32", "float64"}
        What the network computes in.
    device : {"cpu", "cuda", "cuda:N", "auto"}
        Where it computes.
    seed : int
        The same seed gives the same first parameters on every device.
    xp : module, optional
        An explicit array namespace such as ``array_api_strict`` or ``torch``, in place of a device's own.

    Attributes
    ----------
    parameters, gradient : array (p,)
        θ and dθ, on the device. ``net.parameters[...] = values`` or `set_parameters` sets them.
    statistics : array (s,)
        What layers track and do not train.
    layers : tuple of Layer
        Bound to this network.
    chain : Chain
        The mechanics: forward and backward on arrays of the device, nothing checked.
    loss, dtype, device, xp, input_shape, output_shape
        As given, resolved.

    Examples
    --------
    >>> import mechanet as mn
    >>> net = mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(2)], input_shape=(4,), seed=0)
    >>> net.parameters.shape
    (23,)
    >>> net.forward([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 2)
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Any, loss: str | Loss = "cross_entropy",
                 dtype: Any = "float32", device: Any = "cpu", seed: int = 0, xp: Any = None) -> None:  # fmt: skip
        backend = mechanet.backend.resolve(device, xp)
        input_shape = checks.shape("input_shape", input_shape)
        dtype = mechanet.backend.check_dtype(dtype)
        self._seed = checks.integer("seed", seed, 0)
        with backend.current():
            self._chain = Chain(tuple(_check_layers(layers)), input_shape, backend, dtype)
            self._loss = loss_from(loss)
            bound = self.loss.bind(backend, self.output_shape[0], self.chain.array_dtype)
            self.bound_loss = kernels.fused(backend, bound)
            self.chain.initialize(mechanet.backend.generator(self.seed))

    # Arrays of any library in, checked; results where the input lives.

    def forward(self, x: Any) -> Any:
        """Raw scores Z (n, k): the network without its link.

        Raises
        ------
        ValueError, TypeError
            If `x` is not a non-empty batch of rows of `input_shape`, or not of numbers.
        """
        with self.backend.current():
            return self.backend.return_like(blocks.scores(self.chain, check_inputs(self.chain, x)), x)

    def predict(self, x: Any) -> Any:
        """Labels (n,) for a classification, values (n,) or (n, k) for a regression; see `forward` for errors."""
        return self._predict(x, self.bound_loss.labels)

    def predict_proba(self, x: Any) -> Any:
        """The link applied to the scores: probabilities (n, k) of a classification, values of a regression."""
        return self._predict(x, self.loss.link)

    def _predict(self, x: Any, rule: Any) -> Any:
        with self.backend.current(f"blocks of {self.chain.block_rows} rows"):
            X = check_inputs(self.chain, x)
            Z = blocks.scores(self.chain, X)
            self.backend.check_scores(Z, X)
            return self.backend.return_like(rule(self.xp, Z), x)

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """The mean loss over all rows and, for a classification, the share of correct predictions.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}``; without "accuracy" for a regression.
        """
        with self.backend.current():
            batch = check_batch(self.chain, self.loss, x, y, sample_weight)
            value, correct = blocks.loss_and_correct(self.chain, self.bound_loss, batch)
            measured = {"loss": float(value)}
            if self.loss.classifies:
                measured["accuracy"] = float(correct) / (batch.size * self.decisions)
        return measured

    def loss_and_gradient(self, x: Any, y: Any, sample_weight: Any = None) -> Array:
        """The mean loss (0-d, on the device) of a batch; fills `gradient`.

        The rows may be many more than a cache holds: they are worked on in blocks, whose gradients add up to the
        same sum. Layers behave as in prediction (no dropout).
        """
        with self.backend.current():
            batch = check_batch(self.chain, self.loss, x, y, sample_weight)
            return blocks.loss_and_gradient(self.chain, self.bound_loss, batch)[0]

    # Its numbers and its parts.

    parameters, gradient, statistics = _Vector("parameters"), _Vector("gradient"), _Vector("statistics")
    chain, loss, seed = (
        property(attrgetter("_chain")),
        property(attrgetter("_loss")),
        property(attrgetter("_seed")),
    )
    layers, backend, xp = _of_chain("layers"), _of_chain("backend"), _of_chain("xp")
    device, dtype = _of_chain("backend.name"), _of_chain("dtype")
    input_shape, output_shape = _of_chain("input_shape"), _of_chain("output_shape")

    def set_parameters(self, theta: Any) -> None:
        """Copy `theta` (p,), an array of any library, into θ; ValueError if it has another shape."""
        theta = mechanet.backend.to_host(theta)
        if theta.shape != tuple(self.parameters.shape):
            raise ValueError(f"expected theta of shape {tuple(self.parameters.shape)}. Received: {theta.shape}.")
        with self.backend.current():
            self.parameters[...] = self.backend.asarray(theta, self.chain.array_dtype)

    @property
    def decisions(self) -> int:
        """Predictions per row, over which accuracy is averaged."""
        return self.loss.decisions(self.output_shape[0])

    # On another device, and on disk.

    def config(self) -> dict[str, Any]:
        """Everything but the parameters, as plain data."""
        return {
            "layers": [layer.config() for layer in self.chain.specification],
            "input_shape": list(self.input_shape),
            "loss": self.loss.config(),
            "dtype": self.dtype,
            "seed": self.seed,
        }

    def to(self, device: Any = "cpu", xp: Any = None, *, dtype: str | None = None) -> "Network":
        """A copy with the same parameters, on another device or in another data type."""
        dtype = dtype or self.dtype
        copy = Network(self.chain.specification, self.input_shape, self.loss, dtype, device, self.seed, xp)
        with copy.backend.current():
            copy.chain.learned[...] = copy.backend.asarray(self.chain.learned, copy.chain.array_dtype)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        # For pickle and copy: the numbers travel by the host, and the views are made anew.
        options = (
            self.chain.specification, self.input_shape, self.loss, self.dtype, self.backend, self.seed,
        )  # fmt: skip
        return _rebuild, (type(self), options, self.backend.to_host(self.chain.learned))

    def save(self, path: str | Path) -> None:
        """Write the network to a safetensors file: whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; what stood there before is left as it was.
        ValueError
            If a layer holds functions of your own, which a file never does.
        """
        network_file.write(self, path)

    def named_arrays(self) -> dict[str, Any]:
        """Parameters and statistics on the host, by names such as ``layers.1.W``."""
        return {
            f"layers.{i}.{name}": self.backend.to_host(view)
            for i, layer in enumerate(self.layers)
            for name, view in (layer.parameters | layer.statistics).items()
        }

    @classmethod
    def load(cls, path: str | Path, device: Any = "cpu", xp: Any = None, *,
             allow_nonfinite: bool = False) -> "Network":  # fmt: skip
        """Read a network that `save` wrote.

        Parameters
        ----------
        path : str or path
            The file. It is data only: nothing in it is run or imported.
        device, xp
            As for `Network`.
        allow_nonfinite : bool
            Accept NaN and infinite parameters.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a whole, sound network of a version this release knows.
        """
        return network_file.read(cls, path, device, xp, allow_nonfinite)

    def summary(self) -> str:
        """A table of the layers: output shapes, numbers of parameters and formulas."""
        return summary.table(self)

    def __repr__(self) -> str:
        return summary.line(self)

    def _repr_html_(self) -> str:
        return notebook.network_card(self)


def _rebuild(kind: type[Network], options: tuple[Any, ...], learned: Any) -> Network:
    network = kind(*options)
    with network.backend.current():
        network.chain.learned[...] = network.backend.asarray(learned)
    return network


def _check_layers(layers: Any) -> Iterator[Layer]:
    if isinstance(layers, Layer):
        raise TypeError("layers expects a list of layers. Received: a single layer. Put it in a list.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            hint = f" Did you mean {layer.__name__}(...)?" if isinstance(layer, type) else ""
            raise TypeError(
                f"layers expects layers such as mechanet.Dense(10). Received: layers[{i}]={layer!r}.{hint}"
            )
        yield layer
