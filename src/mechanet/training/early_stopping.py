"""Early stopping: the rule, and what is remembered of the best epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mechanet import checks
from mechanet.network import Network
from mechanet.training.history import Epoch

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

    def __post_init__(self) -> None:
        checks.integer("patience", self.patience)
        checks.real("min_delta", self.min_delta, 0.0)
        checks.one_of("monitor", self.monitor, MONITORS)

    def better(self, value: float, best: float | None) -> bool:
        """Whether `value` improves on `best`: lower for a loss, higher for an accuracy."""
        if best is None:
            return True
        gain = best - value if self.monitor.endswith("loss") else value - best
        return gain > self.min_delta


class Watch:
    """What a rule has seen so far.

    Attributes
    ----------
    rule : EarlyStopping
    value : float or None
        The best so far of what is monitored; None before the first epoch.
    epoch, waited : int
        The number of the best epoch, and how many have passed since.
    best : array or None
        What the network had learned by then: θ and statistics.
    """

    def __init__(self, rule: EarlyStopping) -> None:
        self.rule = rule
        self.value: float | None = None
        self.epoch = self.waited = 0
        self.best: Any = None

    def see(self, epoch: Epoch, learned: Any, xp: Any) -> bool:
        """Take note of an epoch and of what the network has learned; whether it is time to stop."""
        value = getattr(epoch, self.rule.monitor)
        if not self.rule.better(value, self.value):
            self.waited += 1
            return self.waited >= self.rule.patience
        self.value, self.epoch, self.waited = value, epoch.number, 0
        if self.best is None:
            self.best = xp.zeros_like(learned)
        self.best[...] = learned
        return False


def rule_from(value: int | Mapping[str, Any] | EarlyStopping | None, network: Network,
              validation: Any) -> EarlyStopping | None:  # fmt: skip
    """The rule given as patience, as options or as an object, if it suits the network and the data."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = EarlyStopping(**value)
    if not isinstance(value, EarlyStopping):
        value = EarlyStopping(checks.integer("early_stopping", value))
    if value.monitor.startswith("validation") and validation is None:
        raise ValueError(
            f"early_stopping expects validation=(x, y), since it watches {value.monitor}. "
            'Received: validation=None. Pass it, or EarlyStopping(monitor="loss").'
        )
    if value.monitor.endswith("accuracy") and not network.loss.classifies:
        raise ValueError(f"early_stopping expects a loss to watch in a regression. Received: {value.monitor!r}.")
    return value
