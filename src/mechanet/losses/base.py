"""What all losses share; a loss bound to a device; and the link that changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.registry import Family, Named
from mechanet.types import Array, Namespace


def identity(xp: Namespace, Z: Array) -> Array:
    """Predictions of a regression: Z itself."""
    return Z


@dataclass(frozen=True)
class Loss(Named):
    """What all losses share. A loss is a value: its options.

    One of your own is a frozen dataclass with a `name`, `check_targets` and ``__call__``; one that classifies has
    `labels` and `truth` as well.

    Attributes
    ----------
    name : str
        What summaries and files call it.
    classifies : bool
        Whether predictions are labels, and have an accuracy.
    link : callable
        ``link(xp, Z)`` turns raw scores into predictions P.
    formula : tuple of str
        The link, the value and the gradient in words, as `mechanet.explain` prints them.
    """

    family: ClassVar[Family] = Family("loss")
    name: ClassVar[str] = ""
    classifies: ClassVar[bool] = False
    link: ClassVar[Any] = staticmethod(identity)
    formula: ClassVar[tuple[str, str, str]] = ("P = link(Z)", "L = loss(Z, T)", "dZ = dL/dZ")

    @classmethod
    def file_name(cls) -> str:
        return cls.name

    def bind(self, backend: Any, outputs: int, dtype: Any) -> "BoundLoss":
        """The loss with what it needs on a device; a subclass may prepare constants there."""
        return BoundLoss(self)

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        """Check targets on the host; return them as (targets, row weights or None), still on the host."""
        raise NotImplementedError

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        """Return the value (0-d) and the gradient dZ = dL/dZ (m, k)."""
        raise NotImplementedError

    def truth(self, xp: Namespace, T: Array) -> Array:
        """The true labels that T encodes, to be compared with `labels` (classification only)."""
        raise NotImplementedError

    def decisions(self, outputs: int) -> int:
        """Decisions per row, over which the accuracy is averaged."""
        return 1

    def labels(self, xp: Namespace, Z: Array) -> Array:
        """Predicted labels of a classification, values of a regression, from raw scores."""
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def _targets_like_outputs(self, y: Array, outputs: int) -> Array:
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


@dataclass(frozen=True, eq=False)
class BoundLoss:
    """A loss on a device: the loss itself and, in a subclass, the constants that it needs there.

    Attributes
    ----------
    plain : Loss
        The loss.
    """

    plain: Loss

    @property
    def link(self) -> Callable[[Namespace, Array], Array]:
        """What turns raw scores into predictions."""
        link: Callable[[Namespace, Array], Array] = self.plain.link
        return link

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        """The value (0-d) and dZ (m, k)."""
        return self.plain(xp, Z, T, c)

    def measure(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array, Array | None]:
        """The value (0-d), dZ (m, k), and the number of correct decisions (0-d; None for a regression)."""
        value, dZ = self(xp, Z, T, c)
        correct = xp.count_nonzero(self.labels(xp, Z) == self.truth(xp, T)) if self.plain.classifies else None
        return value, dZ, correct

    def labels(self, xp: Namespace, Z: Array) -> Array:
        """Predicted labels of a classification, values of a regression, from raw scores."""
        return self.plain.labels(xp, Z)

    def truth(self, xp: Namespace, T: Array) -> Array:
        """The labels that targets T stand for."""
        return self.plain.truth(xp, T)
