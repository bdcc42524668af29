"""Training that outlives what stops it: states written as it goes, Ctrl-C and SIGTERM that lose nothing.

training = checkpoints.resume("runs/a", x, y) if again else mechanet.Training(network, x, y)
for epoch in checkpoints.Checkpoints(training, "runs/a", every="5m").epochs(10):
    print(epoch)
"""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import mechanet.backend
from mechanet import checks, storage
from mechanet.training import state as training_state
from mechanet.training.divergence import DivergenceError
from mechanet.training.history import Epoch
from mechanet.training.training import Training

Run = Callable[[int | None, Callable[[Training], None]], Iterator[Epoch]]
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Interrupted(SystemExit):
    """A signal ended the training after its state was written; uncaught it ends the process with 128 + signal."""


def say(text: str) -> None:
    """The usual `notify`: a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def check_every(every: str) -> tuple[int, str]:
    """``"90s"``, ``"5m"``, ``"1h"``, ``"2epochs"`` or ``"20steps"`` as a number and its unit."""
    match = re.fullmatch(r"([1-9][0-9]{0,8}) ?(s|m|h|epochs?|steps?)", str(every))
    if match is None:
        raise ValueError(
            f'every expects a time or a count such as "90s", "5m", "1h", "2epochs" or "20steps". '
            f"Received: every={every!r}."
        )
    unit = match[2]
    return int(match[1]), unit if unit in SECONDS else unit.rstrip("s")


def resume(directory, x, y=None, *, notify: Callable[[str], None] = say, **options: Any) -> Training:
    """Take up the newest state in `directory` that can be read; a damaged newer one is told to `notify`.

    `options` are those of `Training.resume`.

    Raises
    ------
    FileNotFoundError
        If there is no state.
    ValueError
        If none can be read, or the newest that can does not fit the data.
    """
    _, _, path, damaged = storage.States(directory).newest()
    for problem in damaged:
        notify(f"A newer state was left out: {problem}")
    training = Training.resume(path, x, y, **options)
    notify(f"Going on from {path}: epoch {training.epoch} done, and {training.step} steps of the next.")
    return training


class Checkpoints:
    """A training whose states are written to a directory as it goes.

    Parameters
    ----------
    training : Training
        New, or from `resume`.
    directory : path
        One file a state; a new training wants a directory without states.
    every : str
        How often: ``"90s"``, ``"5m"``, ``"1h"``, ``"2epochs"`` or ``"20steps"``. The end of the training and a
        signal always write one.
    keep : int
        How many states stay.
    notify : callable
        Takes each line that a person should see.

    Raises
    ------
    ValueError
        If `every` or `keep` is not such a value, a new training finds another's states, or a class of your own
        is not registered.
    """

    def __init__(self, training: Training, directory, every: str = "5m", keep: int = 3,
                 notify: Callable[[str], None] = say):  # fmt: skip
        for part in (training.network, training.optimizer, training.schedule):
            part.config()  # what could not be written is refused now, not hours later
        self.training = training
        self.count, self.unit = check_every(every)
        self.states = storage.States(directory, keep)
        self.notify = notify
        self.last = next(reversed(self.states.paths()), None)
        if self.last is not None and not training.global_step:
            raise ValueError(
                f"{self.states.directory} holds states of an earlier training. "
                "Resume that one (--resume), or choose another directory."
            )
        self._saved_at = training.global_step if self.last else -1
        self._saved_when = time.monotonic()
        self._signal: int | None = None

    def epochs(self, count: int | None = None, run: Run | None = None) -> Iterator[Epoch]:
        """`Training.epochs`, with states written on the way.

        Parameters
        ----------
        count : int, optional
            As for `Training.epochs`.
        run : callable, optional
            What is run in its place with the same two arguments, such as one that shows the epochs too.

        Raises
        ------
        Interrupted
            After Ctrl-C or SIGTERM, when the batch under way is done and its state is written. A second signal
            of the kind ends the process at once.
        DivergenceError, DeviceError, MemoryError
            From the training, after `notify` was told which state is the last good one.
        """
        handlers = self._catch_signals()
        try:
            for epoch in (run or self.training.epochs)(count, self._after_step):
                if self._due("epoch", epoch.number):
                    self.save()
                yield epoch
                if self._signal and not self.training.finished:
                    self._leave()
            if self._signal and not self.training.finished:
                self._leave()
            self.save()
        except (DivergenceError, mechanet.backend.DeviceError, MemoryError):
            if self.last is not None:
                self.notify(f"The last good state is {self.last}.")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def save(self) -> bool:
        """Write a state now, unless this very step has one; whether the newest step is on the disk.

        A disk that fails does not end the training: `notify` is told, and the last good state stays. Nor is a
        state written whose parameters are no longer finite; the training finds that itself, at the epoch's end.
        """
        training = self.training
        self._saved_when = time.monotonic()
        if self._saved_at == training.global_step:
            return True
        try:
            arrays, header = training_state.describe(training)
            for name, array in training_state.parameters_of(arrays).items():
                checks.finite(name, array)
            self.last = self.states.save(arrays, header, training.global_step)
        except (OSError, ValueError) as error:
            there = f"The last good state is {self.last}." if self.last else "There is no earlier state."
            self.notify(f"No state was written at step {training.global_step}: {error}. {there}")
            return False
        self._saved_at = training.global_step
        return True

    def _after_step(self, training: Training) -> None:
        if self._signal:
            training.stop()
        elif self._due("step", training.global_step):
            self.save()

    def _due(self, unit: str, number: int) -> bool:
        if self.unit == unit:
            return number % self.count == 0
        return self.unit in SECONDS and time.monotonic() - self._saved_when >= self.count * SECONDS[self.unit]

    def _catch_signals(self) -> dict[int, Any]:
        self._signal = None
        if threading.current_thread() is not threading.main_thread():
            return {}  # Python gives signals to the main thread only
        heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]  # nohup, &
        return {number: signal.signal(number, self._note) for number in heeded}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.signal(number, signal.SIG_DFL)  # the next one of the kind ends the process, whatever it is doing
        again = "Ctrl-C again" if number == signal.SIGINT else "a second SIGTERM"
        # Not by print: the signal may have come in the middle of one, and Python's files are not reentrant.
        os.write(2, f"\nFinishing the batch and writing a state; {again} leaves at once.\n".encode())

    def _leave(self) -> None:
        number, training = self._signal or 0, self.training
        if self.save():
            self.notify(
                f"Stopped in epoch {training.epoch + 1} after step {training.global_step}; "
                f"the state is {self.last}. "
                "To go on, give the same command with --resume."
            )
        raise Interrupted(128 + number)
