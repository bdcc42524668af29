"""Where a training is, in plain numbers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mechanet import checks


@dataclass
class Progress:
    """Where a training is: with its vectors, all that a saved state holds.

    Attributes
    ----------
    epoch, step : int
        Epochs done, and steps done within the one that is under way.
    rows_seen : int
        Rows of the epoch under way that have been used.
    global_step : int
        Steps done since the training began.
    total_epochs : int
        Epochs planned.
    optimizer_start : int
        The global step at which the optimizer began.
    learning_rate : float
        α of the newest step.
    stopped_early : bool
        Whether early stopping has ended the training.
    """

    epoch: int = 0
    step: int = 0
    rows_seen: int = 0
    global_step: int = 0
    total_epochs: int = 0
    optimizer_start: int = 0
    learning_rate: float = 0.0
    stopped_early: bool = False

    @property
    def finished(self) -> bool:
        """Whether all planned epochs are done, or early stopping has ended the training."""
        return self.epoch >= self.total_epochs or self.stopped_early

    def to_plain(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Progress":
        """The progress that `to_plain` described; KeyError, TypeError or ValueError where it is not one."""
        read: dict[type, Callable[[str, Any], Any]] = {int: _count, float: checks.real, bool: _truth}
        return cls(
            **{field.name: read[type(field.default)](field.name, plain[field.name]) for field in fields(cls)}
        )


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} expects true or false. Received: {name}={value!r}.")
    return value


def _count(name: str, value: Any) -> int:
    return checks.integer(name, value, 0)
