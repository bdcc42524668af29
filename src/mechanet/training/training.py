"""The training: its options, its loop over epochs and steps."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from mechanet import checks, kernels
from mechanet.layers import Pass
from mechanet.network import Network, blocks
from mechanet.network.batch import Batch
from mechanet.optimizers import Optimizer, clip, move_towards, optimizer_from
from mechanet.schedules import Schedule, schedule_from
from mechanet.training import state as training_state
from mechanet.training.batches import batches_from, held_out_batch
from mechanet.training.divergence import DivergenceError
from mechanet.training.early_stopping import EarlyStopping, Watch, rule_from
from mechanet.training.history import Epoch, History
from mechanet.training.progress import Progress
from mechanet.training.tally import Tally, combined
from mechanet.types import Array


def _of_progress(name: str) -> Any:
    """A read-only attribute of a training that is one of its progress."""
    return property(attrgetter(f"progress.{name}"))


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
        Order and dropout masks are functions of the seed, the epoch and the step.
    threads : int, "auto" or None
        Threads of NumPy's BLAS during an epoch; afterwards it has what it had. ``"auto"`` takes one for small
        products, where more would cost more than they give, and never more than it had. None leaves it alone.

    Attributes
    ----------
    network, optimizer, schedule, history
        An `optimizer` that is set in mid-run takes effect with the next step, and starts with fresh vectors; one
        that differs from the last only in its learning rate goes on with those.
    epoch, step, global_step, total_epochs : int
        Epochs done, steps done in the epoch under way, and in all; epochs planned. `progress` holds them.
    batch : Batch or None
        The batch of the newest step.
    state : dict from name to array (p,)
        The optimizer's vectors.
    combine : callable or None
        ``combine(sums)`` is called between the gradient and the update of every step: `sums` is dθ, what was
        observed of the statistics, the loss and the number of correct predictions, in one vector. What others
        have of the same batch is added to it in place.
    penalty : callable or None
        ``penalty(weight)`` returns what to add to the loss of a batch of that weight, and λ for all entries of θ.

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

    def __init__(self, network: Network, x: Any, y: Any = None, *, optimizer: str | Optimizer = "adam",
                 batch_size: int | None = 128, validation: Any = None, schedule: str | Schedule | None = None,
                 gradient_clip: float | None = None,
                 early_stopping: int | Mapping[str, Any] | EarlyStopping | None = None, sample_weight: Any = None,
                 shuffle: bool = True, seed: int = 0, threads: int | str | None = "auto") -> None:  # fmt: skip
        self.network = network
        self.schedule = schedule_from(schedule)
        self.seed = checks.integer("seed", seed, 0)
        self.threads = threads if threads in ("auto", None) else checks.integer("threads", threads)
        self.gradient_clip = None
        if gradient_clip is not None:
            self.gradient_clip = checks.real("gradient_clip", gradient_clip, 0.0, open_low=True)
        self.early_stopping = rule_from(early_stopping, network, validation)
        self.watch = Watch(self.early_stopping) if self.early_stopping else None
        self.progress, self.history, self.tally = Progress(), History(), Tally()
        self.batch: Batch | None = None
        self.combine: Callable[[Array], None] | None = None
        self.penalty: Callable[[float], tuple[Array, Array]] | None = None
        self._clip = kernels.fused(network.backend, clip)
        self._stop = False
        with network.backend.current("the data and the optimizer's vectors"):
            self.batches = batches_from(network, x, y, sample_weight, batch_size, shuffle, self.seed)
            self.validation = None if validation is None else held_out_batch(network, *validation)
            self.epoch_start = network.xp.zeros_like(network.chain.learned)
            self._use(optimizer_from(optimizer))

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; setting it in mid-run takes effect with the next step."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: str | Optimizer) -> None:
        new = optimizer_from(value)
        if type(new) is type(self.optimizer) and self.optimizer.with_learning_rate(new.learning_rate) == new:
            self._optimizer, self._step = new, kernels.fused(self.network.backend, new).step
            return
        with self.network.backend.current("the optimizer's vectors"):
            self._use(new)

    def _use(self, optimizer: Optimizer) -> None:
        """Start `optimizer`, with fresh vectors."""
        chain = self.network.chain
        decay = optimizer.weight_decay
        self._optimizer = optimizer
        self._step = kernels.fused(chain.backend, optimizer).step
        self._decay = chain.spread(lambda parameter: decay if parameter.decays else 0.0) if decay else None
        self.state = {name: chain.xp.zeros_like(chain.parameters) for name in optimizer.vectors}
        self.progress.optimizer_start = self.progress.global_step
        self.progress.learning_rate = optimizer.learning_rate

    def epochs(self, count: int | None = None,
               on_step: Callable[["Training"], None] | None = None) -> Iterator[Epoch]:  # fmt: skip
        """Train for `count` more epochs, giving each when it is done.

        Parameters
        ----------
        count : int, optional
            Epochs from now on; schedules run over all epochs planned. Without it, up to the number planned
            before: that is how a resumed training goes on.
        on_step : callable, optional
            Called with the training after each step; it may `save`, look at network and batch, or call `stop`.

        Raises
        ------
        DivergenceError
            When loss or parameters of an epoch are not finite; the network then holds those from before it.
        """
        progress, chain, batch_size = self.progress, self.network.chain, self.batches.batch_size
        if count is not None:
            progress.total_epochs = progress.epoch + checks.integer("epochs", count)
            progress.stopped_early = False
        self._stop = False
        work = chain.work * min(batch_size or chain.block_rows, chain.block_rows)
        while not progress.finished:
            with chain.backend.current(f"batch_size={batch_size}"), chain.backend.threads(self.threads, work):
                epoch = self._train_epoch(on_step)
            if epoch is None:
                return
            yield epoch
        if self.watch and self.watch.rule.restore_best and self.watch.best is not None:
            chain.learned[...] = self.watch.best

    def stop(self) -> None:
        """From `on_step`: end `epochs` after this step. `epochs()` resumes the same epoch where it was left."""
        self._stop = True

    def _train_epoch(self, on_step: Callable[["Training"], None] | None) -> Epoch | None:
        started, progress, chain = time.perf_counter(), self.progress, self.network.chain
        if progress.step == 0:
            self.epoch_start[...] = chain.learned
            self.tally, progress.rows_seen = Tally(), 0
        for batch in self.batches.epoch(progress.epoch + 1, progress.step):
            self.batch = batch
            training = Pass(self.seed, progress.epoch + 1, progress.step + 1)
            value, correct = blocks.loss_and_gradient(chain, self.network.bound_loss, batch, training)
            if self.combine is not None:
                value, correct = combined(chain, self.combine, value, correct)
            decay = self._decay
            if self.penalty is not None:
                penalty, decay = self.penalty(batch.weight)
                value = value + penalty
            self._update(decay)
            self.tally.add(value, correct, batch.weight)
            progress.step += 1
            progress.rows_seen += batch.size
            if on_step is not None:
                on_step(self)
                if self._stop:
                    return None
        return self._finish_epoch(started)

    def _update(self, decay: Array) -> None:
        """θ ← θ - α dθ as the optimizer has it, and the statistics towards what was observed."""
        progress, chain = self.progress, self.network.chain
        progress.global_step += 1
        progress.learning_rate = self.learning_rate()
        if self.gradient_clip is not None:
            self._clip(chain.xp, chain.gradient, self.gradient_clip)
        t = progress.global_step - progress.optimizer_start
        self._step(chain.xp, chain.parameters, chain.gradient, self.state, progress.learning_rate, t, decay)
        if chain.share is not None:
            move_towards(chain.statistics, chain.observed, chain.share)

    def learning_rate(self) -> float:
        """α of the step under way: the optimizer's rate times the schedule's factor.

        Where the number of batches is not known before, progress is counted in whole epochs.
        """
        progress, steps = self.progress, len(self.batches) or 1
        done = progress.epoch * steps + (progress.step if len(self.batches) else 0)
        share = min(done / max(progress.total_epochs * steps - 1, 1), 1.0)
        return self.optimizer.learning_rate * self.schedule(share)

    def _finish_epoch(self, started: float) -> Epoch:
        net, xp, progress = self.network, self.network.xp, self.progress
        measured = [
            xp.all(xp.isfinite(net.chain.learned)),
            xp.maximum(xp.max(net.gradient), -xp.min(net.gradient)),
        ]
        if self.validation is not None:
            held_out = blocks.loss_and_correct(net.chain, net.bound_loss, self.validation)
            measured.extend(m for m in held_out if m is not None)
        loss, (finite, largest, *rest) = self.tally.read(net, measured)
        number = progress.epoch + 1
        if not (finite and math.isfinite(loss)):
            net.chain.learned[...] = self.epoch_start
            progress.step = 0
            raise DivergenceError.of(number, progress.learning_rate, largest)

        accuracy = validation_loss = validation_accuracy = None
        if net.loss.classifies:
            accuracy = rest.pop() / (progress.rows_seen * net.decisions)
        if self.validation is not None:
            validation_loss = rest[0]
            if net.loss.classifies:
                validation_accuracy = rest[1] / (self.validation.size * net.decisions)
        seconds = time.perf_counter() - started
        epoch = Epoch(
            number, loss, accuracy, validation_loss, validation_accuracy, progress.learning_rate, seconds
        )
        self.history.append(epoch)
        progress.epoch, progress.step = number, 0
        if self.watch:
            progress.stopped_early = self.watch.see(epoch, net.chain.learned, xp)
        return epoch

    epoch, step, global_step, total_epochs = map(_of_progress, ("epoch", "step", "global_step", "total_epochs"))
    finished = _of_progress("finished")

    def save(self, path: str | Path) -> None:
        """Write the state of the training to a file, whole or not at all; `resume` goes on from it.

        May be called between epochs, or from `on_step` between two steps. The data is not part of it. OSError if
        the file cannot be written; what stood there before is left as it was.
        """
        training_state.save(self, path)

    @classmethod
    def resume(cls, path: str | Path, x: Any, y: Any = None, *, validation: Any = None, sample_weight: Any = None,
               device: Any = "cpu", xp: Any = None) -> "Training":  # fmt: skip
        """Resume a training that `save` wrote, with the same data; ``training.epochs()`` then runs to its end.

        The rest is the same, bit for bit, as if it had never stopped; on another device, to rounding.

        `device` and `xp` are as for `Network`. OSError if the file cannot be read; ValueError if it is not a
        whole, sound state, or does not fit the data.
        """
        return training_state.resume(cls, path, x, y, validation, sample_weight, device, xp)
