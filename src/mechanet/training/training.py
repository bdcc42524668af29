"""Training: an iterator of epochs. Leave the loop to stop; run it on to go on."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mechanet.backend
from mechanet import checks, kernels
from mechanet.network import Network
from mechanet.network import file as network_file
from mechanet.optimizers import Optimizer, clip, optimizer_from
from mechanet.schedules import Schedule, schedule_from
from mechanet.training import state as training_state
from mechanet.training.batches import batches_from
from mechanet.training.divergence import DivergenceError
from mechanet.training.history import Epoch, History

MONITORS = ("loss", "accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when `monitor` has not become better, by more than `min_delta`, for `patience` epochs.

    With `restore_best` the network ends with the parameters of its best epoch, whether it stopped early or not.

    References
    ----------
    Prechelt (1998), Early stopping, but when?
    """

    patience: int = 10
    min_delta: float = 0.0
    monitor: str = "validation_loss"
    restore_best: bool = True

    def __post_init__(self):
        checks.integer("patience", self.patience)
        checks.real("min_delta", self.min_delta, 0.0)
        checks.one_of("monitor", self.monitor, MONITORS)

    def better(self, value: float, best: float | None) -> bool:
        """Whether `value` improves on `best`: lower for a loss, higher for an accuracy."""
        if best is None:
            return True
        gain = best - value if self.monitor.endswith("loss") else value - best
        return gain > self.min_delta


