"""Checkpoints: training that survives interruption, be it Ctrl-C, SIGTERM, a crash or a power cut.

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
    """A signal ended the training, after a checkpoint; uncaught it ends the process with 128 + signal."""


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
    """Resume from the newest checkpoint in `directory` that can be read; report damaged newer ones to `notify`.

    `options` are those of `Training.resume`.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    ValueError
        If none can be read, or the newest that can does not fit the data.
    """
    _, _, path, damaged = storage.CheckpointFiles(directory).newest()
    for problem in damaged:
        notify(f"A newer checkpoint was skipped: {problem}")
    training = Training.resume(path, x, y, **options)
    notify(f"Resuming from {path}: epoch {training.epoch} done, and {training.step} steps of the next.")
    return training


class Checkpoints:
    """Writes checkpoints of a training to a directory while it runs.

    Parameters
    ----------
    training : Training
        New, or from `resume`.
    directory : path
        One file for each checkpoint; a new training needs a directory without any.
    every : str
        How often: ``"90s"``, ``"5m"``, ``"1h"``, ``"2epochs"`` or ``"20steps"``. One is always written at the end
        of the training and after a signal.
    keep : int
        How many checkpoints to keep.
    notify : callable
        Called with each line that a person should see.

    Raises
    ------
    ValueError
        If `every` or `keep` is not such a value, the directory holds checkpoints of another training, or a class
        of your own is not registered.
    """

    def __init__(self, training: Training, directory, every: str = "5m", keep: int = 3,
                 notify: Callable[[str], None] = say):  # fmt: skip
        for part in (training.network, training.optimizer, training.schedule):
            part.config()  # what could not be written is refused now, not hours later
        self.training = training
        self.count, self.unit = check_every(every)
        self.files = storage.CheckpointFiles(directory, keep)
        self.notify = notify
        self.last = next(reversed(self.files.paths()), None)
        if self.last is not None and not training.global_step:
            raise ValueError(
                "a new training expects a directory without checkpoints. Received: "
                f"{self.files.directory}, with those of an earlier training. "
                "Resume that one (--resume), or choose another directory."
            )
        self._saved_at = training.global_step if self.last else -1
        self._saved_when = time.monotonic()
        self._signal: int | None = None

    def epochs(self, count: int | None = None, run: Run | None = None) -> Iterator[Epoch]:
        """`Training.epochs`, with checkpoints written on the way.

        Parameters
        ----------
        count : int, optional
            As for `Training.epochs`.
        run : callable, optional
            Called in place of `Training.epochs` with the same two arguments, for example to show the epochs too.

        Raises
        ------
        Interrupted
            After Ctrl-C or SIGTERM, once the current batch is done and a checkpoint is written. A second signal
            of the same kind ends the process at once.
        DivergenceError, DeviceError, MemoryError
            From the training, after the last good checkpoint was reported to `notify`.
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
                self.notify(f"The last good checkpoint is {self.last}.")
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def save(self) -> bool:
        """Write a checkpoint now, unless this step has one; return whether the newest step is on the disk.

        A failing disk does not end the training: it is reported to `notify`, and the last good checkpoint stays.
        Parameters that are no longer finite are not written; the training itself finds them at the epoch's end.
        """
        training = self.training
        self._saved_when = time.monotonic()
        if self._saved_at == training.global_step:
            return True
        try:
            arrays, header = training_state.describe(training)
            for name, array in training_state.parameters_of(arrays).items():
                checks.finite(name, array)
            self.last = self.files.save(arrays, header, training.global_step)
        except (OSError, ValueError) as error:
            there = f"The last good one is {self.last}." if self.last else "There is no earlier one."
            step = training.global_step
            self.notify(f"No checkpoint was written at step {step}: {str(error).rstrip('.')}. {there}")
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
        signal.signal(number, signal.SIG_DFL)  # the next of its kind ends the process at once
        again = "Ctrl-C again" if number == signal.SIGINT else "a second SIGTERM"
        # Not by print: the signal may have come in the middle of one, and Python's files are not reentrant.
        os.write(2, f"\nFinishing the batch and writing a checkpoint; {again} leaves at once.\n".encode())

    def _leave(self) -> None:
        number, training = self._signal or 0, self.training
        if self.save():
            self.notify(
                f"Stopped in epoch {training.epoch + 1} after step {training.global_step}; "
                f"the checkpoint is {self.last}. "
                "To resume, repeat the command with --resume."
            )
        raise Interrupted(128 + number)
