"""What a training says of itself: epochs, and the history that they make."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import overload

from mechanet import notebook


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training.

    Attributes
    ----------
    number : int
        Counted from 1.
    loss, accuracy : float
        Means over the training rows, each measured before the step its batch gave rise to; accuracy, in [0, 1],
        is None for a regression.
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


class History(Sequence[Epoch]):
    """The epochs of a training, in order; a column of them by name."""

    def __init__(self, epochs: Sequence[Epoch] = ()):
        self._epochs = list(epochs)

    def append(self, epoch: Epoch) -> None:
        """Add the epoch that followed the last."""
        self._epochs.append(epoch)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> "History": ...
    def __getitem__(self, index):
        return History(self._epochs[index]) if isinstance(index, slice) else self._epochs[index]

    def __len__(self) -> int:
        return len(self._epochs)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "History()"

    def _repr_html_(self) -> str:
        return notebook.history_card(self)

    def column(self, name: str) -> list:
        """One quantity over all epochs, for example ``history.column("loss")``."""
        return [getattr(epoch, name) for epoch in self]

    def to_list(self) -> list[dict]:
        """The epochs as plain data."""
        return [asdict(epoch) for epoch in self]

    @classmethod
    def from_list(cls, rows: Sequence[dict]) -> "History":
        """The history that `to_list` described."""
        names = [f.name for f in fields(Epoch)]
        return cls([Epoch(**{name: row[name] for name in names}) for row in rows])
