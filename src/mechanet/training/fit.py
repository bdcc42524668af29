"""`fit`: run a training to its end, and show its progress on the way."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from mechanet import checks
from mechanet.network import Network
from mechanet.training.history import Epoch, History
from mechanet.training.training import Training

ROWS = 25  # about so many rows in the table: of a long training only some epochs are shown
REFRESH = 0.1  # seconds between two updates of the bar

OnStep = Callable[[Training], None] | None


def fit(network: Network, x, y=None, epochs: int = 10, *, progress: bool | None = None, **options) -> History:
    """Train `network` for a number of epochs, and show how it goes.

    Parameters
    ----------
    network : Network
        Trained in place.
    x, y : array-like
        Rows and targets, as for `Training`.
    epochs : int
        How many to train for; early stopping may end the training sooner.
    progress : bool, optional
        False shows nothing. Otherwise a table of epochs is printed (of a long training only some), with a bar
        below it on a terminal.
    **options
        Further options of `Training`: optimizer, batch_size, validation, schedule, early_stopping, ...

    Returns
    -------
    History
        One `Epoch` for each epoch.

    Raises
    ------
    ValueError, TypeError, DivergenceError
        As `Training` and `Training.epochs`.

    Examples
    --------
    >>> import mechanet as mn
    >>> net = mn.Network([mn.Dense(8), mn.Tanh(), mn.Dense(2)], input_shape=(2,))
    >>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> mn.fit(net, x, y, epochs=100, optimizer=mn.Adam(0.1), progress=False)[-1].accuracy
    1.0
    """
    training = Training(network, x, y, **options)
    checks.integer("epochs", epochs)
    for _ in training.epochs(epochs) if progress is False else shown(training, epochs):
        pass
    return training.history


def shown(
    training: Training, count: int | None = None, file: TextIO | None = None, on_step: OnStep = None
) -> Iterator[Epoch]:
    """The epochs of `Training.epochs`, each shown on `file` (standard output) when it is done.

    On a terminal there is a bar as well; in a log there are only plain lines.
    """
    file = file or sys.stdout
    planned = training.total_epochs if count is None else training.epoch + count
    with (_Bar if file.isatty() else _Log)(file, training, planned) as display:
        table, epoch, row = _Table(planned), None, None
        for epoch in training.epochs(count, display.watch(on_step)):
            row = table.row(epoch)
            if row:
                display.line(row)
            yield epoch
        if epoch is not None and not row:  # stopped early, between two rows
            display.line(table.format(epoch))


class _Table:
    """A table of epochs in round steps, so that about `ROWS` of them are shown."""

    def __init__(self, planned: int):
        self.step = next(step for step in _round_numbers() if planned <= ROWS * step)
        self.planned = planned
        self.started = time.perf_counter()
        self.headed = False

    def row(self, epoch: Epoch) -> str | None:
        """The row of an epoch, with the column names above the first; None if the epoch is not shown."""
        first = not self.headed
        if not (first or epoch.number % self.step == 0 or epoch.number == self.planned):
            return None
        return self.format(epoch)

    def format(self, epoch: Epoch) -> str:
        cells = {
            "epoch": f"{epoch.number:,}",
            "loss": _number(epoch.loss),
            "accuracy": _share(epoch.accuracy),
            "validation loss": _number(epoch.validation_loss),
            "validation accuracy": _share(epoch.validation_accuracy),
            "elapsed": f"{time.perf_counter() - self.started:.1f} s",
        }
        shown = {name: cell for name, cell in cells.items() if cell}
        widths = {name: max(len(name), 8) for name in shown}
        lines = [shown] if self.headed else [{name: name for name in shown}, shown]
        self.headed = True
        return "\n".join("  ".join(cell.rjust(widths[name]) for name, cell in line.items()) for line in lines)


def _round_numbers() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, 100, ..."""
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


class _Log:
    """Plain lines."""

    def __init__(self, file: TextIO, training: Training, planned: int):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def line(self, text: str) -> None:
        print(text, file=self.file, flush=True)

    def watch(self, on_step: OnStep) -> OnStep:
        return on_step


class _Bar:
    """Lines above a bar that shows how far the training has come and how long it will still take."""

    def __init__(self, file: TextIO, training: Training, planned: int):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.steps = len(training.batches) or math.inf  # infinite if their number is not known
        self.planned, self.last = planned, -math.inf
        console = Console(file=file, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
        self.progress = Progress(*columns, console=console, transient=True, refresh_per_second=5)
        self.task = self.progress.add_task(self.describe(training), total=planned, completed=training.epoch)

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *exception):
        self.progress.stop()

    def describe(self, training: Training) -> str:
        return f"epoch {min(training.epoch + 1, self.planned):,} of {self.planned:,}"

    def line(self, text: str) -> None:
        self.progress.console.print(text, markup=False, soft_wrap=True)

    def watch(self, on_step: OnStep) -> OnStep:
        def refresh(training: Training) -> None:
            now = time.perf_counter()
            if now - self.last > REFRESH:
                self.last = now
                done = training.epoch + training.step / self.steps
                self.progress.update(self.task, description=self.describe(training), completed=done)
            if on_step is not None:
                on_step(training)

        return refresh
