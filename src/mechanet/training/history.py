"""The record of a training: its epochs, and the history that they form."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any, overload

from mechanet import notebook


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training.

    Attributes
    ----------
    number : int
        Counted from 1.
    loss, accuracy : float
        Means over the training rows, each measured before the step on its batch; accuracy, in [0, 1], is None for
        a regression.
    validation_loss, validation_accuracy : float or None
        The same after the epoch, over the validation rows.
    learning_rate : float
        α of the epoch's last step.
    seconds : float
        Wall time, validation included.
    """

    number: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float

    def __str__(self) -> str:
        parts = [f"epoch {self.number}", f"loss {self.loss:.4f}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.2%}")
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4f}")
        if self.validation_accuracy is not None:
            parts.append(f"validation accuracy {self.validation_accuracy:.2%}")
        return ", ".join([*parts, f"{self.seconds:.2f} s"])


QUANTITIES = tuple(field.name for field in fields(Epoch))


class History(Sequence[Epoch]):
    """The epochs of a training, in order; a column of them by name.

    Epochs are stored as plain numbers, 56 bytes each, so that a million of them fit into memory; what was not
    measured is stored as NaN and read as None.
    """

    def __init__(self, epochs: Iterable[Epoch] = ()):
        self.numbers = array("d")
        for epoch in epochs:
            self.append(epoch)

    def append(self, epoch: Epoch) -> None:
        """Add the next epoch."""
        self.numbers.extend(math.nan if value is None else value for value in astuple(epoch))

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> "History": ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return History(self[i] for i in range(len(self))[index])
        start = range(len(self))[index] * len(QUANTITIES)
        number, *values = self.numbers[start : start + len(QUANTITIES)]
        measured: list[Any] = [None if math.isnan(value) else value for value in values]
        return Epoch(int(number), *measured)

    def __len__(self) -> int:
        return len(self.numbers) // len(QUANTITIES)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and list(self) == list(other)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "History()"

    def _repr_html_(self) -> str:
        return notebook.history_card(self)

    def column(self, name: str) -> list[Any]:
        """One quantity over all epochs, for example ``history.column("loss")``."""
        return [getattr(epoch, name) for epoch in self]

    def to_list(self) -> list[dict[str, Any]]:
        """The epochs as plain data."""
        return [asdict(epoch) for epoch in self]
