"""The network: a chain of layers over one flat vector θ of parameters."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import mechanet.backend
from mechanet import checks, kernels, notebook
from mechanet.layers import Gather, Layer, chain_shapes
from mechanet.losses import loss_from
from mechanet.network import blocks, summary
from mechanet.network import file as network_file


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
        θ and dθ, on the device. ``net.parameters[...] = values`` sets them.
    layers : tuple of Layer
        Bound to this network.
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

    def __init__(self, layers: Sequence[Layer], input_shape, loss="cross_entropy", dtype="float32",
                 device="cpu", seed: int = 0, xp=None):  # fmt: skip
        self.backend = mechanet.backend.resolve(device, xp)
        self.dtype = mechanet.backend.check_dtype(dtype)
        self.seed = checks.integer("seed", seed, 0)
        self.input_shape = checks.shape("input_shape", input_shape)
        self.specification = tuple(_check_layers(layers))
        shapes, self.output_shape = chain_shapes(self.specification, self.input_shape)

        with self.backend.current():
            self._dtype = self.backend.dtype(self.dtype)
            count = sum(math.prod(shape) for _, named in shapes for shape in named.values())
            self.parameters = self.backend.zeros((count,), self._dtype)
            self.gradient = self.backend.zeros((count,), self._dtype)
            self._assemble(shapes)
            self.loss = loss_from(loss).bind(self.backend, self.output_shape[0], self._dtype)
            self._initialize()
            loss = kernels.fused(self.backend, self.loss)
            self.run_loss, self._labels = loss.measure, loss.labels
        trained = [i for i, step in enumerate(self._steps) if step.parameters]
        self._first_trained = trained[0] if trained else len(self._steps)
        made = (layer.output_shape for layer in self.layers if layer.kind not in ("scale", "shape"))
        row = [self.input_shape, *made]
        row_bytes = sum(math.prod(shape) for shape in row) * (8 if self.dtype == "float64" else 4)
        self.block_rows = max(512, self.backend.block_bytes() // row_bytes)

    def _assemble(self, shapes) -> None:
        """Bind the layers to `parameters` and `gradient`; what runs is the same, in fewer steps where it can."""
        self.layers = self._bind(shapes)
        gather = Gather(self._dtype).bind(self.backend, self.input_shape, {}, {})
        self._steps = kernels.steps(self.backend, (gather, *self.layers))
        self._twins: list[Network] = []

    def _bind(self, shapes) -> tuple[Layer, ...]:
        bound, offset = [], 0
        for layer, (input_shape, named) in zip(self.specification, shapes, strict=True):
            parameters, gradients = {}, {}
            for name, shape in named.items():
                end = offset + math.prod(shape)
                parameters[name] = self.xp.reshape(self.parameters[offset:end], shape)
                gradients[name] = self.xp.reshape(self.gradient[offset:end], shape)
                offset = end
            bound.append(layer.bind(self.backend, input_shape, parameters, gradients))
        return tuple(bound)

    def _initialize(self) -> None:
        rng = mechanet.backend.generator(self.seed)
        for layer in self.layers:
            shapes = layer.parameter_shapes(layer.input_shape)
            for name, view in layer.parameters.items():
                view[...] = self.backend.asarray(layer.initial(name, shapes, rng), self._dtype)

    @property
    def xp(self):
        """The array namespace."""
        return self.backend.xp

    @property
    def device(self) -> str:
        """The device, as a string."""
        return self.backend.name

    # The mechanics: device arrays in, device arrays out, nothing checked.

    def run(self, X, rng=None, rows=None) -> tuple[Any, list]:
        """Forward: raw scores Z (m, k), and each step's cache for `run_back`.

        X is an array of the network's device and input shape, of any number type; `rows` are the numbers of the
        rows to run on, all without it; `rng` is given in training.
        """
        A, caches = (X, rows), []
        for step in self._steps:
            A, cache = step.forward(A, rng)
            caches.append(cache)
        return A, caches

    def infer(self, X) -> Any:
        """`run` for predictions: Z (m, k) alone, and nothing kept on the way."""
        A: Any = (X, None)
        for step in self._steps:
            A, _ = step.forward(A, None)
        return A

    def run_back(self, dZ, caches, input_gradient: bool = False):
        """Backward: fill `gradient` from dZ (m, k); return dX with `input_gradient`.

        Without it, the way back ends at the first layer that has parameters: nobody needs what lies before.
        """
        last = 0 if input_gradient else self._first_trained
        for i in range(len(self._steps) - 1, last - 1, -1):
            dZ = self._steps[i].backward(dZ, caches[i], input_gradient or i > last)
        return dZ

    def run_both(self, X, T, c, rng=None, rows=None) -> tuple[Any, Any]:
        """Forward, loss, backward: fill `gradient`; return the loss and the number of correct decisions, both 0-d.

        T holds the rows' targets as `check_targets` gave them, c (m,) their weights, which sum to 1. A regression
        has None in place of correct decisions.
        """
        Z, caches = self.run(X, rng, rows)
        value, dZ, correct = self.run_loss(self.xp, Z, T, c)
        self.run_back(dZ, caches)
        return value, correct

    # The doors: arrays of any library in, checked; results where the input lives.

    def forward(self, x):
        """Raw scores Z (n, k): the network without its link.

        Raises
        ------
        ValueError, TypeError
            If `x` is not a non-empty batch of rows of `input_shape`, or not of numbers.
        """
        with self.backend.current():
            return self.backend.return_like(blocks.scores(self, self.check_inputs(x)), x)

    def predict(self, x):
        """Labels (n,) for a classification, values (n,) or (n, k) for a regression; see `forward` for errors."""
        return self._predict(x, self._labels)

    def predict_proba(self, x):
        """The link applied to the scores: probabilities (n, k) of a classification, values of a regression."""
        return self._predict(x, self.loss.link)

    def _predict(self, x, rule):
        with self.backend.current(f"blocks of {self.block_rows} rows"):
            X = self.check_inputs(x)
            Z = blocks.scores(self, X)
            self.backend.check_scores(Z, X)
            return self.backend.return_like(rule(self.xp, Z), x)

    def evaluate(self, x, y, sample_weight=None) -> dict[str, float]:
        """The mean loss over all rows and, for a classification, the share of correct decisions.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}``; without "accuracy" for a regression.
        """
        with self.backend.current():
            X, T, c = self.check_batch(x, y, sample_weight)
            value, correct = self.measure(X, T, c)
            measured = {"loss": float(value)}
            if self.loss.classifies:
                measured["accuracy"] = float(correct) / (X.shape[0] * self.loss.decisions(self.output_shape[0]))
        return measured

    def loss_and_gradient(self, x, y, sample_weight=None):
        """The mean loss (0-d, on the device) of a batch; fills `gradient`.

        The rows may be many more than a cache holds: they are worked on in blocks, whose gradients add up to the
        same sum. Layers behave as in prediction (no dropout).
        """
        with self.backend.current():
            X, T, c = self.check_batch(x, y, sample_weight)
            return self.accumulate(X, T, c)[0]

    def accumulate(self, X, T, c, rng=None, rows=None) -> tuple[Any, Any]:
        """`run_both` in blocks of rows, whose losses, correct decisions and gradients add up."""
        if T.shape[0] <= self.block_rows:
            return self.run_both(self.backend.asarray(X), T, c, rng, rows)
        return blocks.accumulate(self, X, T, c, rng, rows)

    def measure(self, X, T, c) -> tuple[Any, Any]:
        """The loss and the number of correct decisions over checked rows, in blocks, both 0-d on the device."""
        return blocks.measure(self, X, T, c)

    def twins(self, count: int) -> list["Network"]:
        """Networks of the same θ, each with a dθ of its own, for threads side by side."""
        while len(self._twins) < count:
            twin = object.__new__(type(self))
            vars(twin).update(vars(self))
            twin.gradient = self.xp.zeros_like(self.gradient)
            twin._assemble(chain_shapes(self.specification, self.input_shape)[0])
            self._twins.append(twin)
        return self._twins[:count]

    def blocks(self, rows: int, size: int | None = None) -> Iterator[slice]:
        """Slices of at most `size` rows, or `block_rows`."""
        for start in range(0, rows, size or self.block_rows):
            yield slice(start, min(start + (size or self.block_rows), rows))

    # Checks at the doors.

    def check_inputs(self, x):
        """`x` as an array of the device, or of the host where it came from there, if it fits the network."""
        X = self.backend.ingest(x)
        if X.shape[1:] != self.input_shape or not X.shape[0]:
            checks.rows("x", X, self.input_shape)
        if hasattr(X.dtype, "kind"):
            checks.numeric("x", X)
        return X

    def check_batch(self, x, y, sample_weight=None) -> tuple[Any, Any, Any]:
        """Check x, y and weights; return inputs (where they live), targets and row weights c (on the device)."""
        X = self.check_inputs(x)
        if isinstance(X, mechanet.backend.HostArray):
            checks.finite("x", X)
        T, weights = self.check_targets(y, X, sample_weight)
        if weights is None:
            c = self.xp.full((X.shape[0],), 1.0 / X.shape[0], dtype=self._dtype, device=self.backend.device)
        else:
            c = self.backend.asarray(weights / weights.sum(), self._dtype)
        return X, T, c

    def check_targets(self, y, X, sample_weight=None) -> tuple[Any, Any]:
        """Check targets and weights: targets on the device, weights (n,) float64 on the host or None."""
        y = mechanet.backend.to_host(y)
        if y.ndim == 0:
            raise ValueError(f"expected one target a row in y. Received: y.shape={y.shape}.")
        checks.same_length("x", X, "y", y)
        if sample_weight is not None:
            sample_weight = mechanet.backend.to_host(sample_weight)
        targets, class_weights = self.loss.check_targets(y, self.output_shape[0])
        dtype = None if targets.ndim == 1 else self._dtype
        return self.backend.asarray(targets, dtype), checks.weights(sample_weight, X.shape[0], class_weights)

    # Elsewhere, and on disk.

    def config(self) -> dict:
        """Everything but the parameters, as plain data."""
        return {
            "layers": [layer.config() for layer in self.specification],
            "input_shape": list(self.input_shape),
            "loss": self.loss.config(),
            "dtype": self.dtype,
            "seed": self.seed,
        }

    def to(self, device="cpu", xp=None) -> "Network":
        """A copy on another device, with the same parameters."""
        twin = Network(self.specification, self.input_shape, self.loss, self.dtype, device, self.seed, xp)
        with twin.backend.current():
            twin.parameters[...] = twin.backend.asarray(self.parameters)
        return twin

    def __reduce__(self):
        # For pickle and copy: the numbers travel by the host, and the views are made anew.
        options = (self.specification, self.input_shape, replace(self.loss), self.dtype, self.backend, self.seed)
        return _rebuild, (type(self), options, self.backend.to_host(self.parameters))

    def save(self, path) -> None:
        """Write the network to a safetensors file: whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; what stood there before is left as it was.
        ValueError
            If a layer holds functions of your own, which a file never does.
        """
        network_file.write(self, path)

    def named_parameters(self) -> dict[str, Any]:
        """The parameters on the host, by names such as ``layers.1.W``."""
        return {
            f"layers.{i}.{name}": self.backend.to_host(view)
            for i, layer in enumerate(self.layers)
            for name, view in layer.parameters.items()
        }

    @classmethod
    def load(cls, path, device="cpu", xp=None, *, allow_nonfinite: bool = False) -> "Network":
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


def _rebuild(kind, options, theta) -> Network:
    network = kind(*options)
    with network.backend.current():
        network.parameters[...] = network.backend.asarray(theta)
    return network


def _check_layers(layers) -> Iterator[Layer]:
    if isinstance(layers, Layer):
        raise TypeError("layers expects a list of layers. Received: a single layer. Put it in a list.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            hint = f" Did you mean {layer.__name__}(...)?" if isinstance(layer, type) else ""
            raise TypeError(
                f"layers expects layers such as mechanet.Dense(10). Received: layers[{i}]={layer!r}.{hint}"
            )
        yield layer