class Training:
    """Trains a network, epoch by epoch.

    Parameters
    ----------
    network : Network
        Trained in place.
    x, y : array-like
        Rows and targets, of any array library; x may be a memory map, or bytes that the network scales. Or, with
        y left out, x is an iterable of batches (x, y) or (x, y, sample_weight), or a function that returns one.
    optimizer : str or Optimizer
        ``"sgd"``, ``"rmsprop"``, ``"adam"``, ``"adamw"``, or one with options, such as ``Adam(1e-3)``.
    batch_size : int or None
        Rows a step; None is full batch, worked on in blocks. An epoch's last, shorter batch is used.
    validation : (x, y) or (x, y, sample_weight), optional
        Measured after each epoch, never trained on.
    schedule : str or Schedule, optional
        The learning rate's factor over the planned epochs.
    gradient_clip : float, optional
        The largest norm of dθ; a longer gradient is shortened to it (Pascanu et al. 2013, algorithm 1).
    early_stopping : int, EarlyStopping or mapping of its options, optional
        An integer is the patience.
    sample_weight : array (n,), optional
        Weights of the rows.
    shuffle : bool
        Draw a new order each epoch.
    seed : int
        Order and dropout masks are functions of the seed and the epoch.
    threads : int, "auto" or None
        Threads of NumPy's BLAS during an epoch; afterwards it has what it had. ``"auto"`` takes one for small
        products, where more would cost more than they give, and never more than it had. None leaves it alone.

    Attributes
    ----------
    network, optimizer, schedule, history
    epoch, step : int
        Epochs done, and steps done within the one that is under way.

    Examples
    --------
    >>> import mechanet as mn
    >>> net = mn.Network([mn.Dense(8), mn.Tanh(), mn.Dense(1)], input_shape=(2,), loss="binary_cross_entropy")
    >>> training = mn.Training(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], optimizer=mn.Adam(0.1))
    >>> for epoch in training.epochs(100):
    ...     pass
    >>> net.predict([[0, 0], [0, 1], [1, 0], [1, 1]]).tolist()
    [0, 1, 1, 0]
    """

    def __init__(self, network: Network, x, y=None, *, optimizer: str | Optimizer = "adam",
                 batch_size: int | None = 128, validation=None, schedule: str | Schedule | None = None,
                 gradient_clip: float | None = None, early_stopping: int | Mapping | EarlyStopping | None = None,
                 sample_weight=None, shuffle: bool = True, seed: int = 0,
                 threads: int | str | None = "auto"):  # fmt: skip
        self.network = network
        self.optimizer = optimizer_from(optimizer)
        self.schedule = schedule_from(schedule)
        self.seed = checks.integer("seed", seed, 0)
        self.threads = threads if threads in ("auto", None) else checks.integer("threads", threads)
        self.gradient_clip = None
        if gradient_clip is not None:
            self.gradient_clip = checks.real("gradient_clip", gradient_clip, 0.0, open_low=True)
        if isinstance(early_stopping, Mapping):
            early_stopping = EarlyStopping(**early_stopping)
        if isinstance(early_stopping, int):
            early_stopping = EarlyStopping(checks.integer("early_stopping", early_stopping))
        self.early_stopping = early_stopping
        if early_stopping and early_stopping.monitor.startswith("validation") and validation is None:
            raise ValueError(
                f"early_stopping expects validation=(x, y), since it watches {early_stopping.monitor}. "
                'Received: validation=None. Pass it, or EarlyStopping(monitor="loss").'
            )
        if early_stopping and early_stopping.monitor.endswith("accuracy") and not network.loss.classifies:
            raise ValueError(
                f"early_stopping expects a loss to watch in a regression. Received: {early_stopping.monitor!r}."
            )

        with network.backend.current("the data and the optimizer's vectors"):
            self.batches = batches_from(network, x, y, sample_weight, batch_size, shuffle, self.seed)
            self.validation = None if validation is None else self._check_validation(*validation)
            zeros = network.xp.zeros_like
            self.state = {name: zeros(network.parameters) for name in self.optimizer.vectors}
            self._decay = self._decay_vector() if self.optimizer.weight_decay else None
            self._epoch_start = zeros(network.parameters)
            self._best: Any = None
        self._stepper = kernels.fused(network.backend, self.optimizer)
        self._clip = kernels.fused(network.backend, clip)
        self._draws = any(layer.kind == "regularizer" for layer in network.layers)
        self.history = History()

        # Where the training is: together with the vectors, all that a saved state holds.
        self.epoch = 0
        self.step = 0
        self.seen = 0
        self.updates = 0
        self._rate = self.optimizer.learning_rate
        self.planned = 0
        self.best_value: float | None = None
        self.best_epoch = 0
        self.waited = 0
        self.stopped_early = False
        self._stop = False
        self._values: list[Any] = []
        self._weights: list[float] = []
        self._correct: list[Any] = []

    def _check_validation(self, x, y, sample_weight=None):
        X, T, c = self.network.check_batch(x, y, sample_weight)
        backend = self.network.backend
        on_host = isinstance(X, mechanet.backend.HostArray)
        return (backend.asarray(X) if on_host and backend.fits(X.nbytes) else X), T, c

    def _decay_vector(self):
        """λ where θ holds a weight, 0 where it holds a bias."""
        net = self.network
        parts = [
            net.xp.full((math.prod(view.shape),), self.optimizer.weight_decay if name != "b" else 0.0,
                        dtype=net.parameters.dtype, device=net.backend.device)
            for layer in net.layers for name, view in layer.parameters.items()
        ]  # fmt: skip
        return net.xp.concat(parts, axis=0)

    def epochs(
        self, count: int | None = None, on_step: Callable[["Training"], None] | None = None
    ) -> Iterator[Epoch]:
        """Train for `count` more epochs, giving each when it is done.

        Parameters
        ----------
        count : int, optional
            Epochs from now on; schedules run over all epochs planned. Without it, up to the number planned
            before: that is how a resumed training goes on.
        on_step : callable, optional
            Called with the training after each step; it may `save`, look at the network, or call `stop`.

        Raises
        ------
        DivergenceError
            When the loss or the parameters of an epoch are not finite; the network then holds the parameters
            from before that epoch.
        """
        if count is not None:
            self.planned = self.epoch + checks.integer("epochs", count)
            self.stopped_early = False
        self._stop = False
        while self.epoch < self.planned and not self.stopped_early:
            backend, work = self.network.backend, f"batch_size={self.batches.batch_size}"
            with backend.current(work), backend.threads(self.threads, self.network, self.batches.batch_size):
                epoch = self._train_epoch(on_step)
            if epoch is None:
                return
            yield epoch
        if self._best is not None and self.early_stopping and self.early_stopping.restore_best:
            self.network.parameters[...] = self._best

    def stop(self) -> None:
        """From `on_step`: end `epochs` after this step. `epochs()` takes up the same epoch where it was left."""
        self._stop = True

    def _train_epoch(self, on_step) -> Epoch | None:
        net, started = self.network, time.perf_counter()
        if self.step == 0:
            self._epoch_start[...] = net.parameters
            self._values, self._weights, self._correct, self.seen = [], [], [], 0
        for batch in self.batches.epoch(self.epoch + 1, self.step):
            value, correct = net.accumulate(batch.X, batch.T, batch.c, self._masks(), batch.rows)
            value = self.penalize(value, batch.weight)
            self._update()
            self._values.append(value)
            self._weights.append(batch.weight)
            if correct is not None:
                self._correct.append(correct)
            self.step += 1
            self.seen += batch.T.shape[0]
            if on_step is not None:
                on_step(self)
                if self._stop:
                    return None
        return self._finish_epoch(started)

    def penalize(self, value, weight: float):
        """For a subclass: the loss `value` of a batch of `weight` with a penalty, whose gradient it sees to."""
        return value

    def _masks(self):
        """The generator of this step's dropout masks: a function of (seed, epoch, step)."""
        return mechanet.backend.generator(self.seed, self.epoch + 1, self.step + 1) if self._draws else None

    def _update(self) -> None:
        net = self.network
        self.updates += 1
        self._rate = self.learning_rate()
        if self.gradient_clip is not None:
            self._clip(net.xp, net.gradient, self.gradient_clip)
        self._stepper.step(net.xp, net.parameters, net.gradient, self.state, self._rate, self.updates, self._decay)

    def learning_rate(self) -> float:
        """α of the step under way: the optimizer's rate times the schedule's factor.

        Where the number of batches is not known before, progress is counted in whole epochs.
        """
        steps = len(self.batches) or 1
        done = self.epoch * steps + (self.step if len(self.batches) else 0)
        progress = min(done / max(self.planned * steps - 1, 1), 1.0)
        return self.optimizer.learning_rate * self.schedule(progress)

    def _finish_epoch(self, started: float) -> Epoch:
        net, xp = self.network, self.network.xp
        rate = self._rate
        measured = [xp.all(xp.isfinite(net.parameters)), xp.maximum(xp.max(net.gradient), -xp.min(net.gradient))]
        if net.loss.classifies:
            measured.append(xp.sum(xp.stack(self._correct)))
        if self.validation is not None:
            measured.extend(m for m in net.measure(*self.validation) if m is not None)
        scalars = [xp.astype(xp.asarray(m, device=net.backend.device), xp.float64) for m in measured]
        # The one transfer of an epoch: all that was measured on the device comes over together.
        losses = xp.astype(xp.stack(self._values), xp.float64)
        read = net.backend.to_host(xp.concat([losses, xp.stack(scalars)]))
        values, (finite, largest, *rest) = read[: len(self._values)], read[len(self._values) :].tolist()
        weights = mechanet.backend.to_host(self._weights)
        loss = float((values * weights).sum() / weights.sum())
        number = self.epoch + 1
        if not (finite and math.isfinite(loss)):
            self._diverged(number, rate, largest)

        accuracy = validation_loss = validation_accuracy = None
        decisions = net.loss.decisions(net.output_shape[0])
        if net.loss.classifies:
            accuracy = rest.pop(0) / (self.seen * decisions)
        if self.validation is not None:
            validation_loss = rest[0]
            if net.loss.classifies:
                validation_accuracy = rest[1] / (self.validation[0].shape[0] * decisions)
        seconds = time.perf_counter() - started
        epoch = Epoch(number, loss, accuracy, validation_loss, validation_accuracy, rate, seconds)
        self.history.append(epoch)
        self.epoch, self.step = number, 0
        if self.early_stopping is not None:
            self._watch(epoch, self.early_stopping)
        return epoch

    def _diverged(self, number: int, rate: float, largest: float):
        net = self.network
        net.parameters[...] = self._epoch_start
        self.step = 0
        raise DivergenceError(
            f"the training diverged in epoch {number}: the loss or the parameters are not finite "
            f"(learning rate {rate:g}, largest gradient {largest:g}). The network holds the parameters "
            "from before that epoch. Try a lower learning rate, gradient_clip=1.0, or data scaled to [-1, 1].",
            number, rate, largest,
        )  # fmt: skip

    def _watch(self, epoch: Epoch, rule: EarlyStopping) -> None:
        value = getattr(epoch, rule.monitor)
        if rule.better(value, self.best_value):
            self.best_value, self.best_epoch, self.waited = value, epoch.number, 0
            if self._best is None:
                self._best = self.network.xp.zeros_like(self.network.parameters)
            self._best[...] = self.network.parameters
        else:
            self.waited += 1
            self.stopped_early = self.waited >= rule.patience

    def save(self, path) -> None:
        """Write the state of the training to a file, whole or not at all; `resume` goes on from it.

        May be called between epochs, or from `on_step` between two steps. The data is not part of it.

        Raises
        ------
        OSError
            If the file cannot be written; what stood there before is left as it was.
        """
        from mechanet import storage  # on first use, for the sake of the import

        storage.write(path, *training_state.describe(self))

    @classmethod
    def resume(cls, path, x, y=None, *, validation=None, sample_weight=None, device="cpu", xp=None) -> "Training":
        """Take up a training that `save` wrote, with the same data; ``training.epochs()`` then runs to its end.

        The rest is the same, bit for bit, as if it had never stopped; on another device, to rounding.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a whole, sound state, or does not fit the data.
        """
        from mechanet import storage

        arrays, header = storage.read(path)
        try:
            training_state.check(header)
            network = network_file.build(
                Network, header["network"], training_state.parameters_of(arrays), device, xp
            )
            options = training_state.options_of(header)
            training = cls(network, x, y, validation=validation, sample_weight=sample_weight, **options)
            training_state.restore(training, arrays, header)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{path}: this training cannot go on. {error}") from error
        return training
