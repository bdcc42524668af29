"""What all losses share, and the link that changes nothing."""

import copy
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mechanet import checks


def identity(xp, Z):
    """Predictions of a regression: Z itself."""
    return Z


@dataclass(frozen=True)
class Loss:
    """What all losses share. A loss is a value: its options, and once bound, the constants it needs."""

    name: ClassVar[str] = ""
    classifies: ClassVar[bool] = False
    link: ClassVar[Any] = staticmethod(identity)

    def bind(self, backend, outputs: int, dtype) -> "Loss":
        """A copy with its constants (such as one-hot rows) on the device."""
        return copy.copy(self)

    def check_targets(self, y, outputs: int):
        """Check host targets; return them as (targets, row weights or None), still on the host."""
        raise NotImplementedError

    def __call__(self, xp, Z, T, c):
        """Return the value (0-d) and the gradient dZ = dL/dZ (m, k)."""
        raise NotImplementedError

    def truth(self, xp, T):
        """The true labels that T encodes, to be compared with `labels` (classification only)."""
        raise NotImplementedError

    def measure(self, xp, Z, T, c):
        """The value (0-d), dZ (m, k), and the number of correct decisions (0-d; None for a regression)."""
        value, dZ = self(xp, Z, T, c)
        correct = xp.count_nonzero(self.labels(xp, Z) == self.truth(xp, T)) if self.classifies else None
        return value, dZ, correct

    def decisions(self, outputs: int) -> int:
        """Decisions per row, over which the accuracy is averaged."""
        return 1

    def labels(self, xp, Z):
        """Predicted labels of a classification, values of a regression, from raw scores."""
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def config(self) -> dict:
        """Name and options, as plain data that `loss_from_config` takes back."""
        return {"name": self.name, **asdict(self)}

    def _targets_like_outputs(self, y, outputs):
        """Real targets of shape (m, outputs); (m,) is read as (m, 1) where there is one output."""
        checks.numeric("y", y)
        if y.ndim == 1 and outputs == 1:
            y = y[:, None]
        if y.ndim != 2 or y.shape[1] != outputs:
            raise ValueError(
                f"{self.name} expects y of shape (n, {outputs}), as many columns as the network has outputs. "
                f"Received: y.shape={tuple(y.shape)}."
            )
        checks.finite("y", y)
        return y
